"""Settings of functions: each asks for what it needs, by name, and needs nothing else."""

from collections.abc import Callable
from pathlib import Path

import pytest
from vsv.errors import SettingsError
from vsv.installation import Installation, on_aws
from vsv.settings import from_environment, required


def test_they_are_read_from_the_environment() -> None:
    found = from_environment(
        {"VSV_DATA": "/mnt/slides", "VSV_TRANSFER_TASK": "arn", "VSV_DROP_BUCKET": "drop-in"}
    )
    assert (found.data, found.transfer_task, found.drop_bucket) == (Path("/mnt/slides"), "arn", "drop-in")


@pytest.mark.parametrize(
    ("part", "name"),
    [
        (lambda here: here.files, "VSV_DATA"),
        (lambda here: here.imports, "VSV_IMPORTS_TABLE"),
        (lambda here: here.slides, "VSV_SLIDES_TABLE"),
        (lambda here: here.starter, "VSV_IMPORTS_TABLE"),
        (lambda here: required(here.settings.drop_bucket, "VSV_DROP_BUCKET"), "VSV_DROP_BUCKET"),
    ],
)
def test_what_is_missing_is_named_when_it_is_needed(
    part: Callable[[Installation], object], name: str
) -> None:
    with pytest.raises(SettingsError, match=name):
        part(on_aws(from_environment({})))
