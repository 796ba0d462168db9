"""What docs/sizing.md derives is what is deployed, and nothing that is logged stays for ever."""

import re
from itertools import zip_longest

import pytest

from tests.support.aws.cloudformation import Template, functions, nested_templates
from tests.support.paths import ROOT


def derived() -> dict[str, tuple[int, int]]:
    """Return memory (MB) and timeout (s) of each function as in the guide; a row may name several."""
    text = (ROOT / "docs/sizing.md").read_text()
    table = text.partition("## Memory and timeouts")[2].partition("\n## ")[0]
    found = dict[str, tuple[int, int]]()
    for names, memory, seconds in re.findall(r"(?m)^\| ([A-Z][\w, ]+) \| (\d+) \| ([\d, ]+) \|", table):
        times = [int(each) for each in seconds.split(",")]
        for name, time in zip_longest(names.split(", "), times, fillvalue=times[-1]):
            found[f"{name}Function"] = (int(memory), time)
    return found


def test_deployed_memory_and_timeouts_equal_those_of_the_guide() -> None:
    deployed = {
        one.name: (one.properties["MemorySize"], one.properties["Timeout"])
        for one in functions()
        if one.folder
    }
    assert derived() == deployed


def test_rendering_function_has_the_largest_memory_and_timeout() -> None:
    """10,240 MB are six. Source: "Configure Lambda function memory", AWS Lambda developer guide."""
    (rendering,) = (one for one in functions() if one.name == "RenderPyramidFunction")
    assert (rendering.properties["MemorySize"], rendering.properties["Timeout"]) == (10_240, 900)


@pytest.mark.parametrize("template", nested_templates(), ids=str)
def test_each_log_group_has_a_retention(template: Template) -> None:
    for name in template.resources("AWS::Logs::LogGroup"):
        kept = template.properties(name)["RetentionInDays"]
        assert kept in ({"Ref": "LogDays"}, {"Ref": "AccessLogDays"}), name
