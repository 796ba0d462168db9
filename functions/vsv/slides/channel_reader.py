"""Reader of TIFFs whose samples are deeper than 8 bits, or that hold several channels, as fluorescence does.

The picture is that of the channels that are shown, each in its window and colour; ``planes`` returns stored samples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from vsv.errors import CorruptTileError, UnreadableSlideError
from vsv.formats.random_access import OpenFile
from vsv.nonblocking import check_may_wait
from vsv.slides import channel_windows, stored_channels
from vsv.slides.channel_layout import Layout, is_claimed, layout_of
from vsv.slides.channel_levels import ChannelLevels
from vsv.slides.channel_set import MAX_ACTIVE, ChannelSet, Pixels, SlideChannel, draw_channels, over_white
from vsv.slides.channel_windows import Window
from vsv.slides.deepzoom_grid import DEFAULT_TILE_SIZE, Grid
from vsv.slides.pixels import box_reduce
from vsv.slides.stored_channels import StoredChannels
from vsv.storage.archive_marker import ORIGINAL

if TYPE_CHECKING:
    from pathlib import Path

    from PIL import Image

    from vsv.formats.tiff_samples import Samples
    from vsv.slides.levels import Level
    from vsv.slides.properties import Scan
    from vsv.slides.reader import Box
    from vsv.slides.source import Source

_Prepared = tuple[ChannelSet, ChannelLevels, tuple[int, ...]]
_MIN_TILE_PX, _MAX_TILE_PX = 128, 1024


class ChannelReader:
    """A TIFF of deep samples or of several channels."""

    def __init__(self, source: Source, layout: Layout) -> None:
        self.source, self.layout = source, layout
        self._ready: _Prepared | None = None
        self._is_new = False
        self._preparing = Lock()

    @classmethod
    def of(cls, source: Source) -> ChannelReader | None:
        """Return a reader for a TIFF of deep samples or several channels, None for other files."""
        layout = layout_of(source)
        return cls(source, layout) if layout is not None and is_claimed(source, layout) else None

    @property
    def is_drawn_from_channels(self) -> bool:
        """Whether the pixels can be drawn, and ``channels`` returns the channels."""
        return self.layout.problem is None

    @property
    def may_have_profile(self) -> bool:
        """Whether the pixels are RGB and the first page has an ICC profile."""
        return self.layout.is_rgb and self.source.pages[0].icc is not None

    def grid(self) -> Grid:
        """Return the grid of full resolution, with the tile size of the file where that is usable."""
        page = self.layout.first.page
        side = page.tile_width_px
        is_usable = side == page.tile_height_px and side % 16 == 0 and _MIN_TILE_PX <= side <= _MAX_TILE_PX
        return Grid(page.width_px, page.height_px, side if is_usable else DEFAULT_TILE_SIZE)

    def levels(self, grid: Grid) -> Mapping[int, Level]:
        """Return no level: no browser can show the stored tiles."""
        del grid
        return {}

    def halvings(self, shift: int) -> int:
        """Return the number of halvings between the stored level to read and the requested level."""
        return 0 if self.layout.problem is not None else shift - self._prepared()[1].stored_shift(shift)

    def region(self, shift: int, box: Box) -> Pixels:
        """Return a box of full resolution halved ``shift`` times, drawn from the channels that are shown.

        Raise CorruptTileError where a channel is damaged there.
        """
        channel_set, levels, _ = self._prepared()
        shown = [index for index, channel in enumerate(channel_set.channels) if channel.active]
        planes = levels.read(shift, shown, box)
        pixels = draw_channels([channel_set.channels[index] for index in shown], planes)
        if (opacity := levels.read_opacity(shift, box)) is not None:
            pixels = over_white(pixels, opacity, channel_set.limits[1])
        return np.ascontiguousarray(box_reduce(pixels, self.halvings(shift)))

    def planes(self, shift: int, chosen: Sequence[int], box: Box) -> list[Samples]:
        """Return channels' samples in a box of full resolution halved ``shift`` times: means of the stored ones."""
        levels = self._prepared()[1]
        return [levels.means(shift, index, box) for index in chosen]

    def channels(self) -> ChannelSet:
        """Return the channels with their windows: the stored ones, else measured now and stored by the original."""
        return self._prepared()[0]

    def store_channels(self, folder: Path) -> None:
        """Write what was measured into a slide's folder, where readers of its original find it."""
        channel_set, _, matching = self._prepared()
        stored = StoredChannels(self.source.file.size(), channel_set, matching)
        stored_channels.store(folder / stored_channels.FILENAME, stored)

    def _prepared(self) -> _Prepared:
        """Return channels and levels once they are measured; raise CorruptTileError where nothing can be shown."""
        if self._ready is None:
            if self.layout.problem is not None:
                raise CorruptTileError(self.layout.problem)
            check_may_wait()
            with self._preparing:  # one thread measures, the others wait
                self._ready = self._ready or self._prepare()
            if self._is_new and self.source.path.name == ORIGINAL:
                self._is_new = False
                with suppress(OSError):  # measured again by the next process: the result is the same
                    self.store_channels(self.source.path.parent)
        return self._ready

    def _prepare(self) -> _Prepared:
        levels = ChannelLevels(self.source.file, self.layout)
        stored = stored_channels.read(self.source.path.with_name(stored_channels.FILENAME))
        windows = [] if stored is None else [channel.window for channel in stored.channel_set.channels]
        if stored is not None and (stored.size, len(windows)) == (self.source.file.size(), self._count):
            matching = stored.levels
        else:
            windows = channel_windows.measure(levels.full(), together=self.layout.is_rgb)
            matching = tuple(levels.matching([window.end - window.start for window in windows]))
            self._is_new = True
        levels.keep(matching)
        return self._with_windows(windows), levels, matching

    @property
    def _count(self) -> int:
        return len(self.layout.channels)

    def _with_windows(self, windows: Sequence[Window]) -> ChannelSet:
        is_inverted, first = self.layout.is_inverted, self.layout.first
        channels = tuple(
            SlideChannel(
                place.name,
                place.color,
                place.emission_nm,
                window,
                inverted=is_inverted,
                active=index < MAX_ACTIVE,
            )
            for index, (place, window) in enumerate(zip(self.layout.channels, windows, strict=True))
        )
        return ChannelSet(channels, str(first.dtype), first.limits)

    def associated_images(self) -> dict[str, Image.Image]:
        """Return an Aperio slide's label and macro; its thumbnail would be as dark as its pixels are stored."""
        from vsv.slides.aperio_reader import is_aperio_slide  # noqa: PLC0415

        if not is_aperio_slide(self.source.pages):
            return {}
        from vsv.slides.associated_images import aperio_images  # noqa: PLC0415

        images = aperio_images(self.source.path, self.source.pages)
        return {name: image for name, image in images.items() if name != "thumbnail"}

    def icc_profile(self, check_size: Callable[[int], object]) -> bytes | None:
        """Return the ICC profile of RGB pixels, None without one; ``check_size`` may raise ValueError."""
        place = self.source.pages[0].icc if self.layout.is_rgb else None
        if place is None:
            return None
        check_size(place.count)
        return OpenFile(self.source.path).read(place.at, place.count)

    def properties(self) -> Scan:
        """Return the properties in the first page's description: Aperio's, OME's, or size and format alone."""
        from vsv.slides.channel_properties import channel_properties  # noqa: PLC0415

        return channel_properties(self.source, self.layout)

    def check(self) -> tuple[int, int]:
        """Return width and height; raise UnreadableSlideError, with what is not supported, where nothing is shown."""
        if self.layout.problem is not None:
            raise UnreadableSlideError(self.layout.problem)
        page = self.layout.first.page
        return page.width_px, page.height_px
