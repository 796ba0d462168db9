"""Published slides are served under their new name and nothing else of them; every step survives its process."""

import base64
import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import openslide
import pytest
from review_slides.graphql_errors import ReviewError
from review_slides.handler import lambda_handler as review_slides
from serve_image.handler import lambda_handler as serve_image
from vsv.deidentification.phi_scan import check
from vsv.deidentification.policy import Policy
from vsv.errors import (
    AlreadyExistsError,
    BadRequestError,
    ConflictError,
    ImageNotFoundError,
    InvalidNameError,
    LeakError,
    SlideNotFoundError,
    UnavailableError,
    UnreadableSlideError,
    UnsupportedError,
    VsvError,
)
from vsv.ingest.validation import checksum
from vsv.lifecycle import daily_schedule, job_runner, requests
from vsv.records.models import JobKind, JobState, Status
from vsv.services import Services
from vsv.storage import atomic_write
from vsv.storage.numeric_ids import assign_number
from vsv.storage.originals import note_original
from vsv.storage.slide_files import Claim
from vsv.workflow.transitions import Decider, change

from tests.http.test_graphql_events import event, user
from tests.support.paths import ROOT
from tests.support.servers.publishing_site import BARCODE, publish, publishing, store, withdraw
from tests.support.slides.aperio import JPEG2000_RGB, replace_tile, tile_bytes
from tests.support.slides.damaged import FULL, with_broken_scan
from tests.support.slides.identified import SECRETS, Secret, all_secrets, contains, write_identified
from vsv_local.server.api_gateway_events import http_event

ID, NAME = "1004486", "STUDY-7-0001"
ADMIN = Decider("Eve", is_admin=True)
DEATHS = int(os.environ.get("VSV_KILL_ROUNDS", "8"))


@cache
def content(plan: Secret = Secret()) -> bytes:  # noqa: B008
    with TemporaryDirectory() as folder:
        return write_identified(Path(folder) / "a.svs", plan).read_bytes()


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    with publishing(tmp_path / "data") as services:
        store(services, ID, content())
        yield services


def record(services: Services, image_id: str = ID) -> Any:
    found = services.slides.get(image_id)
    assert found
    return found


def get(path: str) -> tuple[int, str, bytes]:
    address, _, query = path.partition("?")
    answer = serve_image(http_event("GET", address, query, ((b"host", b"localhost"),)), None)
    body = answer["body"]
    return (
        answer["statusCode"],
        json.dumps(answer["headers"]),
        base64.b64decode(body) if answer.get("isBase64Encoded") else body.encode(),
    )


def out(services: Services, suffix: str = "svs") -> Path:
    return services.files.root / "published" / f"{NAME}.{suffix}"


def test_publish_stores_copy_report_and_record(services: Services) -> None:
    result = publish(services, ID, NAME)
    folder = services.files.folder(NAME)
    assert result == {"name": NAME, "sha256": checksum(folder / "slide.svs")}
    assert {path.name for path in folder.iterdir()} == {
        "import.json", "slide.svs", "pyramid.tif", "thumbnail.jpeg", "published.json",
    }  # fmt: skip
    assert out(services).read_bytes() == (folder / "slide.svs").read_bytes()
    assert out(services, "json").read_bytes() == (folder / "published.json").read_bytes()
    found = record(services)
    assert (found.status, found.status_before, found.published_as) == (Status.PUBLISHED, "GOOD", NAME)
    changes = {(c.field, c.new, c.by) for c in services.slides.history(ID).items}
    assert {("Status", "PUBLISHED", "Eve"), ("PublishedAs", NAME, "Eve")} <= changes
    assert check(services.files.slide(ID), folder / "slide.svs", Policy(), found).leaks == ()
    assert list((services.files.root / "publishing").iterdir()) == []
    assert services.slides.get(NAME) is None


