"""The scanner's PowerShell scripts, as far as they can be checked where no PowerShell runs: by their syntax tree.

What they do is tested on their Python twin. Here: that they parse, in the older of the two languages as well, that
nothing is deleted but what was confirmed, and that the twins have the same options and words.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import tree_sitter_powershell
from tree_sitter import Language, Node, Parser

from tests.support.paths import ROOT
from tests.support.servers.scanner_script import SCRIPT

SCRIPTS = ROOT / "scripts/scanner"
IMPORT = SCRIPTS / "ImportSlide.ps1"
INSTALL = SCRIPTS / "Install-ImportSlideTask.ps1"
BOTH = pytest.mark.parametrize("path", [IMPORT, INSTALL], ids=lambda path: path.stem)
# The words of a line of the log; docs/scanner.md has the same table.
WORDS = {"deleted", "kept", "waiting", "failed", "refused", "later", "changed", "busy", "young", "error"}
# Operators that only PowerShell 7 has.
ONLY_7 = {"??", "??=", "?.", "?[", "&&", "||"}


def tree(path: Path) -> Node:
    parser = Parser(Language(tree_sitter_powershell.language()))
    return parser.parse(path.read_bytes()).root_node


def nodes(root: Node, kind: str | None = None) -> Iterator[Node]:
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if kind is None or node.type == kind:
            yield node
        waiting.extend(reversed(node.children))


def text(node: Node | None) -> str:
    assert node is not None
    assert node.text is not None
    return node.text.decode()


def commands(root: Node) -> Iterator[tuple[str, Node]]:
    for node in nodes(root, "command"):
        name = node.child_by_field_name("command_name")
        if name is not None:
            yield text(name), node


def function_around(node: Node) -> Node:
    current: Node | None = node
    while current is not None and current.type != "function_statement":
        current = current.parent
    assert current is not None, "outside of any function"
    return current


def function_named(root: Node, name: str) -> Node:
    [found] = [
        node for node in nodes(root, "function_statement") if text(next(nodes(node, "function_name"))) == name
    ]
    return found


@BOTH
def test_powershell_script_parses_without_errors(path: Path) -> None:
    root = tree(path)
    assert not root.has_error
    assert len(list(nodes(root, "function_statement"))) > 4


def test_parser_reports_errors_in_broken_scripts() -> None:
    """Else the test above would say nothing."""
    parser = Parser(Language(tree_sitter_powershell.language()))
    content = IMPORT.read_bytes()
    for wrong in (content + b"\nfoo('", content + b"\n}", content.replace(b"catch {", b"catch", 1)):
        assert parser.parse(wrong).root_node.has_error


@BOTH
def test_script_is_ascii_and_uses_no_syntax_missing_from_windows_powershell(path: Path) -> None:
    """5.1 takes a file without byte order mark for the machine's own code page: ASCII is the same in all."""
    content = path.read_bytes()
    assert content.isascii()
    assert b"\t" not in content
    assert b"\r" not in content
    leaves = {text(node) for node in nodes(tree(path)) if not node.children and node.type not in {"comment"}}
    assert not leaves & ONLY_7
    assert not list(nodes(tree(path), "ternary_expression"))
    parameters = {text(node).lower() for node in nodes(tree(path), "command_parameter")}
    assert not parameters & {
        "-skiphttperrorcheck",
        "-asplaintext",
        "-nonewline",
        "-parallel",
        "-noenumerate",
        "-ashashtable",
    }


