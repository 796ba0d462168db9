"""Report of the content removed from a copy, by name: anyone may read a report, as it repeats no removed text."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Report:
    """Names of what was removed, what was changed, and which keys of descriptions were kept.

    ``pages`` are left out with all their bytes; ``coded`` was removed from tiles.
    """

    pages: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    coded: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()

    @classmethod
    def from_item(cls, item: Mapping[str, Sequence[str]]) -> "Report":
        """Return the report of an item that ``to_item`` returned."""
        return cls(**{name: tuple(item.get(name, ())) for name in cls.__dataclass_fields__})

    def to_item(self) -> dict[str, Any]:
        """Return the report as JSON."""
        return {name: list(names) for name, names in asdict(self).items()}

    def text(self) -> str:
        """Return the report as text for people, a line for each attribute."""
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
    """Findings collected while a copy is written."""

    def __init__(self) -> None:
        self._names: dict[str, dict[str, None]] = {}

    def note(self, kind: str, names: Iterable[str]) -> None:
        """Add names to an attribute of the report, each name once."""
        self._names.setdefault(kind, {}).update(dict.fromkeys(names))

    def report(self) -> Report:
        """Return the report of all findings."""
        return Report(**{kind: tuple(names) for kind, names in self._names.items()})