def test_published_files_contain_no_identifiers_of_the_original(services: Services) -> None:
    publish(services, ID, NAME)
    places = [*services.files.folder(NAME).iterdir(), *(services.files.root / "published").iterdir()]
    for path in places:
        for secret in (*all_secrets(), ID, BARCODE, "Quincy", "Kildare", "2009"):
            assert not contains(path.read_bytes(), secret), (path.name, secret)
    described = json.loads(out(services, "json").read_bytes())
    assert set(described) == {"name", "when", "sha256", "size", "removed"}
    assert (described["name"], described["sha256"]) == (NAME, checksum(out(services)))
    assert described["removed"]["pages"] == ["label", "macro"]


def test_published_pyramid_is_a_hard_link_to_the_original_pyramid(services: Services) -> None:
    publish(services, ID, NAME)
    assert services.files.pyramid(NAME).samefile(services.files.pyramid(ID))


def test_damage_of_published_slide_is_told_with_the_copy_and_is_not_cached(
    services: Services, tmp_path: Path
) -> None:
    path = tmp_path / "damaged.svs"
    path.write_bytes(content())
    store(services, "7001", with_broken_scan(path, FULL, 0).read_bytes())
    publish(services, "7001", NAME)
    slide = services.slide_cache.slide(NAME)
    assert slide.damage.counts() == {str(slide.max_level): "1"}
    address = f"/DeepZoom/{NAME}_files/{slide.max_level - 1}/0_0.jpeg"
    answer = serve_image(http_event("GET", address, "", ((b"host", b"localhost"),)), None)
    assert (answer["statusCode"], answer["headers"]["cache-control"]) == (200, "private, no-cache")
    withdraw(services, "7001")
    assert not services.files.folder(NAME).exists()


def test_published_answers_do_not_reveal_rendering_time(services: Services) -> None:
    scanned = 1_262_080_755_123_456_789
    os.utime(services.files.pyramid(ID), ns=(scanned, scanned))
    publish(services, ID, NAME)
    address = f"/DeepZoom/{NAME}_files/9/0_0.jpeg"
    answer = serve_image(http_event("GET", address, "", ((b"host", b"localhost"),)), None)
    assert answer["statusCode"] == 200
    assert f"{scanned:x}" not in answer["headers"]["etag"]
    assert services.files.pyramid(NAME).stat().st_mtime_ns != scanned


def test_publish_renders_pyramid_again_when_pyramid_contains_text(services: Services) -> None:
    tile = tile_bytes(services.files.pyramid(ID), 0, 0)
    replace_tile(services.files.pyramid(ID), 0, 0, tile[:2] + b"\xff\xfe\x00\x0cmustermann" + tile[2:])
    publish(services, ID, NAME)
    assert not contains(services.files.pyramid(NAME).read_bytes(), "mustermann")


def test_publish_renders_missing_pyramid(services: Services) -> None:
    services.files.pyramid(ID).unlink()
    publish(services, ID, NAME)
    slide = services.slide_cache.slide(NAME)
    assert set(slide.levels) == set(range(slide.grid.level_count))


def test_all_protocols_serve_published_slide_without_identifiers(services: Services) -> None:
    publish(services, ID, NAME)
    one, other = services.slide_cache.slide(ID), services.slide_cache.slide(NAME)
    assert one.grid == other.grid
    for level in range(one.grid.level_count):
        columns, rows = one.grid.tile_counts(level)
        for address in {(0, 0), (columns - 1, rows - 1)}:
            tile = f"_files/{level}/{address[0]}_{address[1]}.jpeg"
            first, second = get(f"/DeepZoom/{ID}{tile}"), get(f"/DeepZoom/{NAME}{tile}")
            assert (first[0], second[0]) == (200, 200)
            assert first[2] == second[2]
    number = assign_number(services.files, NAME)
    for address in (
        f"/DeepZoom/{NAME}.dzi",
        f"/DeepZoom/{NAME}_files/thumbnail.jpeg",
        f"/iiif/{NAME}/info.json",
        f"/iiif/{NAME}/manifest.json",
        f"/iiif/2/{NAME}/info.json",
        f"/iiif/{NAME}/0,0,300,300/150,/0/default.jpg",
        f"/webgateway/imgData/{number}/",
        f"/webgateway/render_image_region/{number}/0/0/?tile=0,0,0,256,256",
        f"/webgateway/render_thumbnail/{number}/",
    ):
        status, headers, body = get(address)
        assert status == 200, address
        for secret in (*all_secrets(), ID, BARCODE, "Quincy", "Kildare"):
            assert not contains(body + headers.encode(), secret), (address, secret)
    for name in ("label", "macro"):
        with pytest.raises(ImageNotFoundError):
            services.files.read_associated(NAME, name)


