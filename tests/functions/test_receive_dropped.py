"""Events of the drop-in bucket: what becomes an import, and what is refused once and for all."""

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from receive_dropped.handler import lambda_handler
from vsv import runtime
from vsv.errors import AlreadyExistsError, BadRequestError, UnavailableError
from vsv.ingest.drop_object import DroppedObject
from vsv.records.models import ImportRecord, ImportState

from tests.support.paths import EVENTS
from tests.support.servers.running import Site, running_site
from tests.support.stores.store_records import slide_import

EVENT = json.loads((EVENTS / "eventbridge/object_created.json").read_text())


class Waiting:
    """A starter that starts nothing: the machine is not what is tested here."""

    def __init__(self) -> None:
        self.started: list[str] = []

    def describe_source(self, filename: str, size: int) -> None:
        return None

    def start(self, run: Any) -> None:
        self.started.append(run.run_id)

    def has_ended(self, run: Any) -> bool:
        return False


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with running_site(tmp_path) as running:
        starter = Waiting()
        settings = replace(running.services.settings, drop_bucket="drop-in")
        running.services = replace(running.services, settings=settings, make_starter=lambda: starter)  # type: ignore[arg-type,return-value]
        runtime.use(running.services)
        yield running


def event(bucket: str = "drop-in", **fields: Any) -> dict[str, Any]:
    """Return the recorded event with other fields of its object (None removes a field)."""
    made: dict[str, Any] = copy.deepcopy(EVENT)
    made["detail"]["bucket"]["name"] = bucket
    found = made["detail"]["object"] | {name.replace("_", "-"): value for name, value in fields.items()}
    made["detail"]["object"] = {name: value for name, value in found.items() if value is not None}
    return made


def test_event_starts_an_import_with_the_version_of_the_object(site: Site) -> None:
    assert lambda_handler(EVENT, None) == {"state": "TRANSFERRING"}
    run = site.services.imports.get("a.svs")
    assert run is not None
    assert (run.size, run.state) == (1938955, ImportState.TRANSFERRING)
    assert DroppedObject.from_source(run.source or "").version == "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e"
    assert site.services.files.incoming("a.svs").parent.is_dir()


def test_repeated_event_starts_no_second_import(site: Site) -> None:
    lambda_handler(EVENT, None)
    first = site.services.imports.get("a.svs")
    assert lambda_handler(EVENT, None) == {"state": "TRANSFERRING"}
    assert site.services.imports.get("a.svs") == first


@pytest.mark.parametrize("state", [ImportState.READY, ImportState.FAILED])
def test_repeated_event_after_the_end_answers_the_state(site: Site, state: ImportState) -> None:
    lambda_handler(EVENT, None)
    run = site.services.imports.get("a.svs")
    assert run is not None
    site.services.imports.advance("a.svs", run.run_id, {"state": state})
    assert lambda_handler(EVENT, None) == {"state": state}


def test_later_version_replaces_an_earlier_version_and_not_the_reverse(site: Site) -> None:
    later = event(version_id="another", sequencer="0061")
    earlier = event(sequencer="00608F")
    lambda_handler(earlier, None)
    assert lambda_handler(later, None) == {"state": "TRANSFERRING"}
    run = site.services.imports.get("a.svs")
    assert lambda_handler(earlier, None) == {"state": None}
    assert site.services.imports.get("a.svs") == run


def test_object_without_version_is_identified_by_its_etag(site: Site) -> None:
    lambda_handler(event(version_id=None), None)
    first = site.services.imports.get("a.svs")
    lambda_handler(event(version_id=None), None)
    assert site.services.imports.get("a.svs") == first
    lambda_handler(event(version_id=None, etag="0" * 32, sequencer="01"), None)
    assert site.services.imports.get("a.svs") != first


HOSTILE: list[Any] = [
    event(bucket="another"), event(key="folder/a*.svs"), event(key="../.svs"), event(key="a%2Fb"), event(key=""),
    event(key="a.txt"), event(key="folder/a.mrxs"), event(key="folder/"), event(key="a.svs\n"), event(key=5),
    event(key="a" * 2000),
    event(key=None), event(size=None), event(size=-1), event(size="5"), event(size=1 << 60), event(size=True),
    event(version_id=None, etag=None), event(version_id=["1"]), event(sequencer=5),
    {}, {"detail": None}, {"detail": []}, {"detail": {}}, {"detail": {"bucket": None}},
    {"detail": {"bucket": {"name": "drop-in"}, "object": []}},
]  # fmt: skip


@pytest.mark.parametrize("hostile", HOSTILE, ids=repr)
def test_malformed_event_raises_bad_request_without_import(site: Site, hostile: Any) -> None:
    with pytest.raises(BadRequestError):
        lambda_handler(hostile, None)
    assert site.services.imports.list_all().items == ()


