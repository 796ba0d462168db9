"""The import machine executed for real: see ``import_machine.py`` for what stands behind it."""

import hashlib
import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from vsv.errors import TransferError, UnavailableError, UnreadableSlideError
from vsv.ingest import receive
from vsv.ingest.latency import scan_to_viewable
from vsv.ingest.runs import NOT_THE_ONE
from vsv.records.models import ImportState

from tests.support.aws.import_machine import Machine, definition, machine
from tests.support.servers.running import wait_until
from tests.support.slides.small import OLD, half_written, other_scan, put, slide_bytes

SIZE = len(slide_bytes())
STORED = [f"slides/1004486/{name}" for name in ("import.json", "pyramid.tif", "slide.svs", "thumbnail.jpeg")]
TIMED_OUT = {
    "errorType": "Sandbox.Timedout",
    "errorMessage": "RequestId: 6f747a16 Error: Task timed out after 900.00 seconds",
}
THROTTLED = {"errorType": "Lambda.TooManyRequestsException", "errorMessage": "Rate Exceeded."}


@pytest.fixture
def aws(tmp_path: Path) -> Iterator[Machine]:
    with machine(tmp_path) as made:
        yield made


def attempts(state: str, error: str) -> int:
    """Return how often the definition tries a state that fails with an error."""
    retriers = definition()["States"][state]["Retry"]
    return 1 + next((one["MaxAttempts"] for one in retriers if error in one["ErrorEquals"]), 0)


def check_failed(aws: Machine, reason: str, name: str = "a.svs") -> None:
    """Check that the reason is told: in the record, and to the scanner."""
    run = aws.run(name)
    assert (aws.status(run), run.state) == ("FAILED", ImportState.FAILED)
    assert reason in (run.error or "")
    assert aws.post(name, run.size) == (422, {"state": "FAILED", "error": run.error})


def tags(aws: Machine, event: dict[str, Any]) -> dict[str, str]:
    """Return the tags of an object's version."""
    found = event["detail"]["object"]
    told = aws.s3.get_object_tagging(Bucket="drop-in", Key=found["key"], VersionId=found["version-id"])
    return {tag["Key"]: tag["Value"] for tag in told["TagSet"]}


def check_ready(aws: Machine, *names: str) -> None:
    for name in names or ("a.svs",):
        run = aws.run(name)
        assert (aws.status(run), run.state, run.error) == ("SUCCEEDED", ImportState.READY, None)
    assert [path for path in aws.files() if path.startswith("slides/1004486/")] == STORED
    assert aws.services.files.slide("1004486").read_bytes() == slide_bytes()