def test_published_slide_cannot_be_changed(services: Services) -> None:
    publish(services, ID, NAME)
    for changes in ({"status": Status.DELETED}, {"note": "x"}, {"slide_id": "x"}):
        with pytest.raises(SlideNotFoundError):
            change(services, NAME, changes, ADMIN)
    eve = user("Admins", "Technicians", name="eve")
    asked = event("Mutation", "updateSlide", {"input": {"ImageID": NAME, "SlideID": "x"}}, eve)
    with pytest.raises(ReviewError, match="Slide not found"):
        review_slides(asked, None)
    listed = review_slides(event("Query", "listSlides", {}, eve), None)
    assert [slide["ImageID"] for slide in listed["items"]] == [ID]
    with pytest.raises(SlideNotFoundError):
        requests.publish(services, NAME, "STUDY-7-0002", ADMIN)


@pytest.mark.parametrize("codec", [JPEG2000_RGB])
def test_publish_keeps_pixels_of_jpeg_2000_slide(codec: int, tmp_path: Path) -> None:
    with publishing(tmp_path / "data") as services:
        store(services, ID, content(Secret(codec=codec)))
        publish(services, ID, NAME)
        with (
            openslide.OpenSlide(services.files.slide(ID)) as one,
            openslide.OpenSlide(out(services)) as other,
        ):
            for level, size in enumerate(one.level_dimensions):
                first, second = (np.asarray(s.read_region((0, 0), level, size)) for s in (one, other))
                assert np.array_equal(first, second)


def test_publish_removes_identifiers_of_the_real_slide(real_slide: Path, tmp_path: Path) -> None:
    with publishing(tmp_path / "data") as services:
        store(services, ID, real_slide.read_bytes())
        publish(services, ID, NAME)
        for path in services.files.folder(NAME).iterdir():
            for secret in ("CMU-1", "CPAPERIOCS", "b414003d", ID, "12/29/09", "09:59:15"):
                assert not contains(path.read_bytes(), secret)


def test_publish_copies_original_in_place_and_refuses_changed_original(tmp_path: Path) -> None:
    with publishing(tmp_path / "data") as services:
        store(services, ID, content())
        scanned = tmp_path / "scanned.svs"
        services.files.slide(ID).rename(scanned)
        services.files.slide(ID).symlink_to(scanned)
        note_original(services.files, ID, scanned.stat().st_size, scanned.stat().st_mtime_ns)
        publish(services, ID, NAME)
        assert not services.files.slide(NAME).is_symlink()
        scanned.touch()
        os.utime(scanned, (1, 1))
        withdraw(services, ID)
        with pytest.raises(ConflictError, match="changed since"):
            publish(services, ID, "STUDY-7-0002")


def test_publish_is_repeatable_without_changes(services: Services) -> None:
    first = publish(services, ID, NAME)
    version, inode = record(services).version, services.files.slide(NAME).stat().st_ino
    assert publish(services, ID, NAME) == first
    assert (record(services).version, services.files.slide(NAME).stat().st_ino) == (version, inode)


