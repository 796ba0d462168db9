"""Publishing at the command line, and the check program that others may run on what they were given."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from vsv.deidentification.copy_writer import write_copy
from vsv.deidentification.policy import Policy

from tests.support.servers.publishing_site import publishing, store
from tests.support.slides.identified import SECRETS, all_secrets, contains, write_identified
from vsv_local.cli.main import main

ID, NAME = "1004486", "STUDY-7-0001"


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("VSV_DATA", "VSV_PUBLISHED"):
        monkeypatch.delenv(name, raising=False)
    with publishing(tmp_path / "data") as services:
        store(services, ID, write_identified(tmp_path / "a.svs").read_bytes())
    return tmp_path / "data"


def run(data: Path, *arguments: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(main, [*arguments, "--data", str(data)], input=answer)


def test_publish_check_and_withdraw_succeed_and_keep_the_name_reserved(data: Path) -> None:
    result = run(data, "publish", ID, NAME)
    assert result.exit_code == 0, result.output
    assert f"Slide {ID} is published as {NAME}\nPages left out: label, macro\n" in result.output
    assert not any(contains(result.output.encode(), secret) for secret in all_secrets() if secret != ID)
    checked = run(data, "check-published", ID, NAME)
    assert (checked.exit_code, "Nothing was found" in checked.output) == (0, True)
    assert "in all bytes" in checked.output
    assert run(data, "withdraw", ID, answer="n\n").exit_code == 1
    gone = run(data, "withdraw", ID, "--yes")
    assert (gone.exit_code, gone.output) == (0, f"Slide {ID} is no longer published: {NAME} was removed\n")
    again = run(data, "withdraw", ID, "--yes")
    assert (again.exit_code, "not published" in again.output) == (1, True)
    assert "was the name of a slide" in run(data, "publish", ID, NAME).output


def test_check_published_reports_planted_identifiers_and_exits_with_failure(data: Path) -> None:
    assert run(data, "publish", ID, NAME).exit_code == 0
    copy = data / "slides" / NAME / "slide.svs"
    copy.chmod(0o644)
    copy.write_bytes(copy.read_bytes() + b"Seen by Dr. Kildare" + SECRETS["User"].encode())
    result = run(data, "check-published", ID, NAME)
    assert result.exit_code == 1
    assert "LEAK: record: note" in result.output
    assert "LEAK: description key User" in result.output
    assert "Kildare" not in result.output
    as_json = json.loads(run(data, "check-published", ID, NAME, "--json").stdout)
    assert {"record: note", "description key User", "bytes that belong to nothing"} <= set(as_json["leaks"])


def test_check_published_compares_two_files_without_a_data_folder(tmp_path: Path) -> None:
    original, copy, nowhere = (
        write_identified(tmp_path / "a.svs"),
        tmp_path / "copy.svs",
        tmp_path / "nowhere",
    )
    policy = tmp_path / "policy.toml"
    policy.write_text('time = "keep"\nkeep_keys = ["Filtered"]\n')
    write_copy(original, copy, Policy(time="keep", keep_keys=("Filtered",)), None)
    assert run(nowhere, "check-published", str(original), str(copy), "--policy", str(policy)).exit_code == 0
    other = run(nowhere, "check-published", str(original), str(copy))
    assert (other.exit_code, "LEAK: description key Time" in other.output) == (1, True)
    assert run(nowhere, "check-published", str(original), str(original)).exit_code == 1


def test_publish_follows_a_policy_and_refuses_an_invalid_policy(data: Path, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text('dates = "keep"')
    wrong = run(data, "publish", ID, NAME, "--policy", str(policy))
    assert (wrong.exit_code, 'dates must be "drop" or "shift"' in wrong.output) == (1, True)
    policy.write_text('scanner_serial = "keep"')
    result = run(data, "publish", ID, NAME, "--policy", str(policy), "--json")
    assert result.exit_code == 0, result.output
    assert "ScanScope ID" in json.loads(result.stdout)["removed"]["kept"]
    assert run(data, "check-published", ID, NAME).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("publish", "nobody", NAME), "Slide not found"),
        (("publish", ID, "a/b"), "name of a published slide is 1 to 64"),
        (("publish", ID, f"x-{ID}"), "must not contain its present IDs (image id"),
        (("withdraw", ID, "--yes"), "not published"),
        (("check-published", "nobody", NAME), "neither a file nor a slide"),
        (("check-published", __file__, "nobody"), "there is no file nobody"),
        (("check-published", ID, "nobody"), "neither a file nor a published slide"),
        (("check-published", ID, "../x"), "ImageID is 1 to 64"),
    ],
)
def test_publish_commands_report_wrong_arguments(data: Path, arguments: tuple[str, ...], says: str) -> None:
    result = run(data, *arguments)
    assert (result.exit_code, says in result.output) == (1, True), result.output
