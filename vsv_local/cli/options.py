"""What the commands share: the options ``--data`` and ``--json``, and opening the data folder."""

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

# Whoever has the data folder in hand may do everything with it.
OPERATOR = Decider("vsv", is_admin=True)


def _default_data() -> Path:
    return Path(DATA.read(os.environ)[0] or platformdirs.user_data_path("vsv", appauthor=False))


def data_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--data`` to a command."""
    return click.option(
        "--data",
        type=click.Path(file_okay=False, path_type=Path),
        default=_default_data,
        show_default="$VSV_DATA, else a folder in your home",
        help="The data folder.",
    )(command)


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--json`` to a command."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")(command)


def missing(data: Path) -> str:
    """Return the message for a data folder that does not exist: the slides may be in another one."""
    return f"data folder {data} not found: name the one that the server uses by --data or VSV_DATA"


@contextmanager
def existing(data: Path) -> Iterator[Services]:
    """Open an existing data folder: a mistyped --data must not look like an empty one."""
    if not data.is_dir():
        raise click.ClickException(missing(data))
    with standalone(data) as (services, _intake):
        yield services


def quiet(as_json: bool) -> Callable[[str], None]:
    """Return the function that prints messages: to standard error where standard output is JSON."""
    return lambda text: click.echo(text, err=as_json)
