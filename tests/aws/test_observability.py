"""Logs and metrics as CloudWatch gets them: each case in a process of its own, as a function is."""

import json
import os
import subprocess
import sys

import pytest
from lambda_support.observability import count, minutes
from vsv import metrics

from tests.support.paths import ROOT

PROGRAM = """
import logging, sys
sys.path.insert(0, "functions")
from lambda_support.observability import count, minutes, observed

class Context:
    function_name, memory_limit_in_mb, invoked_function_arn, aws_request_id = "f", 128, "arn", "request-1"

@observed
def handler(event, context):
    logging.getLogger("vsv.rendering.tiles").warning("a tile")
    logging.getLogger("lambda_support.http").warning("an answer")
    count("ImportsReady")
    minutes("TransferMinutes", 1.5)
    if event.get("fails"):
        raise OSError("broken")
    return "done"

try:
    print(handler({"fails": "secret" in sys.argv, "token": "secret-token"}, Context()))
except OSError as error:
    print("raised", error)
"""


def outcome(*arguments: str, **settings: str) -> tuple[list[dict], str]:
    """Return the JSON objects that a process logs, and its last line."""
    environment = {**os.environ, "POWERTOOLS_SERVICE_NAME": "vsv", **settings}
    command = [sys.executable, "-c", PROGRAM, *arguments]
    ran = subprocess.run(command, check=True, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert "secret-token" not in ran.stdout + ran.stderr
    lines = ran.stdout.splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")], lines[-1]


def test_log_lines_on_aws_are_json_with_request_id() -> None:
    written, answer = outcome(AWS_LAMBDA_FUNCTION_NAME="f")
    lines = [line for line in written if "_aws" not in line]
    assert [(line["message"], line["level"], line["function_request_id"]) for line in lines] == [
        ("a tile", "WARNING", "request-1"),
        ("an answer", "WARNING", "request-1"),
    ]
    assert answer == "done"


def test_metrics_on_aws_are_sent_once_even_when_handler_fails() -> None:
    for arguments in ((), ("secret",)):
        written, answer = outcome(*arguments, AWS_LAMBDA_FUNCTION_NAME="f")
        (sent,) = [line for line in written if "_aws" in line]
        (told,) = sent["_aws"]["CloudWatchMetrics"]
        assert (told["Namespace"], told["Dimensions"], sent["service"]) == ("VSV", [["service"]], "vsv")
        assert (sent["ImportsReady"], sent["TransferMinutes"]) == ([1.0], [1.5])
        assert answer == ("raised broken" if arguments else "done")


def test_observed_outside_aws_writes_no_output_and_skips_powertools_import() -> None:
    written, answer = outcome()
    assert (written, answer) == ([], "done")
    code = f"{PROGRAM}\nassert not [name for name in sys.modules if name.startswith('aws_lambda_powertools')]"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True)


def test_unknown_metric_names_are_refused() -> None:
    for name in metrics.COUNTS:
        count(name)
    for name in metrics.MINUTES:
        minutes(name, 1)
    with pytest.raises(ValueError, match="metric_names"):
        count("ImportsReadyy")
    with pytest.raises(ValueError, match="metric_names"):
        minutes(metrics.IMPORTS_READY, 1)


def test_tile_function_imports_no_powertools_or_unneeded_libraries() -> None:
    heavy = (
        "aws_lambda_powertools",
        "boto3",
        "numpy",
        "PIL",
        "openslide",
        "simplejpeg",
        "urllib.request",
        "shutil",
    )
    code = f"import sys, serve_image.handler; print([name for name in {heavy} if name in sys.modules])"
    environment = {"PATH": "/usr/bin", "PYTHONPATH": str(ROOT / "functions"), "AWS_LAMBDA_FUNCTION_NAME": "f"}
    ran = subprocess.run(
        [sys.executable, "-S", "-c", code], check=True, env=environment, capture_output=True, text=True
    )
    assert ran.stdout == "[]\n"
