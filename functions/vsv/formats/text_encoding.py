"""Decoding of texts in files that do not name their encoding: UTF-8, else the code page that fits the bytes.

TIFF 6.0 allows ASCII only; scanners write the code page of their Windows. Every code page but UTF-8 reads some texts
of the others, so each is believed only where the bytes look like its language.
"""

import codecs
import re
from collections.abc import Callable

# The code pages of CJK and Cyrillic Windows, and the Western one.
CODE_PAGES = ("gb18030", "cp932", "cp1251", "cp1252")

# Compiled by ``re`` at their first use: texts of most files are UTF-8, and a tile reads few.
_HIGH_RUN = rb"[\x80-\xff]+"
# GB 2312's first level: the 3755 characters in daily use, and the punctuation. Accented or Cyrillic lower-case
# letters of one-byte code pages (0xE0 and above) never begin such a pair.
_COMMON_CHINESE = rb"(?:[\xa1\xa3\xb0-\xd7][\xa1-\xfe])+\Z"
# Shift JIS writes hiragana and katakana with these lead bytes, which are rare punctuation elsewhere.
_KANA = rb"\x82[\x9f-\xf1]|\x83[\x40-\x96]"
# Cyrillic words have no ASCII letters; Western words have, and never three letters with diacritics in a row.
_CYRILLIC = rb"(?<![A-Za-z])[\xc0-\xff\xa8\xb8]{3,}(?![A-Za-z])"
_UMLAUTS = frozenset("ÄÖÜäöüß".encode("cp1252"))


def decode_text(data: bytes, *, cut: bool = False) -> str:
    r"""Return the text of some bytes; bytes that fit no code page are kept as ``\xhh``.

    ``cut``: the bytes may end within a character.
    """
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(data, final=not cut)
    except UnicodeDecodeError:
        pass
    for code_page, is_plausible in _PLAUSIBLE.items():
        if is_plausible(data):
            try:
                return codecs.getincrementaldecoder(code_page)().decode(data, final=not cut)
            except UnicodeDecodeError:
                continue
    return data.decode("utf-8", "backslashreplace")


def _is_chinese(data: bytes) -> bool:
    return all(re.match(_COMMON_CHINESE, run) for run in re.findall(_HIGH_RUN, data))


def _is_cyrillic(data: bytes) -> bool:
    return any(not _UMLAUTS.issuperset(word) for word in re.findall(_CYRILLIC, data))


_PLAUSIBLE: dict[str, Callable[[bytes], object]] = {
    "gb18030": _is_chinese,
    "cp932": lambda data: re.search(_KANA, data),
    "cp1251": _is_cyrillic,
    "cp1252": lambda _data: True,
}
assert tuple(_PLAUSIBLE) == CODE_PAGES
