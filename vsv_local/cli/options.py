"""Define what the commands share: the options ``--data`` and ``--json``, and opening the data folder."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import platformdirs
from vsv.services import Services
from vsv.settings import DATA
from vsv.workflow.transitions import Decider

from vsv_local.composition import standalone

# A person with access to the data folder may do everything with it.
OPERATOR = Decider("vsv", is_admin=True)


def _default_data() -> Path:
    return Path(DATA.read(os.environ)[0] or platformdirs.user_data_path("vsv", appauthor=False))


def data_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--data`` to a command."""
    return click.option(
        "--data",
        type=click.Path(file_okay=False, path_type=Path),
        default=_default_data,
        show_default="$VSV_DATA, else a folder of your own",
        help="The folder that holds everything.",
    )(command)


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--json`` to a command."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")(command)


def missing(data: Path) -> str:
    """Return the message that there is no such data folder, with a hint how to name another one."""
    return f"there is no data folder {data}: say with --data, or VSV_DATA, which one the server said that it uses"


@contextmanager
def existing(data: Path) -> Iterator[Services]:
    """Yield the services of an existing data folder: a mistyped --data must not look like an empty folder."""
    if not data.is_dir():
        raise click.ClickException(missing(data))
    with standalone(data) as (services, _import_runner):
        yield services


def quiet(as_json: bool) -> Callable[[str], None]:
    """Return a function that prints for people: to standard error where standard output is a script's."""
    return lambda text: click.echo(text, err=as_json)
