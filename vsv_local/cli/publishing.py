"""``vsv publish``, ``vsv withdraw`` and ``vsv check-published``: copies without patient data."""

import json
import sys
from pathlib import Path

import click
from vsv.deidentification.phi_scan import check
from vsv.deidentification.plan import policy_text, read_plan
from vsv.deidentification.policy import MAX_BYTES, Policy, read_policy
from vsv.deidentification.report import Report
from vsv.deidentification.staging import DESCRIPTION
from vsv.errors import FileMissingError, SlideNotFoundError
from vsv.identifiers import checked_image_id
from vsv.lifecycle import requests
from vsv.records.models import JobState
from vsv.services import Services
from vsv.storage.slide_files import SlideFiles

from vsv_local.cli.options import OPERATOR, data_option, existing, json_option, quiet
from vsv_local.cli.run_job import finish

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(short_help="Publish a copy without patient data")
@click.argument("image_id")
@click.argument("name")
@data_option
@click.option(
    "--policy", type=_FILE, help="The publishing policy; by default publishing.toml of the data folder."
)
@json_option
def publish(image_id: str, name: str, data: Path, policy: Path | None, as_json: bool) -> None:
    """Publish a copy of a slide without patient data as NAME, its ID in a study."""
    with existing(data) as services:
        job = requests.publish(services, image_id, name, OPERATOR, "" if policy is None else _text(policy))
        done = finish(services, job, quiet(as_json)).state is JobState.DONE
        described = _described(services.files, name) if done else {}
    if as_json:
        click.echo(json.dumps(described, indent=2))
    elif done:
        click.echo(f"Slide {image_id} is published as {name}")
        click.echo(Report.from_item(described["removed"]).text())


def _text(path: Path) -> str:
    """Read a policy file, so that its errors are reported here and not by a job."""
    text = path.read_bytes()[: MAX_BYTES + 1].decode("utf-8", "replace")
    read_policy(text)
    return text


def _described(files: SlideFiles, name: str) -> dict[str, dict[str, list[str]]]:
    found: dict[str, dict[str, list[str]]] = json.loads((files.folder(name) / DESCRIPTION).read_bytes())
    return found


@click.command(short_help="Withdraw a slide's published copy")
@click.argument("image_id")
@data_option
@click.option("--yes", is_flag=True, help="Do not ask.")
def withdraw(image_id: str, data: Path, yes: bool) -> None:
    """Withdraw a slide's published copy at once. Its name is not used again."""
    with existing(data) as services:
        yes or click.confirm(f"Withdraw the published copy of slide {image_id}?", abort=True)
        job = finish(services, requests.withdraw(services, image_id, OPERATOR), click.echo)
    if job.state is JobState.DONE:
        click.echo(f"Slide {image_id} is no longer published: {(job.result or {}).get('name')} was removed")


@click.command("check-published", short_help="Search a published copy for patient data")
@click.argument("original")
@click.argument("published")
@data_option
@click.option("--policy", type=_FILE, help="The policy by which the slide was published.")
@json_option
def check_published(original: str, published: str, data: Path, policy: Path | None, as_json: bool) -> None:
    """Search a published file for identifying data of its original; the exit status is 1 where some is found.

    ORIGINAL and PUBLISHED are files, or a stored slide's ImageID and its published name: then its record is searched
    for as well.
    """
    asked = None if policy is None else read_policy(_text(policy))
    if Path(original).is_file() and Path(published).is_file():
        found = check(Path(original), Path(published), asked or Policy())
    else:
        if Path(original).is_file():
            raise FileMissingError(
                f"there is no file {published}: two files are compared, or two slides here"
            )
        with existing(data) as services:
            record = services.slides.get(original)
            if record is None:
                raise SlideNotFoundError(f"there is neither a file nor a slide {original}")
            copy, by = _copy(services, published), asked or _policy_of(services, original)
            found = check(services.files.slide(original), copy, by, record)
    click.echo(json.dumps(found.to_item(), indent=2) if as_json else found.text())
    sys.exit(1 if found.leaks else 0)


def _copy(services: Services, published: str) -> Path:
    path = Path(published)
    if not path.is_file():
        path = services.files.slide(checked_image_id(published))
    if not path.is_file():
        raise FileMissingError(f"there is neither a file nor a published slide {published}")
    return path


def _policy_of(services: Services, image_id: str) -> Policy:
    """Return the policy by which a slide is published, else the data folder's."""
    plan = read_plan(services.files, image_id)
    return read_policy(policy_text(services, None) if plan is None else plan.policy)