def test_publish_uses_policy_of_request_before_that_of_data_folder(services: Services) -> None:
    (services.files.root / "publishing.toml").write_text('time = "keep"')
    publish(services, ID, NAME)
    assert contains(out(services).read_bytes(), SECRETS["Time"])
    withdraw(services, ID)
    publish(services, ID, "STUDY-7-0002", 'dates = "shift"')
    with openslide.OpenSlide(services.files.slide("STUDY-7-0002")) as slide:
        assert "aperio.Time" not in slide.properties
        assert slide.properties["aperio.Date"] != SECRETS["Date"]
        assert len(slide.properties["aperio.Date"]) == len(SECRETS["Date"])


class TestRefusedPublication:
    def refused(self, services: Services, error: type[VsvError], says: str, name: str = NAME) -> None:
        before = sorted(path.name for path in (services.files.root / "slides").iterdir())
        with pytest.raises(error, match=says):
            publish(services, ID, name)
        assert sorted(path.name for path in (services.files.root / "slides").iterdir()) == before
        assert list((services.files.root / "published").iterdir()) == []
        assert list((services.files.root / "publishing").glob("*")) == []
        assert record(services).published_as is None

    @pytest.mark.parametrize("name", ["", "a/b", "..", "x" * 65, "CON"])
    def test_invalid_name_is_refused(self, services: Services, name: str) -> None:
        self.refused(services, InvalidNameError, "ImageID is", name)

    @pytest.mark.parametrize("name", [ID, "S12-34567-A1-x", "study-20091229", "s12-34567-a1-b"])
    def test_name_with_identifiers_is_refused(self, services: Services, name: str) -> None:
        self.refused(services, BadRequestError, "must not contain its present IDs", name)

    def test_name_of_another_slide_is_refused(self, services: Services) -> None:
        store(services, NAME, content())
        self.refused(services, AlreadyExistsError, "another slide")

    def test_name_of_slide_being_imported_is_refused(self, services: Services) -> None:
        services.files.claim(NAME, Claim("x.svs", 1, "x"))
        self.refused(services, AlreadyExistsError, "another slide")

    def test_name_of_deleted_slide_is_refused(self, services: Services) -> None:
        store(services, NAME, content())
        change(services, NAME, {"status": Status.DELETED}, ADMIN)
        self.refused(services, AlreadyExistsError, "withdrawn or deleted")

    def test_archived_original_is_refused(self, services: Services) -> None:
        services.slides.update(ID, {"original": "ARCHIVED"}, by="Eve")
        self.refused(services, ConflictError, "unarchive it first")

    def test_deleted_slide_is_refused(self, services: Services) -> None:
        change(services, ID, {"status": Status.DELETED}, ADMIN)
        self.refused(services, ConflictError, "is deleted")

    @pytest.mark.parametrize("status", [Status.NEW, Status.BAD])
    def test_slide_that_is_no_longer_good_is_refused(self, services: Services, status: Status) -> None:
        """It was when its publication was asked for."""
        services.slides.update(ID, {"status": status}, by="Ann")
        self.refused(services, ConflictError, f"{status} cannot be published")

    def test_unknown_slide_is_refused(self, services: Services) -> None:
        with pytest.raises(SlideNotFoundError):
            publish(services, "nobody", NAME)

    def test_invalid_policy_is_refused(self, services: Services) -> None:
        (services.files.root / "publishing.toml").write_text("dates = 1")
        self.refused(services, BadRequestError, "dates must be")

    def test_slide_of_another_format_is_refused(self, services: Services) -> None:
        data = content().replace(b"Aperio Image", b"Nobody Image")
        services.files.slide(ID).write_bytes(data)
        self.refused(services, UnsupportedError, "own program")

    def test_damaged_slide_is_refused(self, services: Services) -> None:
        replace_tile(services.files.slide(ID), 0, 3, b"nothing")
        self.refused(services, UnreadableSlideError, "tile 3 of page 0")

    def test_copy_with_a_leak_is_refused(self, services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
        """Should the copier ever forget something, the search finds it and nothing is put out."""
        from vsv.deidentification import staging  # noqa: PLC0415

        def careless(source: Path, target: Path, *more: Any) -> Any:
            report = copy(source, target, *more)
            target.write_bytes(target.read_bytes() + SECRETS["User"].encode())
            return report

        copy = staging.write_copy
        monkeypatch.setattr(staging, "write_copy", careless)
        self.refused(services, LeakError, "still holds")

    def test_copy_with_other_pixels_is_refused(
        self, services: Services, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from vsv.deidentification import staging  # noqa: PLC0415

        def careless(source: Path, target: Path, *more: Any) -> Any:
            report = copy(source, target, *more)
            replace_tile(target, 0, 0, tile_bytes(target, 0, 1))
            return report

        copy = staging.write_copy
        monkeypatch.setattr(staging, "write_copy", careless)
        monkeypatch.setattr(staging, "require_clean", lambda *_: None)
        self.refused(services, UnreadableSlideError, "other pixels")

    def test_second_name_is_refused(self, services: Services) -> None:
        publish(services, ID, NAME)
        with pytest.raises(ConflictError, match="under another name"):
            publish(services, ID, "STUDY-7-0002")

    def test_another_policy_is_refused(self, services: Services) -> None:
        publish(services, ID, NAME)
        with pytest.raises(ConflictError, match="another policy"):
            publish(services, ID, NAME, 'time = "keep"')


def failing_record(*_: Any) -> None:
    raise UnavailableError("the disk is gone")


class TestWithdraw:
    def test_withdraw_removes_published_slide_everywhere(self, services: Services) -> None:
        publish(services, ID, NAME)
        assert get(f"/DeepZoom/{NAME}.dzi")[0] == 200
        assert withdraw(services, ID) == {"name": NAME}
        assert get(f"/DeepZoom/{NAME}.dzi")[0] == 404
        assert get(f"/DeepZoom/{ID}.dzi")[0] == 200
        assert list((services.files.root / "published").iterdir()) == []
        assert [path.name for path in services.files.deleted_folder(NAME).iterdir()] == ["import.json"]
        found = record(services)
        assert (found.status, found.status_before, found.published_as) == (Status.GOOD, None, None)
        assert services.files.pyramid(ID).exists()
        assert withdraw(services, ID) == {}

    def test_withdrawn_name_is_never_used_again(self, services: Services) -> None:
        publish(services, ID, NAME)
        withdraw(services, ID)
        with pytest.raises(AlreadyExistsError, match="was the name"):
            publish(services, ID, NAME)
        assert publish(services, ID, "STUDY-7-0002")["name"] == "STUDY-7-0002"

    def test_failing_store_hides_slide_until_withdrawal_is_repeated(
        self, services: Services, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        publish(services, ID, NAME)

        def refuse(_key: str) -> None:
            raise UnavailableError("not now")

        with monkeypatch.context() as patched:
            patched.setattr(services.published, "remove", refuse)
            with pytest.raises(UnavailableError):
                withdraw(services, ID)
        assert get(f"/DeepZoom/{NAME}.dzi")[0] == 404
        assert record(services).published_as == NAME
        assert withdraw(services, ID) == {"name": NAME}
        assert not out(services).exists()

    def test_withdraw_keeps_archived_slide_archived(self, services: Services) -> None:
        publish(services, ID, NAME)
        changes = {"status": Status.ARCHIVED, "status_before": "PUBLISHED", "original": "ARCHIVED"}
        services.slides.update(ID, changes, by="Eve")
        services.files.slide(ID).unlink()
        withdraw(services, ID)
        found = record(services)
        assert (found.status, found.status_before, found.published_as) == (Status.ARCHIVED, "GOOD", None)


class TestPublicationFailures:
    def nothing_is_out(self, services: Services) -> None:
        assert get(f"/DeepZoom/{NAME}.dzi")[0] == 404
        assert not out(services).exists()
        assert record(services).published_as is None
        assert (
            hashlib.sha256(services.files.slide(ID).read_bytes()).digest()
            == hashlib.sha256(content()).digest()
        )

    def test_disk_error_at_any_write_leaves_no_partial_publication(
        self, services: Services, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        flush, left = atomic_write.flush, 0

        def refuse(path: Path) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise OSError((errno.ENOSPC, errno.EROFS, errno.EIO)[failing % 3], "no")
            flush(path)

        monkeypatch.setattr(atomic_write, "flush", refuse)
        for failing in range(1, 40):
            left = failing
            try:
                publish(services, ID, NAME)
            except UnavailableError as error:
                assert "disk" in str(error) or "folder" in str(error)
                if record(services).published_as is None and not services.files.slide(NAME).exists():
                    assert get(f"/DeepZoom/{NAME}.dzi")[0] == 404
            else:
                break
        else:
            raise AssertionError("it never ended")
        assert failing > 5
        assert record(services).published_as == NAME
        assert checksum(out(services)) == checksum(services.files.slide(NAME))

    def test_missing_store_leaves_slide_unpublished(self, services: Services) -> None:
        (services.files.root / "published").rmdir()
        with pytest.raises(UnavailableError):
            publish(services, ID, NAME)
        self.nothing_is_out(services)
        (services.files.root / "published").mkdir()
        assert publish(services, ID, NAME)["name"] == NAME

    def test_store_with_other_content_raises_conflict_and_keeps_that_content(
        self, services: Services
    ) -> None:
        out(services).write_bytes(b"somebody's")
        with pytest.raises(ConflictError):
            publish(services, ID, NAME)
        assert out(services).read_bytes() == b"somebody's"
        assert get(f"/DeepZoom/{NAME}.dzi")[0] == 404
        assert record(services).published_as is None

    def test_store_with_other_content_is_left_without_a_description(self, services: Services) -> None:
        out(services).write_bytes(b"somebody's")
        with pytest.raises(ConflictError):
            publish(services, ID, NAME)
        assert [path.name for path in (services.files.root / "published").iterdir()] == [f"{NAME}.svs"]
        assert (record(services).published_as, record(services).publishing_as) == (None, None)

    @pytest.mark.parametrize("calls_before", [0, 1, 2])
    def test_job_that_is_given_up_leaves_no_published_file_and_its_name_to_a_new_request(
        self, services: Services, monkeypatch: pytest.MonkeyPatch, calls_before: int
    ) -> None:
        put, calls = services.published.put, 0

        def failing(*arguments: Any) -> None:
            nonlocal calls
            calls += 1
            put(*arguments)
            if calls > calls_before:
                raise UnavailableError("the disk is gone")

        with monkeypatch.context() as patched:
            patched.setattr(job_runner, "ATTEMPTS", 1)
            patched.setattr(services.published, "put", failing)
            if calls_before == 2:
                patched.setattr("vsv.deidentification.publishing._record", failing_record)
            job = job_runner.run(services, requests.publish(services, ID, NAME, ADMIN))
        assert (job.state, "gone" in (job.error or "")) == (JobState.FAILED, True), job.error
        self.nothing_is_out(services)
        assert list((services.files.root / "published").iterdir()) == []
        assert record(services).publishing_as is None
        again = job_runner.run(services, requests.publish(services, ID, NAME, ADMIN))
        assert (again.state, again.error) == (JobState.DONE, None)
        assert checksum(out(services)) == checksum(services.files.slide(NAME))

    def test_daily_check_takes_back_what_could_not_be_taken_back_at_once(
        self, services: Services, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(job_runner, "ATTEMPTS", 1)
            patched.setattr("vsv.deidentification.publishing._record", failing_record)
            patched.setattr(services.published, "discard", failing_record)
            job = job_runner.run(services, requests.publish(services, ID, NAME, ADMIN))
        assert job.state is JobState.FAILED
        assert out(services).exists()
        assert record(services).publishing_as == NAME
        daily_schedule.look(services)
        self.nothing_is_out(services)
        assert list((services.files.root / "published").iterdir()) == []
        assert record(services).publishing_as is None

    def test_publication_started_under_another_name_is_removed(self, services: Services) -> None:
        out(services).write_bytes(b"somebody's")
        with pytest.raises(ConflictError):
            publish(services, ID, NAME)
        out(services).unlink()
        publish(services, ID, "STUDY-7-0002")
        assert record(services).published_as == "STUDY-7-0002"
        assert services.files.is_hidden(NAME)
        assert sorted(p.name for p in (services.files.root / "published").glob("STUDY-7-0001*")) == []

    def test_slide_deleted_during_publication_is_withdrawn(
        self, services: Services, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from vsv.deidentification import publishing  # noqa: PLC0415

        put = publishing._put_in_place

        def deleted_then(*arguments: Any) -> None:
            put(*arguments)
            services.slides.update(ID, {"status": Status.DELETED}, by="Ann")

        monkeypatch.setattr(publishing, "_put_in_place", deleted_then)
        with pytest.raises(ConflictError, match="the copy was withdrawn"):
            publish(services, ID, NAME)
        assert get(f"/DeepZoom/{NAME}.dzi")[0] == 404
        assert list((services.files.root / "published").iterdir()) == []


class TestInterruptedPublication:
    """Killed between the last of the files and the record: nobody can withdraw what no record tells of."""

    @pytest.fixture(autouse=True)
    def begun(self, services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
        from vsv.deidentification import publishing  # noqa: PLC0415

        class KilledError(BaseException):
            pass

        def killed(*_: Any) -> None:
            raise KilledError

        with monkeypatch.context() as patched:
            patched.setattr(publishing, "_record", killed)
            with pytest.raises(KilledError):
                publish(services, ID, NAME)
        assert get(f"/DeepZoom/{NAME}.dzi")[0] == 200
        assert record(services).published_as is None
        assert record(services).publishing_as == NAME

    def gone(self, services: Services) -> None:
        assert get(f"/DeepZoom/{NAME}.dzi")[0] == 404
        assert list((services.files.root / "published").iterdir()) == []
        assert list((services.files.root / "publishing").iterdir()) == []
        assert services.files.is_hidden(NAME)
        # The edge forgets a copy when its name goes from the record.
        assert record(services).publishing_as is None
        told = [
            (one.old, one.new) for one in services.slides.history(ID).items if one.field == "PublishingAs"
        ]
        assert told == [(NAME, None), (None, NAME)]

    def test_deletion_before_retry_removes_the_copy(self, services: Services) -> None:
        change(services, ID, {"status": Status.DELETED}, ADMIN)
        with pytest.raises(ConflictError, match="is deleted"):
            publish(services, ID, NAME)
        self.gone(services)

    def test_status_bad_before_retry_removes_the_copy(self, services: Services) -> None:
        change(services, ID, {"status": Status.BAD}, ADMIN)
        with pytest.raises(ConflictError, match="BAD"):
            publish(services, ID, NAME)
        self.gone(services)

    def test_withdraw_removes_the_copy(self, services: Services) -> None:
        job = job_runner.run(services, requests.withdraw(services, ID, ADMIN))
        assert (job.state, job.result) == (JobState.DONE, {"name": NAME})
        self.gone(services)
        with pytest.raises(ConflictError, match="not published"):
            requests.withdraw(services, ID, ADMIN)

    def test_purge_removes_the_copy(self, services: Services) -> None:
        change(services, ID, {"status": Status.DELETED}, ADMIN)
        job = job_runner.run(services, requests.purge(services, ID, ID, ADMIN))
        assert job.state is JobState.DONE
        self.gone(services)
        assert services.files.stored_size(ID) is None

    def test_content_stored_by_another_installation_stays(self, services: Services) -> None:
        services.published.remove(f"{NAME}.svs")
        other = services.files.root / "other"
        other.write_bytes(b"another installation's")
        services.published.put(other, f"{NAME}.svs", checksum(other))
        change(services, ID, {"status": Status.BAD}, ADMIN)
        with pytest.raises(ConflictError):
            publish(services, ID, NAME)
        assert out(services).read_bytes() == b"another installation's"
        assert get(f"/DeepZoom/{NAME}.dzi")[0] == 404


def _run(data: Path, kind: JobKind, event: int) -> int:
    script = ROOT / "tests/support/servers/publishing_site.py"
    paths = os.pathsep.join(str(path) for path in (ROOT / "functions", ROOT))
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONWARNINGS": "error"}
    command = [sys.executable, str(script), str(data), ID, str(kind), NAME, str(event)]
    ran = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
    assert ran.returncode in {0, -9}, ran.stderr
    return ran.returncode


def _check_consistent(services: Services, sha256: str) -> None:
    """Check what holds at every moment: what can be seen is whole, and what the record tells of is out."""
    assert services.files.slide(ID).read_bytes() == content()
    if services.files.slide(NAME).exists():
        assert checksum(services.files.slide(NAME)) == sha256
    stored = services.published.find(f"{NAME}.svs")
    assert stored is None or stored.sha256 == sha256
    if services.files.slide(NAME).exists():
        assert stored is not None
    found = record(services)
    assert (found.status is Status.PUBLISHED) == (found.published_as == NAME)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Make a data folder with a slide, once, and the checksum of its copy."""
    folder = tmp_path_factory.mktemp("reference")
    with publishing(folder / "data") as services:
        store(services, ID, content())
    shutil.copytree(folder, folder / "trial", ignore=shutil.ignore_patterns("trial"))
    with publishing(folder / "trial" / "data") as services:
        return folder, publish(services, ID, NAME)["sha256"]


def test_publish_killed_at_any_disk_change_leaves_no_published_file_when_it_may_not_be_repeated(
    reference: tuple[Path, str], tmp_path: Path
) -> None:
    base, killed = reference[0], 0
    moments = [30 + round(step * 40 / DEATHS) for step in range(DEATHS)]
    for moment in moments:
        folder = tmp_path / str(moment)
        shutil.copytree(base, folder, ignore=shutil.ignore_patterns("trial"))
        code = _run(folder / "data", JobKind.PUBLISH, moment)
        killed += code != 0
        with publishing(folder / "data") as services:
            if record(services).published_as is None:
                change(services, ID, {"status": Status.BAD}, ADMIN)
                with pytest.raises(ConflictError):
                    publish(services, ID, NAME)
                assert list((services.files.root / "published").iterdir()) == []
                assert get(f"/DeepZoom/{NAME}.dzi")[0] == 404
                assert record(services).publishing_as is None
        shutil.rmtree(folder)
    assert killed >= len(moments) // 3


@pytest.mark.parametrize("kind", [JobKind.PUBLISH, JobKind.WITHDRAW])
def test_publish_and_withdraw_killed_at_any_disk_change_complete_when_repeated(
    kind: JobKind, reference: tuple[Path, str], tmp_path: Path
) -> None:
    base, sha256 = reference
    if kind is JobKind.WITHDRAW:
        base = base / "trial"
    moments = [1 + round(step * (70 if kind is JobKind.PUBLISH else 12) / DEATHS) for step in range(DEATHS)]
    killed = 0
    for number, moment in enumerate(moments):
        folder = tmp_path / str(number)
        shutil.copytree(base, folder, ignore=shutil.ignore_patterns("trial"))
        code = _run(folder / "data", kind, moment)
        killed += code != 0
        with publishing(folder / "data") as services:
            if kind is JobKind.PUBLISH:
                _check_consistent(services, sha256)
                assert publish(services, ID, NAME)["sha256"] == sha256
                _check_consistent(services, sha256)
                assert record(services).published_as == NAME
            else:
                withdraw(services, ID)
                assert record(services).published_as is None
                assert get(f"/DeepZoom/{NAME}.dzi")[0] == 404
                assert list((services.files.root / "published").iterdir()) == []
        shutil.rmtree(folder)
    assert killed >= len(moments) // 3
