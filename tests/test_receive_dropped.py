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
from running import Site, site
from vsv import installation
from vsv.dropped import DroppedObject
from vsv.errors import BadRequestError, UnavailableError
from vsv.records import ImportState

EVENT = json.loads((Path(__file__).parent / "events/eventbridge/object_created.json").read_text())


class Waiting:
    """A starter that starts nothing: the machine is not what is tested here."""

    def __init__(self) -> None:
        self.started: list[str] = []

    def describe_source(self, filename: str, size: int) -> None:
        return None

    def start(self, run: Any) -> None:
        self.started.append(run.run_id)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path) as running:
        starter = Waiting()
        settings = replace(running.here.settings, drop_bucket="drop-in")
        running.here = replace(running.here, settings=settings, make_starter=lambda: starter)  # type: ignore[arg-type,return-value]
        installation.use(running.here)
        yield running


def event(bucket: str = "drop-in", **fields: Any) -> dict[str, Any]:
    """Give the recorded event with other fields of its object (None: without)."""
    made: dict[str, Any] = copy.deepcopy(EVENT)
    made["detail"]["bucket"]["name"] = bucket
    found = made["detail"]["object"] | {name.replace("_", "-"): value for name, value in fields.items()}
    made["detail"]["object"] = {name: value for name, value in found.items() if value is not None}
    return made


def test_an_object_becomes_an_import_that_knows_its_version(here: Site) -> None:
    assert lambda_handler(EVENT, None) == {"state": "TRANSFERRING"}
    run = here.here.imports.get("a.svs")
    assert run is not None
    assert (run.size, run.state) == (1938955, ImportState.TRANSFERRING)
    assert DroppedObject.from_source(run.source or "").version == "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e"
    assert here.here.files.incoming("a.svs").parent.is_dir()


def test_the_same_event_again_starts_nothing(here: Site) -> None:
    lambda_handler(EVENT, None)
    first = here.here.imports.get("a.svs")
    assert lambda_handler(EVENT, None) == {"state": "TRANSFERRING"}
    assert here.here.imports.get("a.svs") == first


@pytest.mark.parametrize("state", [ImportState.READY, ImportState.FAILED])
def test_nor_does_it_when_the_import_has_ended(here: Site, state: ImportState) -> None:
    lambda_handler(EVENT, None)
    run = here.here.imports.get("a.svs")
    assert run is not None
    here.here.imports.advance("a.svs", run.run_id, {"state": state})
    assert lambda_handler(EVENT, None) == {"state": state}


def test_a_later_version_replaces_an_earlier_one_and_not_the_other_way_round(here: Site) -> None:
    later = event(version_id="another", sequencer="0061")
    earlier = event(sequencer="00608F")
    lambda_handler(earlier, None)
    assert lambda_handler(later, None) == {"state": "TRANSFERRING"}
    run = here.here.imports.get("a.svs")
    assert lambda_handler(earlier, None) == {"state": None}
    assert here.here.imports.get("a.svs") == run


def test_a_bucket_without_versions_goes_by_the_etag(here: Site) -> None:
    lambda_handler(event(version_id=None), None)
    first = here.here.imports.get("a.svs")
    lambda_handler(event(version_id=None), None)
    assert here.here.imports.get("a.svs") == first
    lambda_handler(event(version_id=None, etag="0" * 32, sequencer="01"), None)
    assert here.here.imports.get("a.svs") != first


HOSTILE: list[Any] = [
    event(bucket="another"), event(key="folder/a.svs"), event(key="../a.svs"), event(key="a%2Fb"), event(key=""),
    event(key="a.txt"), event(key="folder/"), event(key="a.svs\n"), event(key=5), event(key="a" * 2000),
    event(key=None), event(size=None), event(size=-1), event(size="5"), event(size=1 << 60), event(size=True),
    event(version_id=None, etag=None), event(version_id=["1"]), event(sequencer=5),
    {}, {"detail": None}, {"detail": []}, {"detail": {}}, {"detail": {"bucket": None}},
    {"detail": {"bucket": {"name": "drop-in"}, "object": []}},
]  # fmt: skip


@pytest.mark.parametrize("hostile", HOSTILE, ids=repr)
def test_what_cannot_become_a_slide_is_refused_without_an_error(
    here: Site, hostile: Any, caplog: pytest.LogCaptureFixture
) -> None:
    assert lambda_handler(hostile, None) == {"state": None}
    assert "not imported" in caplog.text
    assert here.here.imports.list_all().items == ()


def test_a_name_with_percent_signs_is_what_it_says(here: Site) -> None:
    assert (
        lambda_handler(event(key="50%25.svs"), None)["state"] == "TRANSFERRING"
    )  # EventBridge encodes nothing
    run = here.here.imports.get("50%25.svs")
    assert run is not None
    assert DroppedObject.from_source(run.source or "").key == "50%25.svs"


def test_a_store_that_does_not_answer_is_asked_again_by_lambda(
    here: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise UnavailableError("the record store refuses")

    monkeypatch.setattr(type(here.here.imports), "start", refuse)
    with pytest.raises(UnavailableError):
        lambda_handler(EVENT, None)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=50)


@given(key=TEXT, version=TEXT, sequencer=st.text("0123456789ABCDEF", max_size=20))
def test_a_source_says_which_object_it_is(key: str, version: str, sequencer: str) -> None:
    made = DroppedObject("drop-in", key, version, None, sequencer)
    assert DroppedObject.from_source(made.source) == made


@pytest.mark.parametrize(
    "source", ["", "/folder", "s3://", "s3://drop-in/a.svs", "https://x/a.svs?versionId=1"]
)
def test_other_sources_are_no_objects(source: str) -> None:
    with pytest.raises(BadRequestError):
        DroppedObject.from_source(source)
