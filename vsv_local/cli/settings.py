"""Provide ``vsv settings``, the command that shows the effective settings."""

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from vsv.settings import DATA, DEFAULT, ENVIRONMENT

from vsv_local.cli.options import data_option, json_option, missing
from vsv_local.settings import (
    effective_settings,
    shown,
    unknown_variables,
    unread_settings,
)


@click.command()
@data_option
@json_option
@click.pass_context
def settings(context: click.Context, data: Path, as_json: bool) -> None:
    """Show the effective settings and where each comes from. Secrets are masked; nothing is created."""
    content = _collect(data.resolve(), _data_source(context))
    if as_json:
        click.echo(json.dumps(content, indent=2, ensure_ascii=False))
    else:
        _print(content)
    if not data.is_dir():
        click.echo(missing(data), err=True)
    sys.exit(1 if any(setting["problem"] for setting in content["settings"]) else 0)


def _data_source(context: click.Context) -> str:
    if context.get_parameter_source("data") is ParameterSource.COMMANDLINE:
        return "--data"
    return ENVIRONMENT if os.environ.get(DATA.variable) else DEFAULT


def _collect(data: Path, source: str) -> dict[str, list[dict[str, Any]]]:
    return {
        "settings": [asdict(one) for one in effective_settings(os.environ, data, source)],
        "unread": [
            {
                "variable": one.variable,
                "value": shown(one, os.environ[one.variable]),
                "applies": one.applies,
            }
            for one in unread_settings(os.environ)
        ],
        "unknown": [
            {"variable": variable, "nearest": nearest}
            for variable, nearest in unknown_variables(os.environ)
        ],
    }  # fmt: skip


def _print(content: dict[str, list[dict[str, Any]]]) -> None:
    rows = [(one["variable"], one["value"] or "(none)", one["source"]) for one in content["settings"]]
    width = max(len(value) for _, value, _ in rows)
    for variable, value, source in rows:
        click.echo(f"{variable:<23} {value:<{width}}  {source}")
    for one in content["unread"]:
        click.echo(f"{one['variable']} is set, but only read on {one['applies']}", err=True)
    for one in content["unknown"]:
        nearest = f": did you mean {one['nearest']}?" if one["nearest"] else ""
        click.echo(f"{one['variable']} is set, but nothing reads it{nearest}", err=True)
    for one in content["settings"]:
        if one["problem"]:
            click.echo(f"Error: {one['problem']}", err=True)