@BOTH
def test_script_calls_only_known_cmdlets_and_its_own_functions(path: Path) -> None:
    """No aliases, and nothing that 5.1 has not: cmdlets are Verb-Noun, all others are functions of the script."""
    root = tree(path)
    own = {text(node) for node in nodes(root, "function_name")}
    known = {
        "Add-Type", "ConvertFrom-Json", "ConvertTo-Json", "Copy-Item", "ForEach-Object", "Get-ChildItem", "Get-Date",
        "Get-FileHash", "Get-Item", "Get-ScheduledTask", "Join-Path", "Move-Item", "New-Item", "New-Object",
        "New-ScheduledTaskAction", "New-ScheduledTaskPrincipal", "New-ScheduledTaskSettingsSet",
        "New-ScheduledTaskTrigger", "New-TimeSpan", "Out-Null", "Read-Host", "Register-ScheduledTask", "Remove-Item",
        "Set-StrictMode", "Sort-Object", "Test-Path", "Unblock-File", "Unregister-ScheduledTask", "Where-Object",
        "Write-Output", "Write-Verbose", "Write-Warning",
    }  # fmt: skip
    called = {name for name, _ in commands(root) if not name.startswith('"$env:SystemRoot')}
    assert called <= known | own
    assert own <= called, "a function that nobody calls"


@BOTH
def test_script_enables_strict_mode_and_stops_on_errors(path: Path) -> None:
    content = path.read_text()
    assert "Set-StrictMode -Version Latest" in content
    assert "$ErrorActionPreference = 'Stop'" in content


@BOTH
def test_script_reads_only_variables_that_are_assigned(path: Path) -> None:
    """Strict mode ends a run at a misspelt name, and no run here would show it."""
    root = tree(path)
    automatic = {"_", "null", "true", "false", "psversiontable", "psscriptroot", "lastexitcode"}
    names = {text(node).strip("${}").lstrip("@").lower() for node in nodes(root, "variable")}
    used = {name.removeprefix("script:") for name in names if not name.startswith("env:")}
    source = path.read_text()
    written = {m.lower() for m in re.findall(r"\$(?:script:)?(\w+)\s*=[^=]", source)}
    written |= {m.lower() for m in re.findall(r"foreach \(\$(\w+) in", source)}
    written |= {m.lower() for m in re.findall(r"\]\s*\$(\w+)(?=[,)\n ])", source)}
    written |= {m.lower() for m in re.findall(r"function [\w-]+\(\$(\w+)", source)}
    written |= {m.lower() for m in re.findall(r"-ErrorVariable (\w+)", source)}
    assert used - written - automatic == set()


def test_files_are_removed_only_after_the_confirmation_checks() -> None:
    root = tree(IMPORT)
    [removal] = [node for name, node in commands(root) if name == "Remove-Item"]
    remover = function_around(removal)
    assert text(next(nodes(remover, "function_name"))) == "Remove-Confirmed"
    # It stands under the last look at the file that was renamed …
    branch: Node | None = removal
    while branch is not None and branch.type != "if_statement":
        branch = branch.parent
    assert text(branch).startswith("if (Test-Same $File $moved)")
    # … and its one caller has returned unless the answer named the file.
    [call] = [node for name, node in commands(root) if name == "Remove-Confirmed"]
    caller = function_around(call)
    before = text(caller)[: call.start_byte - caller.start_byte]
    assert "if (-not (Test-Confirmed $answer $File $sha256)) { return " in before
    assert "if ($status -ne 200) { return " in before
    assert "if ($Keep) {" in before
    confirmed = text(function_named(root, "Test-Confirmed"))
    for needed in (
        "$Answer.Status -eq 200",
        "$File.Name, [StringComparison]::Ordinal",
        "$size -eq $File.Length",
        "$Sha256",
    ):
        assert needed in confirmed


def test_answer_is_parsed_only_when_the_text_is_a_json_object() -> None:
    """PowerShell 7 hands on what is in a list; 5.1 hands on the list, and the Python twin refuses it."""
    sender = text(function_named(tree(IMPORT), "Send-Post"))
    [reading] = [line for line in sender.splitlines() if "ConvertFrom-Json" in line]
    assert reading.strip().startswith(
        r"if ($text -match '^\s*\{') { try { $object = ConvertFrom-Json $text }"
    )