class TestScannerFiles:
    def test_posted_file_is_transferred_imported_and_ready(self, aws: Machine) -> None:
        assert aws.bring() == (200, {"filename": "a.svs", "size": SIZE})
        check_ready(aws)
        assert aws.files() == STORED
        assert [one.new for one in aws.services.slides.history("1004486").items] == ["NEW"]
        assert [one.names for one in aws.datasync.executions] == [["/a.svs"]]
        original = aws.scanner / "a.svs"
        assert (original.read_bytes(), original.stat().st_mtime_ns) == (slide_bytes(), OLD)
        first, *_, last = aws.states()
        assert (first, last) == ("Begin", "Ready")

    def test_waiting_files_are_transferred_by_a_single_execution(self, aws: Machine) -> None:
        names = ["a.svs", "b.svs", "c ü.svs"]
        for number, name in enumerate(names):
            put(aws.scanner, name, slide_bytes(str(number)))
        put(aws.scanner, "not asked for.svs")
        aws.datasync.held = True
        elsewhere = aws.datasync.begin([{"FilterType": "SIMPLE_PATTERN", "Value": "/z.svs"}])
        for name in names:
            aws.post(name, (aws.scanner / name).stat().st_size)
        aws.datasync.held = False
        aws.finish()
        assert {aws.run(name).state for name in names} == {ImportState.READY}
        theirs = [one for one in aws.datasync.executions if one is not elsewhere]
        assert [sorted(one.names) for one in theirs] == [[f"/{name}" for name in names]]
        assert sorted(theirs[0].sent) == names
        assert not any("incoming" in path or "taken" in path for path in aws.files())

    def test_running_execution_that_includes_the_file_is_followed(self, aws: Machine) -> None:
        aws.datasync.begin([{"FilterType": "SIMPLE_PATTERN", "Value": "/z.svs|/a.svs"}])
        assert aws.bring()[0] == 200
        assert len(aws.datasync.executions) == 1

    def test_running_execution_without_filter_is_followed(self, aws: Machine) -> None:
        aws.datasync.begin()
        assert aws.bring()[0] == 200
        assert len(aws.datasync.executions) == 1

    def test_running_execution_without_the_file_is_awaited_before_a_new_start(self, aws: Machine) -> None:
        put(aws.scanner, "z.svs", b"another file")
        aws.datasync.begin([{"FilterType": "SIMPLE_PATTERN", "Value": "/z.svs"}])
        assert aws.bring()[0] == 200
        assert [one.names for one in aws.datasync.executions] == [["/z.svs"], ["/a.svs"]]

    def test_growing_file_is_transferred_again_until_complete(self, aws: Machine) -> None:
        path = put(aws.scanner, "a.svs", slide_bytes()[:-1000])

        def grow(phase: str) -> None:
            if phase == "LAUNCHING" and len(aws.datasync.executions) == 2:
                put(aws.scanner, "a.svs", modified=OLD + 10**9)

        aws.datasync.before_phase = grow
        aws.post("a.svs", SIZE)
        aws.finish()
        check_ready(aws)
        assert [one.sent for one in aws.datasync.executions] == [["a.svs"], ["a.svs"]]
        assert 120 in aws.waits
        assert path.read_bytes() == slide_bytes()

    def test_half_written_file_waits_and_is_imported_once_it_is_written(self, aws: Machine) -> None:
        content, told = half_written(slide_bytes(), SIZE // 2), []
        put(aws.scanner, "a.svs", content, modified=time.time_ns())

        def write_on(phase: str) -> None:
            if phase == "LAUNCHING" and len(aws.datasync.executions) == 2:
                told.append(aws.run().error)
                told.append([file.rpartition(".")[2] for file in aws.files()])
                put(aws.scanner, "a.svs", modified=time.time_ns())

        aws.datasync.before_phase = write_on
        aws.post("a.svs", SIZE)
        aws.finish()
        check_ready(aws)
        assert told[0].startswith("the scanner is still writing (")
        assert told[1] == ["unfinished"]  # kept until the file has come again
        assert [one.sent for one in aws.datasync.executions] == [["a.svs"], ["a.svs"]]
        assert 120 in aws.waits
        assert aws.pauses == []
        assert aws.files() == STORED
        assert len(aws.records()) == 1

    def test_damaged_file_is_brought_again_once_and_goes_on_to_validation(self, aws: Machine) -> None:
        put(aws.scanner, "a.svs", bytes(SIZE), modified=time.time_ns())
        aws.post("a.svs", SIZE)
        aws.finish()
        check_failed(aws, "Not a supported slide file")
        assert [one.sent for one in aws.datasync.executions] == [["a.svs"], ["a.svs"]]

    def test_file_that_never_stays_as_it_is_fails_with_what_is_missing(self, aws: Machine) -> None:
        def write_on(phase: str) -> None:
            if phase == "LAUNCHING":
                written = SIZE // 4 + len(aws.datasync.executions) * SIZE // 8
                put(aws.scanner, "a.svs", half_written(slide_bytes(), written), modified=time.time_ns())

        put(aws.scanner, "a.svs", bytes(SIZE), modified=time.time_ns())
        aws.datasync.before_phase = write_on
        aws.post("a.svs", SIZE)
        aws.finish()
        check_failed(aws, "the scanner is still writing (")
        assert aws.records() == []

    def test_file_changed_during_transfer_is_transferred_again(self, aws: Machine) -> None:
        put(aws.scanner, "a.svs", slide_bytes()[:-1] + b"x")

        def change(phase: str) -> None:
            if phase == "VERIFYING" and len(aws.datasync.executions) == 1:
                put(aws.scanner, "a.svs", modified=OLD + 10**9)

        aws.datasync.before_phase = change
        aws.post("a.svs", SIZE)
        aws.finish()
        check_ready(aws)
        assert [one.error for one in aws.datasync.executions] == ["VerificationFailed", None]

    def test_truncated_file_fails_with_a_reason_and_is_kept(self, aws: Machine) -> None:
        content = slide_bytes()[: SIZE // 2]
        assert aws.bring("a.svs", content)[0] == 422
        check_failed(aws, "truncated")
        (kept,) = aws.files()
        assert kept.startswith("taken/a.svs/")
        assert (aws.services.files.root / kept).read_bytes() == content
        assert aws.records() == []
        assert aws.functions.calls.count("inspect_file") == 2

    def test_failed_file_is_replaced_by_the_next_file_of_its_name(self, aws: Machine) -> None:
        assert aws.bring("a.svs", slide_bytes()[: SIZE // 2])[0] == 422
        assert aws.bring("a.svs")[0] == 200
        assert aws.files() == STORED

    def test_retry_transfers_a_repaired_file_of_the_same_size_and_time(self, aws: Machine) -> None:
        assert aws.bring("a.svs", bytes(SIZE))[0] == 422
        put(aws.scanner, "a.svs", modified=OLD)  # not even its time tells
        receive.retry(aws.services, "a.svs")
        aws.deliver()
        aws.finish()
        check_ready(aws)
        assert aws.files() == STORED

    def test_missing_file_fails_with_a_reason_after_4_executions(self, aws: Machine) -> None:
        aws.post("a.svs", SIZE)
        aws.finish()
        check_failed(aws, "has not arrived: is it still in the scanner's folder?")
        assert len(aws.datasync.executions) == 4

    def test_failed_transfers_are_retried_after_growing_waits(
        self, aws: Machine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("transfer_file.transfer_progress.random.uniform", lambda _least, most: most)
        aws.datasync.fail_next = ["AgentOffline"] * 3
        assert aws.bring()[0] == 200
        assert [wait for wait in aws.waits if wait != 20] == [30, 60, 120]

    def test_transfer_that_keeps_failing_fails_with_a_hint_at_the_task(
        self, aws: Machine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("transfer_file.transfer_progress.MAX_ERRORS", 4)
        aws.datasync.fail_next = ["AgentOffline"] * 4
        assert aws.bring()[0] == 422
        check_failed(aws, "the transfer failed (AgentOffline) 4 times: check the DataSync task")

    def test_unavailable_datasync_is_requested_again(self, aws: Machine) -> None:
        aws.functions.fail("transfer_file", *[UnavailableError("DataSync does not answer now")] * 3)
        assert aws.bring()[0] == 200
        assert len(aws.pauses) == 3

    def test_file_overwritten_by_datasync_during_import_is_not_imported(self, aws: Machine) -> None:
        incoming = aws.services.files.incoming("a.svs")

        def write_again(*_: object) -> object:
            put(incoming.parent, "a.svs", b"the next scan")
            return read_scan(*_)  # type: ignore[arg-type]

        from vsv.ingest.extraction import read_scan  # noqa: PLC0415  patched below

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("vsv.ingest.extraction.read_scan", write_again)
            aws.bring()
        check_ready(aws)
        assert incoming.read_bytes() == b"the next scan"


class TestRequestedChecksum:
    SHA256 = hashlib.sha256(slide_bytes()).hexdigest()

    def test_content_of_another_checksum_is_transferred_again(self, aws: Machine) -> None:
        put(aws.scanner, "a.svs", other_scan(slide_bytes()))

        def replace(phase: str) -> None:
            if phase == "LAUNCHING" and len(aws.datasync.executions) == 2:
                put(aws.scanner, "a.svs")  # of the same size and time

        aws.datasync.before_phase = replace
        aws.post("a.svs", SIZE, sha256=self.SHA256)
        aws.finish()
        check_ready(aws)
        assert [one.sent for one in aws.datasync.executions] == [["a.svs"], ["a.svs"]]
        assert len(aws.records()) == 1
        assert aws.post("a.svs", SIZE, sha256=self.SHA256)[0] == 200

    def test_content_that_never_matches_fails_without_record(self, aws: Machine) -> None:
        put(aws.scanner, "a.svs", other_scan(slide_bytes()))
        aws.post("a.svs", SIZE, sha256=self.SHA256)
        aws.finish()
        run = aws.run()
        assert (run.state, run.error, run.expected) == (
            ImportState.FAILED,
            NOT_THE_ONE,
            self.SHA256,
        )
        assert aws.records() == []
        assert aws.files() == []

    def test_file_that_changed_before_it_was_ready_keeps_its_image_id(self, aws: Machine) -> None:
        half = other_scan(slide_bytes())
        aws.functions.fail("render_pyramid", UnreadableSlideError("half of it is missing"))
        put(aws.scanner, "a.svs", half)
        aws.post("a.svs", SIZE, sha256=hashlib.sha256(half).hexdigest())
        aws.finish()
        assert aws.records()[0].scan_date == "2009-12-30T09:59:15"
        put(aws.scanner, "a.svs", modified=OLD + 10**9)
        aws.post("a.svs", SIZE, sha256=self.SHA256)
        aws.finish()
        check_ready(aws)
        (record,) = aws.records()
        assert (record.image_id, record.scan_date) == ("1004486", "2009-12-29T09:59:15")
        assert aws.post("a.svs", SIZE, sha256=self.SHA256)[0] == 200

    def test_slide_that_was_confirmed_before_it_was_ready_is_not_replaced(self, aws: Machine) -> None:
        first = other_scan(slide_bytes())
        sha256 = hashlib.sha256(first).hexdigest()
        aws.functions.fail("render_pyramid", UnreadableSlideError("half of it is missing"))
        put(aws.scanner, "a.svs", first)
        aws.post("a.svs", SIZE, sha256=sha256)
        aws.finish()
        assert aws.post("a.svs", SIZE, sha256=sha256)[0] == 200
        assert aws.run().confirmed is True
        put(aws.scanner, "a.svs", modified=OLD + 10**9)
        aws.post("a.svs", SIZE, sha256=self.SHA256)
        aws.finish()
        assert aws.services.files.slide("1004486").read_bytes() == first
        assert len(aws.records()) == 2

    def test_post_with_another_checksum_starts_another_run(self, aws: Machine) -> None:
        put(aws.scanner, "a.svs")
        aws.datasync.held = True
        aws.post("a.svs", SIZE, sha256="0" * 64)
        aws.post("a.svs", SIZE, sha256=self.SHA256)
        aws.datasync.held = False
        aws.finish()
        check_ready(aws)
        assert len(aws.executions()) == 2


class TestTemporaryErrors:
    @pytest.mark.parametrize(
        ("step", "state"),
        [("inspect_file", "Inspect"), ("extract_metadata", "Extract"), ("render_pyramid", "Render")],
    )
    def test_step_is_retried_as_often_as_defined_and_then_fails(
        self, aws: Machine, step: str, state: str
    ) -> None:
        aws.functions.fail(step, *[UnavailableError("the disk is away")] * 999)
        assert aws.bring()[0] in {200, 422}
        tried = attempts(state, "UnavailableError")
        assert aws.functions.calls.count(step) == tried
        assert len(aws.pauses) == tried - 1
        assert max(aws.pauses) <= 300
        run = aws.run()
        assert (run.state, run.error) == (ImportState.FAILED, "the disk is away")

    def test_step_succeeds_after_temporary_errors(self, aws: Machine) -> None:
        for step in ("inspect_file", "extract_metadata", "render_pyramid"):
            aws.functions.fail(step, UnavailableError("the disk is away"), THROTTLED)
        assert aws.bring()[0] == 200
        check_ready(aws)
        assert len(aws.pauses) == 6

    def test_throttled_rendering_is_retried_until_it_runs(self, aws: Machine) -> None:
        aws.functions.fail("render_pyramid", *[THROTTLED] * 30)
        assert aws.bring()[0] == 200
        assert aws.functions.calls.count("render_pyramid") == 31

    def test_full_disk_is_retried_until_there_is_space(
        self, aws: Machine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from vsv.ingest.extraction import encode  # noqa: PLC0415  patched below

        left = [OSError(28, "No space left on device", "/secret/path")] * 2

        def refuse(image: Any) -> bytes:
            if left:
                raise left.pop()
            return encode(image)

        monkeypatch.setattr("vsv.ingest.extraction.encode", refuse)
        assert aws.bring()[0] == 200
        assert aws.functions.calls.count("extract_metadata") == 3

    def test_function_that_timed_out_once_is_retried(self, aws: Machine) -> None:
        aws.functions.fail("render_pyramid", TIMED_OUT)
        assert aws.bring()[0] == 200


class TestPermanentErrors:
    def test_unreadable_slide_fails_without_retry(self, aws: Machine) -> None:
        aws.functions.fail("extract_metadata", UnreadableSlideError("the label cannot be read"))
        assert aws.bring()[0] == 422
        check_failed(aws, "the label cannot be read")
        assert aws.functions.calls.count("extract_metadata") == 1
        assert aws.pauses == []

    def test_unexpected_error_is_reported_without_details(self, aws: Machine) -> None:
        aws.functions.fail("extract_metadata", KeyError("/secret/path"))
        assert aws.bring()[0] == 422
        check_failed(aws, "an unexpected error stopped the import")
        assert "secret" not in json.dumps(aws.post("a.svs", SIZE)[1])

    @pytest.mark.parametrize("told_as", ["Sandbox.Timedout", "Lambda.Unknown"])
    def test_rendering_that_times_out_is_tried_twice_and_fails(self, aws: Machine, told_as: str) -> None:
        aws.functions.fail("render_pyramid", *[TIMED_OUT | {"errorType": told_as}] * 9)
        aws.bring()
        run = aws.run()
        assert (aws.status(), run.state) == ("FAILED", ImportState.FAILED)
        assert "rendering took too long" in (run.error or "")
        assert aws.functions.calls.count("render_pyramid") == attempts("Render", told_as) == 2

    def test_failure_that_cannot_be_recorded_is_recorded_from_eventbridge(self, aws: Machine) -> None:
        aws.functions.fail("extract_metadata", UnreadableSlideError("the label cannot be read"))
        aws.functions.fail("record_failure", *[UnavailableError("no table")] * 99)
        aws.bring()
        assert aws.functions.calls.count("record_failure") == attempts("RecordFailure", "States.ALL")
        assert (aws.status(), aws.run().state) == ("FAILED", ImportState.IMPORTING)
        aws.tell_of_the_end()
        check_failed(aws, "the label cannot be read")

    def test_retry_of_failed_rendering_succeeds_without_the_file_of_the_scanner(self, aws: Machine) -> None:
        aws.functions.fail("render_pyramid", UnreadableSlideError("a tile is damaged"))
        assert aws.bring()[0] == 422
        assert len(aws.records()) == 1
        (aws.scanner / "a.svs").unlink()  # it was safe here before its pyramid was rendered
        receive.retry(aws.services, "a.svs")
        aws.deliver()
        aws.finish()
        check_ready(aws)
        assert len(aws.datasync.executions) == 1
        assert aws.post("a.svs", SIZE)[0] == 200
        assert [one.version for one in aws.records()] == [1]


class TestStarting:
    def test_polling_and_double_delivery_start_a_single_execution(self, aws: Machine) -> None:
        put(aws.scanner, "a.svs")
        aws.datasync.held = True
        for _ in range(3):
            assert aws.post("a.svs", SIZE)[0] == 202
            aws.deliver(again=True)
        aws.datasync.held = False
        aws.finish()
        aws.deliver(again=True)
        aws.finish()
        check_ready(aws)
        assert len(aws.executions()) == len(aws.datasync.executions) == 1

    def test_lost_start_is_repeated_by_the_next_post(
        self, aws: Machine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put(aws.scanner, "a.svs")
        an_hour_ago = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
        monkeypatch.setattr("vsv.ingest.receive.now_utc", lambda: an_hour_ago)
        with monkeypatch.context() as lost:
            lost.setattr(Machine, "deliver", lambda self: setattr(self, "_seen", len(self._stream())))
            lost.setattr("vsv.aws.stream_import_starter.StreamStarter.start", lambda _self, _run: None)
            aws.post("a.svs", SIZE)
        assert aws.executions() == []
        assert aws.post("a.svs", SIZE)[0] == 202
        aws.finish()
        check_ready(aws)

    def test_replaced_run_ends_as_superseded(self, aws: Machine) -> None:
        put(aws.scanner, "a.svs", slide_bytes()[:5000])
        aws.datasync.held = True
        aws.post("a.svs", 5000)
        put(aws.scanner, "a.svs", modified=OLD + 10**9)
        aws.post("a.svs", SIZE)
        aws.datasync.held = False
        aws.finish()
        check_ready(aws)
        assert sorted(aws.states(number)[-1] for number in range(2)) == ["Ready", "Superseded"]
        assert len(aws.records()) == 1

    @pytest.mark.parametrize(
        ("status", "reason"), [("ABORTED", "was stopped"), ("TIMED_OUT", "took too long")]
    )
    def test_execution_stopped_from_outside_fails_and_can_be_retried(
        self, aws: Machine, status: str, reason: str
    ) -> None:
        put(aws.scanner, "a.svs")
        aws.datasync.held = True
        aws.post("a.svs", SIZE)
        wait_until(lambda: aws.datasync.executions, "the transfer began")
        aws.sfn.stop_execution(executionArn=aws.executions()[0]["executionArn"])
        aws.datasync.held = False
        aws.finish()
        assert aws.run().state is ImportState.TRANSFERRING
        aws.tell_of_the_end(status=status)
        run = aws.run()
        assert (run.state, reason in (run.error or "")) == (ImportState.FAILED, True)
        receive.retry(aws.services, "a.svs")
        aws.deliver()
        aws.finish()
        check_ready(aws)
        aws.tell_of_the_end(number=0, status=status)  # told twice, of a run that was replaced
        check_ready(aws)

    @pytest.mark.parametrize("again", ["retry", "post"])
    def test_run_without_recorded_end_is_restarted_after_its_longest_life(
        self, aws: Machine, again: str
    ) -> None:
        put(aws.scanner, "a.svs")
        aws.datasync.held = True
        aws.post("a.svs", SIZE)
        wait_until(lambda: aws.datasync.executions, "the transfer began")
        aws.sfn.stop_execution(executionArn=aws.executions()[0]["executionArn"])
        aws.datasync.held = False
        aws.finish()
        receive.retry(aws.services, "a.svs")
        aws.deliver(again=True)
        assert len(aws.executions()) == 1  # it may still be at work
        week_ago = (datetime.now(UTC) - timedelta(days=7)).isoformat()
        aws.services.imports.advance("a.svs", aws.run().run_id, {"started_at": week_ago})
        if again == "retry":
            receive.retry(aws.services, "a.svs")
            aws.deliver()
        else:
            assert aws.post("a.svs", SIZE)[0] == 202
        aws.finish()
        check_ready(aws)

    def test_slide_of_run_replaced_before_rendering_gets_its_pyramid(self, aws: Machine) -> None:
        put(aws.scanner, "a.svs")
        begin = []

        def replace(*arguments: Any) -> Any:
            ended = scan_to_viewable(*arguments)  # the last that extracting does
            if not begin:
                begin.append(aws.hear(aws.drop("a.svs", other_scan(slide_bytes()))))
            return ended

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("extract_metadata.handler.scan_to_viewable", replace)
            aws.hear(aws.drop("a.svs", slide_bytes()))
            aws.finish()
        check_ready(aws)
        assert sorted(aws.states(number)[-1] for number in range(2)) == ["Ready", "Superseded"]
        assert len(list(aws.services.files.root.glob("slides/*/pyramid.tif"))) == len(aws.records()) == 2


class TestDroppedObjects:
    def test_dropped_object_is_copied_imported_and_tagged(self, aws: Machine) -> None:
        event = aws.drop("a.svs", slide_bytes())
        assert aws.hear(event) == {"state": "TRANSFERRING"}
        aws.finish()
        check_ready(aws)
        assert aws.files() == STORED
        version = event["detail"]["object"]["version-id"]
        assert (aws.run().source or "").startswith(f"s3://drop-in/a.svs?versionId={version}&")
        assert aws.datasync.executions == []
        assert aws.s3.head_object(Bucket="drop-in", Key="a.svs")["ContentLength"] == SIZE
        assert tags(aws, event) == {"vsv": "imported"}  # and may go in time

    def test_object_that_failed_to_import_is_not_tagged(self, aws: Machine) -> None:
        event = aws.drop("a.svs", bytes(SIZE))
        aws.hear(event)
        aws.finish()
        check_failed(aws, "Not a supported slide file")
        assert tags(aws, event) == {}

    def test_key_with_folders_is_imported_under_its_last_part(self, aws: Machine) -> None:
        event = aws.drop("2026/11/a.svs", slide_bytes())
        aws.hear(event)
        aws.finish()
        check_ready(aws)
        assert tags(aws, event) == {"vsv": "imported"}

    def test_double_delivery_starts_a_single_execution(self, aws: Machine) -> None:
        event = aws.drop("a.svs", slide_bytes())
        for _ in range(3):
            aws.hear(event)
        aws.finish()
        assert aws.hear(event) == {"state": "READY"}
        check_ready(aws)
        assert len(aws.executions()) == len(aws.records()) == 1

    def test_half_written_object_waits_for_its_next_version(self, aws: Machine) -> None:
        first = aws.drop("a.svs", half_written(slide_bytes(), SIZE // 2))
        states = []

        def note(seconds: float) -> None:
            if seconds == 120 and not states:
                states.append((aws.run().error, len(aws.records())))
                aws.hear(aws.drop("a.svs", slide_bytes()))

        aws.on_wait = note
        aws.hear(first)
        aws.finish()
        ((error, records),) = states
        assert error is not None
        assert error.startswith("the scanner is still writing (")
        assert records == 0
        check_ready(aws)
        assert len(aws.records()) == 1

    def test_damaged_object_goes_on_to_validation_after_the_wait(self, aws: Machine) -> None:
        aws.hear(aws.drop("a.svs", bytes(SIZE)))
        aws.finish()
        check_failed(aws, "Not a supported slide file")

    def test_later_version_of_the_same_size_is_imported_as_another_slide(self, aws: Machine) -> None:
        first = aws.drop("a.svs", slide_bytes())
        aws.hear(first)
        aws.finish()
        second = aws.drop("a.svs", other_scan(slide_bytes()))
        aws.hear(second)
        aws.finish()
        assert aws.hear(first) == {"state": None}  # late, and older than what is here
        assert len(aws.executions()) == len(aws.records()) == 2

    def test_object_missing_from_the_bucket_fails_with_a_reason(self, aws: Machine) -> None:
        event = aws.drop("a.svs", slide_bytes())
        aws.s3.delete_object(Bucket="drop-in", Key="a.svs", VersionId=event["detail"]["object"]["version-id"])
        aws.hear(event)
        aws.finish()
        check_failed(aws, "no longer in the bucket: upload it again")

    def test_retry_copies_a_failed_object_again(self, aws: Machine) -> None:
        aws.functions.fail("copy_dropped", *[TransferError("the copy differs")] * 9)
        aws.hear(aws.drop("a.svs", slide_bytes()))
        aws.finish()
        check_failed(aws, "the copy differs")
        aws.functions.failures.clear()
        receive.retry(aws.services, "a.svs")
        aws.deliver()
        aws.finish()
        check_ready(aws)

    def test_dropped_object_is_never_requested_from_datasync(self, aws: Machine) -> None:
        os.utime(put(aws.scanner, "b.svs", slide_bytes("2")), ns=(OLD, OLD))
        aws.functions.fail("copy_dropped", *[UnavailableError("not now")] * 3)
        aws.hear(aws.drop("a.svs", slide_bytes()))
        aws.post("b.svs", (aws.scanner / "b.svs").stat().st_size)
        aws.finish()
        check_ready(aws, "a.svs", "b.svs")
        assert [one.names for one in aws.datasync.executions] == [["/b.svs"]]
