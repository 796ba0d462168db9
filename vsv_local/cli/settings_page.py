"""Print the reference of all settings: python -m vsv_local.cli.settings_page > docs/settings.md."""

from collections.abc import Iterable, Iterator

import click
from vsv.settings import AWS, BOTH, ONE_MACHINE, SCANNER, Setting, declared

from vsv_local.all_settings import BUILD_ONLY, MODELS, known_settings, shown

BEGINNING = """\
# Settings

Settings are environment variables. `vsv settings` shows their effective values on this machine, where each comes
from, and which variables nothing reads; its `--json` is for scripts. On AWS the stacks set them. An empty variable
counts as one that is not set, unless its row says what empty means.

This page is generated: `python -m vsv_local.cli.settings_page > docs/settings.md`.
"""
SECTIONS = {
    BOTH: "One machine and AWS",
    ONE_MACHINE: "One machine",
    AWS: "AWS",
    SCANNER: "The scanner's computer",
}
TABLE = "| Variable | What it is | Default | It must |\n|---|---|---|---|"
ENDING = """\
## Builds and tests

No installation reads these.

| Variable | What it is |
|---|---|"""


def page() -> str:
    """Return the page as Markdown."""
    return "\n".join([BEGINNING, *_sections(known_settings().values()), ENDING, *_build_rows()]) + "\n"


def _sections(settings: Iterable[Setting]) -> Iterator[str]:
    of_place = list(settings)
    for applies, title in SECTIONS.items():
        yield f"## {title}\n\n{TABLE}"
        yield from (_row(setting) for setting in of_place if setting.applies == applies)
        yield ""


def _row(setting: Setting) -> str:
    secret = " Secret: shown masked." if setting.secret else ""
    return f"| `{setting.variable}` | {setting.about}{secret} | {_default(setting)} | {_rules(setting.variable)} |"


def _default(setting: Setting) -> str:
    if setting.default_text:
        return setting.default_text
    default = shown(setting, setting.default)
    return f"`{default}`" if default else "none"


def _rules(variable: str) -> str:
    """Return the rules of a variable in all models that hold it, each rule once."""
    rules: dict[str, None] = {}
    for model in MODELS:
        for _, setting in declared(model):
            if setting.variable == variable:
                rules |= dict.fromkeys(_rules_of(setting))
    return "; ".join(rules)


def _rules_of(setting: Setting) -> Iterator[str]:
    if setting.form:
        yield setting.form
    if setting.needed:
        yield f"on AWS be set{f', to {setting.rule}' if setting.rule else ''}"
    elif setting.rule:
        yield setting.rule


def _build_rows() -> Iterator[str]:
    return (f"| `{variable}` | {about} |" for variable, about in BUILD_ONLY.items())


if __name__ == "__main__":
    click.echo(page(), nl=False)
