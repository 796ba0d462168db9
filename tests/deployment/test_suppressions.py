"""What the checks of the templates pass over: only on its line in a template, each time with a reason."""

import re
from pathlib import Path

import pytest

from tests.support.paths import ROOT

TEMPLATES = [ROOT / "template.yaml", *sorted((ROOT / "stacks").glob("*.yaml"))]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_suppression_states_its_reason_on_its_line(path: Path) -> None:
    for line in path.read_text().splitlines():
        if "checkov:" in line:
            found = re.fullmatch(r" +#checkov:skip=CKV2?_AWS_\d+:(.+)", line)
            assert found, line
            assert len(found[1].split()) >= 4, line


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_template_contains_no_cfn_lint_exception(path: Path) -> None:
    assert "cfn-lint" not in path.read_text()


def test_check_script_and_configuration_disable_no_checks() -> None:
    assert [one.name for one in ROOT.glob(".c*") if one.name.startswith((".checkov", ".cfnlint"))] == []
    asked = (ROOT / "scripts/aws-check").read_text()
    switched_off = (
        "--skip-check",
        "--check ",
        "--soft-fail",
        "--ignore-checks",
        "--baseline",
        "--non-zero-exit",
        "|| true",
    )
    assert not [option for option in switched_off if option in asked]
    for checked in ("template.yaml stacks/*.yaml", 'sam" validate --lint', 'cfn-lint"', 'checkov"'):
        assert checked in asked


def test_ci_script_runs_checks_tests_and_build() -> None:
    lines = (ROOT / ".ci/run").read_text().splitlines()
    assert "set -euo pipefail" in lines
    assert {"scripts/check", "scripts/aws-check", "scripts/test", "scripts/aws-build"} <= set(lines)