def test_no_other_call_can_delete_or_overwrite_a_slide() -> None:
    root = tree(IMPORT)
    members = [text(node) for node in nodes(root, "member_name")]
    assert not {"Delete", "Replace", "Truncate", "SetLength", "Create", "OpenWrite"} & set(members)
    for name, node in commands(root):
        if name == "Move-Item":  # which may overwrite: for log and state only
            assert re.match(r'Move-Item -LiteralPath ("\$StateFile|"\$LogFile|\$LogFile)', text(node))
    for call in re.findall(r"\[IO\.File\]::(\w+)\(([^,)]*)", IMPORT.read_text()):
        assert call[0] in {"Move", "AppendAllText", "WriteAllText", "ReadAllText", "ReadAllBytes", "Open"}
        if call[0] == "WriteAllText":
            assert call[1] == '"$StateFile.new"'


@BOTH
def test_path_cmdlets_use_literal_path_against_wildcards(path: Path) -> None:
    paths = {
        "Copy-Item",
        "Get-ChildItem",
        "Get-Item",
        "Move-Item",
        "Remove-Item",
        "Test-Path",
        "Unblock-File",
    }
    for name, node in commands(tree(path)):
        assert name not in paths or "-LiteralPath" in text(node), text(node)


def test_file_age_is_computed_in_utc() -> None:
    """Local time jumps by an hour twice a year."""
    content = IMPORT.read_text()
    assert "([DateTime]::UtcNow - $File.LastWriteTimeUtc).TotalSeconds" in content
    assert "[double] $MinimumAge = 30," in content
    assert not re.findall(r"LastWriteTime\b|::Now\b|Get-Date", content)


def test_slides_are_sent_only_while_holding_the_folder_mutex_and_state_lock() -> None:
    content = IMPORT.read_text()
    assert r'New-Object Threading.Mutex $false, "Global\ImportSlide-$folderHash"' in content
    assert "$mine = $mutex.WaitOne(0)" in content
    assert "[IO.FileShare]::None" in content
    [call] = [node for name, node in commands(tree(IMPORT)) if name == "Send-AllSlides"]
    around: Node | None = call
    while around is not None and around.type != "if_statement":
        around = around.parent
    assert text(around).startswith("if ($mine -and $null -ne $lock) {")


def test_http_client_follows_no_redirects_and_keeps_certificate_checks() -> None:
    content = IMPORT.read_text()
    assert "$handler.AllowAutoRedirect = $false" in content
    assert "[Net.SecurityProtocolType]::Tls12" in content
    assert "MaxResponseContentBufferSize = 65536" in content
    assert "ServerCertificate" not in content  # nothing weakens the check of certificates


def _python_options() -> set[str]:
    listed = subprocess.run(
        [sys.executable, str(SCRIPT), "--help"], capture_output=True, text=True, check=True
    )
    return {name.replace("-", "") for name in re.findall(r"^  --([a-z0-9-]+)", listed.stdout, re.MULTILINE)}


def test_powershell_and_python_scripts_have_the_same_options() -> None:
    block = text(next(nodes(tree(IMPORT), "param_block")))
    names = {name.lower() for name in re.findall(r"\] \$(\w+)", block)}
    assert names == _python_options()


def test_powershell_python_and_guide_use_the_same_outcome_words() -> None:
    said = set(re.findall(r"Write-Line '(\w+)'", IMPORT.read_text()))
    python = SCRIPT.read_text()
    told = set(re.findall(r'Outcome\("(\w+)"', python)) | set(re.findall(r'log\.\w+\("(\w+):', python))
    guide = (ROOT / "docs/scanner.md").read_text()
    explained = set(re.findall(r"^\| `(\w+)` \|", guide, re.MULTILINE))
    assert said == told == explained == WORDS


def test_scheduled_task_runs_a_single_instance_with_existing_options() -> None:
    content = INSTALL.read_text()
    assert "-MultipleInstances IgnoreNew" in content
    assert "-ExecutionTimeLimit" in content
    [arguments] = [text(function_named(tree(INSTALL), "Get-Arguments"))]
    given = {name.lower() for name in re.findall(r"'-(\w+)'", arguments)}
    assert given - {"noprofile", "noninteractive", "executionpolicy", "file"} <= _python_options()
