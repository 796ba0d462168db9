"""Deep Zoom arithmetic: level sizes, tile grids and addresses, without I/O and without pixels.

Deep Zoom level 0 is 1×1 pixel, each further level twice as large, the last one the full slide; a level's size
is the full size halved repeatedly, rounded up each time. Source: Microsoft's "Deep Zoom File Format Overview".
"""

from dataclasses import dataclass, field

from vsv.errors import TileNotFoundError

# For slides whose tiles are not square, and for slides without tiles.
DEFAULT_TILE_SIZE = 256


@dataclass(frozen=True, slots=True)
class Grid:
    """A slide's Deep Zoom pyramid on tiles of ``tile_size`` pixels with ``overlap`` pixels on inner sides."""

    width_px: int
    height_px: int
    tile_size: int
    overlap: int = 0
    # Sizes from level 0 up; computed once, because every tile request needs them.
    _sizes: tuple[tuple[int, int], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        width_px, height_px = self.width_px, self.height_px
        halvings = range((max(width_px, height_px) - 1).bit_length(), -1, -1)
        sizes = tuple((shrunk(width_px, shift), shrunk(height_px, shift)) for shift in halvings)
        object.__setattr__(self, "_sizes", sizes)

    @property
    def level_count(self) -> int:
        """Number of levels, from the 1×1 level to the full level."""
        return len(self._sizes)

    @property
    def max_level(self) -> int:
        """Number of the full-resolution level."""
        return len(self._sizes) - 1

    def level_size(self, level_dz: int) -> tuple[int, int]:
        """Return a level's width and height in the level's pixels; raise TileNotFoundError."""
        if not 0 <= level_dz < len(self._sizes):
            raise TileNotFoundError(f"this slide has Deep Zoom levels 0 to {self.max_level}")
        return self._sizes[level_dz]

    def tile_counts(self, level_dz: int) -> tuple[int, int]:
        """Return the number of columns and rows of a level; raise TileNotFoundError."""
        width, height = self.level_size(level_dz)
        return -(-width // self.tile_size), -(-height // self.tile_size)

    def tile_box(self, level_dz: int, col: int, row: int) -> tuple[int, int, int, int]:
        """Return a tile's left, top, right and bottom in the level's pixels; raise TileNotFoundError."""
        width, height = self.level_size(level_dz)
        left, top = col * self.tile_size, row * self.tile_size
        if col < 0 or row < 0 or left >= width or top >= height:
            raise TileNotFoundError("the tile lies outside the slide")
        right = min(left + self.tile_size + self.overlap, width)
        bottom = min(top + self.tile_size + self.overlap, height)
        return max(left - self.overlap, 0), max(top - self.overlap, 0), right, bottom

    def descriptor(self, fmt: str, more: str = "") -> str:
        """Return the ``.dzi`` document; ``more`` are attributes of other namespaces, which viewers ignore."""
        from xml.sax.saxutils import quoteattr  # noqa: PLC0415  cold start: imports urllib, which a tile does not need

        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            '<Image xmlns="http://schemas.microsoft.com/deepzoom/2008"'
            f' Format={quoteattr(fmt)} Overlap="{self.overlap}" TileSize="{self.tile_size}"{more}>'
            f'<Size Width="{self.width_px}" Height="{self.height_px}"/></Image>\n'
        )


def shrunk(length_px: int, shift: int) -> int:
    """Return a length halved ``shift`` times, rounded up each time."""
    return (length_px + (1 << shift) - 1) >> shift
