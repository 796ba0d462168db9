"""``Slidedat.ini``, the text of an MRXS slide: the files that it names, and numbers that OpenSlide trusts.

OpenSlide allocates memory for as many pictures and levels as this text says, and a process that gets none is ended.
"""

from collections.abc import Iterator, Mapping

from vsv.errors import UnreadableSlideError
from vsv.formats.key_file import KeyFile, whole_number

# A slide of 25 × 75 mm at 0.1 µm has 250,000 × 750,000 pixels: 3 million pictures of 256 pixels.
_MAX_PICTURES = 1 << 23
_MAX_SIDE = 1 << 14
_MAX_LEVELS, _MAX_EXPONENT, _MAX_ENTRIES = 16, 16, 10_000


def files_named(slidedat: KeyFile, most: int) -> Iterator[str]:
    """Yield the names of the index and the data files; raise UnreadableSlideError where they are not named."""
    yield _value(slidedat.get("HIERARCHICAL", {}), "INDEXFILE")
    files = slidedat.get("DATAFILE", {})
    for number in range(_number(files, "FILE_COUNT", most)):
        yield _value(files, f"FILE_{number}")


def check_bounds(slidedat: KeyFile) -> None:
    """Raise UnreadableSlideError for numbers that no slide has."""
    general, layers = slidedat.get("GENERAL", {}), slidedat.get("HIERARCHICAL", {})
    across = _number(general, "IMAGENUMBER_X", _MAX_PICTURES)
    down = _number(general, "IMAGENUMBER_Y", _MAX_PICTURES)
    if across * down > _MAX_PICTURES:
        raise UnreadableSlideError("Slidedat.ini has impossible numbers of pictures")
    if "CameraImageDivisionsPerSide" in general:
        _number(general, "CameraImageDivisionsPerSide", _MAX_ENTRIES)
    for name, value in layers.items():
        if name.endswith("_COUNT") and whole_number(value, _MAX_ENTRIES) is None:
            raise UnreadableSlideError(f"Slidedat.ini has an impossible value of {name}")
    sections = [
        layers.get(f"HIER_0_VAL_{level}_SECTION", "")
        for level in range(_number(layers, "HIER_0_COUNT", _MAX_LEVELS))
    ]
    factors = [_check_level(slidedat.get(section, {})) for section in sections]
    if sum(factors) > _MAX_EXPONENT:
        raise UnreadableSlideError("Slidedat.ini has impossible levels")


def _check_level(section: Mapping[str, str]) -> int:
    """Return a level's reduction, in halvings."""
    for side in ("DIGITIZER_WIDTH", "DIGITIZER_HEIGHT"):
        _number(section, side, _MAX_SIDE)
    for overlap in ("OVERLAP_X", "OVERLAP_Y"):
        _check_overlap(section, overlap)
    return _number(section, "IMAGE_CONCAT_FACTOR", _MAX_EXPONENT)


def _check_overlap(section: Mapping[str, str], key: str) -> None:
    """Check that an overlap is a number of pixels within a picture: OpenSlide never ends with one that is NaN."""
    try:
        is_possible = abs(float(_value(section, key))) <= _MAX_SIDE
    except ValueError:
        is_possible = False
    if not is_possible:
        raise UnreadableSlideError(f"Slidedat.ini has an impossible value of {key}")


def _number(group: Mapping[str, str], key: str, most: int) -> int:
    if (number := whole_number(_value(group, key), most)) is None:
        raise UnreadableSlideError(f"Slidedat.ini has an impossible value of {key}")
    return number


def _value(group: Mapping[str, str], key: str) -> str:
    if (value := group.get(key)) is None:
        raise UnreadableSlideError(f"Slidedat.ini has no {key}: the slide's text is not whole")
    return value
