"""What a copy lacks, by name: a report may be read by everybody and repeats nothing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Report:
    """What was removed, what was changed, and which keys of descriptions were kept.

    ``pages`` are left out with all their bytes; ``coded`` is what was taken out of tiles.
    """

    pages: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    coded: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()

    @classmethod
    def from_item(cls, item: Mapping[str, Sequence[str]]) -> "Report":
        """Read what ``to_item`` gave."""
        return cls(**{name: tuple(item.get(name, ())) for name in cls.__dataclass_fields__})

    def to_item(self) -> dict[str, Any]:
        """Give the report as JSON has it."""
        return {name: list(names) for name, names in asdict(self).items()}

    def text(self) -> str:
        """Give the report for people, a line each."""
        lines = (
            ("Pages left out", self.pages),
            ("Tags removed", self.tags),
            ("Description keys removed", self.keys),
            ("Removed from tiles", self.coded),
            ("Changed", self.changed),
            ("Description keys kept", self.kept),
        )
        return "\n".join(f"{title}: {', '.join(names) or 'none'}" for title, names in lines)


class Findings:
    """Collects a report while a copy is written."""

    def __init__(self) -> None:
        self._found: dict[str, dict[str, None]] = {}

    def note(self, kind: str, names: Iterable[str]) -> None:
        """Note names under one of the report's attributes; each comes once."""
        self._found.setdefault(kind, {}).update(dict.fromkeys(names))

    def report(self) -> Report:
        """Give what was found."""
        return Report(**{kind: tuple(names) for kind, names in self._found.items()})
