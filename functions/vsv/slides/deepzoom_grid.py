"""Deep Zoom arithmetic: level sizes, tile grids and addresses. No input, no output, no pixels.

Deep Zoom level 0 is 1×1 pixel, each further level twice as large, the last one the full slide; a level's size
is the full size halved and rounded up, again and again. Source: Microsoft's "Deep Zoom File Format Overview".
"""

from dataclasses import dataclass, field

from vsv.errors import TileNotFoundError

# Where a slide's own tiles are no squares, or it has none.
DEFAULT_TILE_SIZE = 256


@dataclass(frozen=True, slots=True)
class Grid:
    """A slide's Deep Zoom pyramid on tiles of ``tile_size`` pixels with ``overlap`` pixels on inner sides."""

    width_px: int
    height_px: int
    tile_size: int
    overlap: int = 0
    # Of level 0 first; counted once, because each tile asks.
    _sizes: tuple[tuple[int, int], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        width_px, height_px = self.width_px, self.height_px
        halvings = range((max(width_px, height_px) - 1).bit_length(), -1, -1)
        sizes = tuple((shrunk(width_px, shift), shrunk(height_px, shift)) for shift in halvings)
        object.__setattr__(self, "_sizes", sizes)

    @property
    def level_count(self) -> int:
        """Number of levels, the 1×1 one and the full one included."""
        return len(self._sizes)

    @property
    def max_level(self) -> int:
        """The level of full resolution."""
        return len(self._sizes) - 1

    def level_size(self, level_dz: int) -> tuple[int, int]:
        """Give a level's width and height in its own pixels; raises TileNotFoundError."""
        if not 0 <= level_dz < len(self._sizes):
            raise TileNotFoundError(f"this slide has Deep Zoom levels 0 to {self.max_level}")
        return self._sizes[level_dz]

    def tile_counts(self, level_dz: int) -> tuple[int, int]:
        """Give the columns and rows of a level; raises TileNotFoundError."""
        width, height = self.level_size(level_dz)
        return -(-width // self.tile_size), -(-height // self.tile_size)

    def tile_box(self, level_dz: int, col: int, row: int) -> tuple[int, int, int, int]:
        """Give a tile's left, top, right and bottom in its level's pixels; raises TileNotFoundError."""
        width, height = self.level_size(level_dz)
        left, top = col * self.tile_size, row * self.tile_size
        if col < 0 or row < 0 or left >= width or top >= height:
            raise TileNotFoundError("the tile lies outside the slide")
        right = min(left + self.tile_size + self.overlap, width)
        bottom = min(top + self.tile_size + self.overlap, height)
        return max(left - self.overlap, 0), max(top - self.overlap, 0), right, bottom

    def descriptor(self, fmt: str, more: str = "") -> str:
        """Give the ``.dzi`` document; ``more`` are attributes of other namespaces, which viewers pass over."""
        from xml.sax.saxutils import quoteattr  # noqa: PLC0415  cold start: brings urllib, and a tile needs none

        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            '<Image xmlns="http://schemas.microsoft.com/deepzoom/2008"'
            f' Format={quoteattr(fmt)} Overlap="{self.overlap}" TileSize="{self.tile_size}"{more}>'
            f'<Size Width="{self.width_px}" Height="{self.height_px}"/></Image>\n'
        )


def shrunk(length_px: int, shift: int) -> int:
    """Halve a length ``shift`` times, rounding up each time."""
    return (length_px + (1 << shift) - 1) >> shift
