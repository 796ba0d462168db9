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

from vsv_local.all_settings import effective_settings, shown, unknown_variables, unread_settings
from vsv_local.cli.options import data_option, json_option, missing


@click.command(short_help="Show the effective settings")
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
        "settings": [asdict(setting) for setting in effective_settings(os.environ, data, source)],
        "unread": [
            {
                "variable": setting.variable,
                "value": shown(setting, os.environ[setting.variable]),
                "applies": setting.applies,
            }
            for setting in unread_settings(os.environ)
        ],
        "unknown": [
            {"variable": variable, "nearest": nearest}
            for variable, nearest in unknown_variables(os.environ)
        ],
    }  # fmt: skip


def _print(content: dict[str, list[dict[str, Any]]]) -> None:
    rows = [(row["variable"], row["value"] or "(none)", row["source"]) for row in content["settings"]]
    width = max(len(value) for _, value, _ in rows)
    for variable, value, source in rows:
        click.echo(f"{variable:<23} {value:<{width}}  {source}")
    for row in content["unread"]:
        click.echo(f"{row['variable']} is set, but only read on {row['applies']}", err=True)
    for row in content["unknown"]:
        nearest = f": did you mean {row['nearest']}?" if row["nearest"] else ""
        click.echo(f"{row['variable']} is set, but nothing reads it{nearest}", err=True)
    for row in content["settings"]:
        if row["problem"]:
            click.echo(f"Error: {row['problem']}", err=True)