def test_folder_object_is_ignored(site: Site) -> None:
    assert lambda_handler(event(key="2026/", size=0), None) == {"state": None}
    assert site.services.imports.list_all().items == ()


@pytest.mark.parametrize("key", ["2026/a.svs", "2026/11/a.svs", "../a.svs", "/a.svs", "o*d/a.svs"])
def test_key_with_folders_is_imported_under_its_last_part(site: Site, key: str) -> None:
    assert lambda_handler(event(key=key), None) == {"state": "TRANSFERRING"}
    assert DroppedObject.from_source(stored(site).source or "").key == key


def stored(site: Site) -> ImportRecord:
    found = site.services.imports.get("a.svs")
    assert found is not None
    return found


def meanwhile(site: Site, patched: pytest.MonkeyPatch, *others: Any) -> None:
    """Patch the store so that each of these calls runs just before a run is stored."""
    start, left = type(site.services.imports).start, list(others)

    def later(store: Any, record: ImportRecord, **more: Any) -> None:
        if left:
            left.pop(0)()
        start(store, record, **more)

    patched.setattr(type(site.services.imports), "start", later)


EARLIER, LATER = event(sequencer="0060"), event(version_id="another", sequencer="0061")


def test_later_version_wins_against_a_concurrent_earlier_version(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    meanwhile(site, monkeypatch, lambda: lambda_handler(EARLIER, None))
    assert lambda_handler(LATER, None) == {"state": "TRANSFERRING"}
    assert DroppedObject.from_source(stored(site).source or "").version == "another"


def test_earlier_version_loses_against_a_concurrent_later_version(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    meanwhile(site, monkeypatch, lambda: lambda_handler(LATER, None))
    assert lambda_handler(EARLIER, None) == {"state": None}
    assert DroppedObject.from_source(stored(site).source or "").version == "another"


def test_concurrent_scanner_import_raises_unavailable_until_it_ends(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def post() -> None:
        site.services.imports.start(slide_import(), replaces=None)

    meanwhile(site, monkeypatch, post)
    with pytest.raises(UnavailableError):
        lambda_handler(EVENT, None)
    site.services.imports.advance("a.svs", "run-1", {"state": ImportState.READY})
    assert lambda_handler(EVENT, None) == {"state": "TRANSFERRING"}


def test_conflicting_starts_are_tried_at_most_5_times(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    def refuse(_store: object, record: ImportRecord, **_: object) -> None:
        tried.append(record.run_id)
        raise AlreadyExistsError("another import")

    monkeypatch.setattr(type(site.services.imports), "start", refuse)
    with pytest.raises(UnavailableError):
        lambda_handler(EVENT, None)
    assert len(tried) == 5


@pytest.mark.parametrize("source", [None, "s3://drop-in/2025/a.svs?versionId=1"])
def test_running_import_of_another_file_is_not_replaced(site: Site, source: str | None) -> None:
    site.services.imports.start(slide_import(source=source), replaces=None)
    with pytest.raises(UnavailableError):
        lambda_handler(EVENT, None)
    assert stored(site).run_id == "run-1"


@pytest.mark.parametrize("size", [1938955, 5])
@pytest.mark.parametrize("more", [{}, {"sha256": "0" * 64}])
def test_running_import_of_an_object_is_not_replaced_by_a_scanner(
    site: Site, size: int, more: dict[str, str]
) -> None:
    lambda_handler(EVENT, None)
    before = stored(site)
    assert site.post("a.svs", size, **more) == (202, {"state": "TRANSFERRING"})
    assert stored(site) == before


def test_key_with_percent_sign_is_not_decoded(site: Site) -> None:
    assert (
        lambda_handler(event(key="50%25.svs"), None)["state"] == "TRANSFERRING"
    )  # EventBridge encodes nothing
    run = site.services.imports.get("50%25.svs")
    assert run is not None
    assert DroppedObject.from_source(run.source or "").key == "50%25.svs"


def test_unavailable_store_raises_unavailable_error(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise UnavailableError("the record store refuses")

    monkeypatch.setattr(type(site.services.imports), "start", refuse)
    with pytest.raises(UnavailableError):
        lambda_handler(EVENT, None)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=50)


@given(key=TEXT, version=TEXT, sequencer=st.text("0123456789ABCDEF", max_size=20))
def test_source_is_read_back_as_the_same_object(key: str, version: str, sequencer: str) -> None:
    made = DroppedObject("drop-in", key, version, None, sequencer)
    assert DroppedObject.from_source(made.source) == made


@pytest.mark.parametrize(
    "source", ["", "/folder", "s3://", "s3://drop-in/a.svs", "https://x/a.svs?versionId=1"]
)
def test_source_of_another_kind_is_refused(source: str) -> None:
    with pytest.raises(BadRequestError):
        DroppedObject.from_source(source)
