"""Search for many texts at once in bytes: the time does not grow with the number of texts."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress

import numpy as np

from vsv.formats.text_encoding import CODE_PAGES

_ANCHOR = 3
_LOWER = bytes(range(256)).lower()


def bare(data: bytes) -> bytes:
    """Return bytes in lower case without zeros: UTF-16 of Latin text is then equal to Latin-1."""
    return data.translate(_LOWER, b"\0")


def patterns_of(text: str) -> frozenset[bytes]:
    """Return a text's encodings and capitalizations as ``bare`` bytes; encodings that lost half of it are dropped."""
    capitals = "".join(c.upper() if len(c.upper()) == 1 else c for c in text)  # ß may stay as it is
    coded = set[bytes]()
    for variant in (text, text.lower(), text.upper(), text.title(), capitals):
        for encoding in ("utf-8", "latin-1", "utf-16-le", "utf-16-be"):
            coded.add(bare(variant.encode(encoding, "ignore")))
    longest = max(map(len, coded))
    return frozenset(pattern for pattern in coded if 2 * len(pattern) > longest).union(_in_code_pages(text))


def _in_code_pages(text: str) -> Iterator[bytes]:
    """Yield a text in the code pages that have all its characters: a scanner may have written that one."""
    for code_page in CODE_PAGES:
        for variant in {text, text.lower(), text.upper()}:
            with suppress(UnicodeEncodeError):
                yield bare(variant.encode(code_page))


class Needles:
    """Byte patterns of at least three bytes each, and the name of each."""

    def __init__(self, names: Mapping[bytes, str]) -> None:
        self._names = names
        self._by_anchor: dict[bytes, list[bytes]] = defaultdict(list)
        self._is_anchor = np.zeros(1 << (8 * _ANCHOR), bool)
        for pattern in names:
            self._by_anchor[pattern[:_ANCHOR]].append(pattern)
            self._is_anchor[int.from_bytes(pattern[:_ANCHOR])] = True
        self.longest = max(map(len, names), default=_ANCHOR)

    def found_in(self, data: bytes) -> Iterator[str]:
        """Yield the names of the patterns that the bytes hold, perhaps repeatedly."""
        if len(data) < _ANCHOR or not self._names:
            return
        block = np.frombuffer(data, np.uint8)
        keys = block[:-2].astype(np.uint32)
        for following in (block[1:-1], block[2:]):
            keys <<= 8
            keys |= following
        for at in np.flatnonzero(self._is_anchor[keys]).tolist():
            for pattern in self._by_anchor[data[at : at + _ANCHOR]]:
                if data.startswith(pattern, at):
                    yield self._names[pattern]
