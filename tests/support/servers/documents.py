"""The guides as tests read them: pages, fenced blocks, commands, headings, links and names in code spans."""

import re
import shlex
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.support.paths import ROOT

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^ *```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_SPAN = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @cached_property
    def commands(self) -> tuple[str, ...]:
        """The block's commands: a line each, or several lines that end in a backslash; `&&` joins two."""
        lines = self.text.replace("\\\n", " ").splitlines()
        parts = (part.strip() for line in lines for part in _without_comment(line).split(" && "))
        return tuple(part for part in parts if part)


@dataclass(frozen=True)
class Page:
    """A guide in Markdown."""

    path: Path

    def __str__(self) -> str:
        return str(self.path.relative_to(ROOT))

    @cached_property
    def text(self) -> str:
        """The page's text."""
        return self.path.read_text()

    @cached_property
    def prose(self) -> str:
        """The page without its fenced blocks."""
        return _FENCE.sub("", self.text)

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """The page's fenced blocks, in order."""
        return tuple(
            Block(
                self.path,
                self.text.count("\n", 0, found.start()) + 1,
                found["language"],
                re.sub(rf"(?m)^{found['indent']}", "", found["text"]),
            )
            for found in _FENCE.finditer(self.text)
        )

    @cached_property
    def anchors(self) -> frozenset[str]:
        """The anchors of the page's headings, as GitHub makes them."""
        headings = re.findall(r"^#+ (.+)$", self.prose, re.MULTILINE)
        return frozenset(re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings)

    @cached_property
    def links(self) -> tuple[str, ...]:
        """The targets of links to files and headings of this project."""
        return tuple(one for one in _LINK.findall(self.prose) if not re.match(r"\w+:", one))

    @cached_property
    def spans(self) -> tuple[str, ...]:
        """The texts in backticks outside of blocks."""
        return tuple(_SPAN.findall(self.prose))


def _without_comment(line: str) -> str:
    """Return a shell line without its comment; `#` within quotes or words begins none."""
    lexer = shlex.shlex(line, posix=False, punctuation_chars=False)
    lexer.whitespace_split, lexer.commenters = True, ""
    words: list[str] = []
    for word in lexer:
        if word.startswith("#"):
            break
        words.append(word)
    return " ".join(words)


def pages() -> tuple[Page, ...]:
    """Return the README, the changelog and every page of docs/."""
    paths = (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md")))
    return tuple(Page(path) for path in paths)
