"""Preprocessing of a label's image for barcode readers: pure functions of 8-bit grey images.

A code that the reader misses on the whole label is usually rotated, small or out of focus. Therefore the regions that
look like a code are cut out, rotated upright and scaled to a few fixed sizes, which makes every further attempt
cheap.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter, ImageOps

Floats = npt.NDArray[np.float32]

MAX_SIDE = 1600  # label cameras deliver 400 to 1500; more pixels cost time and do not help to read a code
GRID = 56  # cells along the longest side in the search for regions that hold a code
AVERAGED_PIXELS = 14  # along a bar; a legible bar has twice as many
BUSY = 0.3  # fraction of the way from the usual density of edges to the highest
UPRIGHT_PERIOD = 90  # degrees after which the directions of a code's edges repeat


@dataclass(frozen=True)
class Region:
    """A region of a label that may hold a code: its centre and extent along its own axes, in pixels."""

    centre: tuple[float, float]
    extent: tuple[float, float]
    angle: float


def bounded_rgb(image: Image.Image) -> Image.Image:
    """Return ``image`` as RGB on white, at most ``MAX_SIDE`` pixels a side."""
    factor = max(image.size) / MAX_SIDE
    if factor > 1:
        size = (max(1, round(image.width / factor)), max(1, round(image.height / factor)))
        # Modes with an index per pixel cannot be averaged. Reducing before the conversions below keeps their copies
        # small.
        resampling = Image.Resampling.NEAREST if image.mode in ("1", "P") else Image.Resampling.BOX
        image = image.resize(
            size, resampling, reducing_gap=2.0 if resampling != Image.Resampling.NEAREST else None
        )
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def brightest_channel(rgb: Image.Image) -> Image.Image:
    """Return the maximum of red, green and blue: coloured ink fades, the black of a code remains."""
    return Image.fromarray(np.asarray(rgb).max(axis=2))


def local_contrast(grey: Image.Image) -> Image.Image:
    """Return the image normalized by mean and spread of each pixel's surroundings: even light and contrast."""
    radius = max(6, min(grey.size) // 12)
    values = np.asarray(grey, np.float32)
    mean = _surroundings(values, radius)
    spread = _surroundings(np.abs(values - mean), radius)
    even = (values - mean) / (spread + 3.0) * 55.0 + 128.0
    return Image.fromarray(even.clip(0, 255).astype(np.uint8))


def _surroundings(values: Floats, radius: int) -> Floats:
    """Return the mean around each pixel, computed at a quarter of the resolution."""
    height, width = values.shape
    small = (max(1, width // 4), max(1, height // 4))
    reduced = Image.fromarray(values).resize(small, Image.Resampling.BOX)
    sums = _running_mean(np.asarray(reduced), max(1, radius // 4))
    return np.asarray(Image.fromarray(sums).resize((width, height), Image.Resampling.BILINEAR))


def _running_mean(values: Floats, radius: int) -> Floats:
    """Return the mean over a square of ``2 * radius + 1`` pixels, with the edge repeated outwards."""
    size = 2 * radius + 1
    padded = np.pad(values, ((radius + 1, radius), (radius + 1, radius)), mode="edge").astype(np.float64)
    sums = padded.cumsum(axis=0).cumsum(axis=1)
    total = sums[size:, size:] - sums[:-size, size:] - sums[size:, :-size] + sums[:-size, :-size]
    return np.asarray(total / (size * size), np.float32)


def _gradient(grey: Image.Image) -> tuple[Floats, Floats]:
    """Return the horizontal and vertical gradient of the slightly smoothed image."""
    values = np.asarray(grey.filter(ImageFilter.GaussianBlur(1.0)), np.float32)
    across, down = np.zeros_like(values), np.zeros_like(values)
    across[:, 1:-1] = values[:, 2:] - values[:, :-2]
    down[1:-1] = values[2:] - values[:-2]
    return across, down


def find_regions(grey: Image.Image, most: int = 3) -> list[Region]:
    """Return up to ``most`` regions with a high density of edges, the densest and largest first."""
    if min(grey.size) < 24:
        return []
    across, down = _gradient(grey)
    # Relative to the local brightness: otherwise a scratch in bright light would outrank a code in the shade.
    strength = np.hypot(across, down) / (_surroundings(np.asarray(grey, np.float32), 12) + 20.0)
    cell = max(6.0, max(grey.size) / GRID)
    cells = (max(1, round(grey.width / cell)), max(1, round(grey.height / cell)))
    reduced = np.asarray(Image.fromarray(strength).resize(cells, Image.Resampling.BOX))
    density = _running_mean(reduced, 1)
    quiet = float(np.median(density))
    busy = density > quiet + BUSY * (float(np.percentile(density, 99)) - quiet)
    islands = sorted(_islands(busy), key=lambda island: -sum(float(density[at]) for at in island))
    scale = (grey.width / cells[0], grey.height / cells[1])
    return [_region(island, scale, across, down) for island in islands[:most]]


def _islands(busy: npt.NDArray[np.bool_]) -> list[list[tuple[int, int]]]:
    """Return the groups of true cells that touch each other."""
    remaining = {(int(row), int(column)) for row, column in np.argwhere(busy)}
    islands = []
    while remaining:
        island, frontier = [], [remaining.pop()]
        while frontier:
            row, column = frontier.pop()
            island.append((row, column))
            adjacent = {(row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)}
            neighbours = adjacent & remaining
            remaining -= neighbours
            frontier.extend(neighbours)
        islands.append(sorted(island))
    return islands


def _region(
    island: list[tuple[int, int]], scale: tuple[float, float], across: Floats, down: Floats
) -> Region:
    """Return an island of cells as a region, measured along the direction of the edges inside."""
    rows, columns = np.array(island).T
    top, bottom = int(rows.min() * scale[1]), math.ceil((rows.max() + 1) * scale[1])
    left, right = int(columns.min() * scale[0]), math.ceil((columns.max() + 1) * scale[0])
    angle = edge_angle(across[top:bottom, left:right], down[top:bottom, left:right])
    x, y = (columns + 0.5) * scale[0], (rows + 0.5) * scale[1]
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    along, aside = x * cosine + y * sine, y * cosine - x * sine
    middle = (along.max() + along.min()) / 2, (aside.max() + aside.min()) / 2
    centre = to_label(middle, Region((0.0, 0.0), (0.0, 0.0), angle))
    extent = (np.ptp(along) + 4 * max(scale), np.ptp(aside) + 4 * max(scale))
    return Region(centre, (float(extent[0]), float(extent[1])), angle)


def to_label(point: tuple[float, float], region: Region) -> tuple[float, float]:
    """Return the label coordinates of a point given along the region's axes, from the region's centre."""
    cosine, sine = math.cos(math.radians(region.angle)), math.sin(math.radians(region.angle))
    x, y = point[0] * cosine - point[1] * sine, point[0] * sine + point[1] * cosine
    return float(region.centre[0] + x), float(region.centre[1] + y)


def resize(grey: Image.Image, factor: float) -> Image.Image:
    """Return the image scaled by ``factor``."""
    if factor == 1:
        return grey
    size = (max(1, round(grey.width * factor)), max(1, round(grey.height * factor)))
    return grey.resize(size, Image.Resampling.BICUBIC if factor > 1 else Image.Resampling.BOX)


def average_bars(grey: Image.Image, along_shorter: bool = True) -> Image.Image:
    """Return the image averaged along the bars of an upright linear code, which usually follow the shorter side."""
    width, height = grey.size
    if (height <= width) == along_shorter:
        size = (width, max(1, height // AVERAGED_PIXELS))
    else:
        size = (max(1, width // AVERAGED_PIXELS), height)
    return grey.resize(size, Image.Resampling.BOX).resize(grey.size, Image.Resampling.BILINEAR)


def edge_angle(across: Floats, down: Floats) -> float:
    """Return the direction, 0 to 90 degrees, that the strong edges follow or cross at right angles."""
    strength = np.hypot(across, down)
    strong = strength >= np.percentile(strength, 75)
    angles = np.degrees(np.arctan2(down[strong], across[strong])) % UPRIGHT_PERIOD
    counts, _ = np.histogram(angles, bins=180, range=(0, UPRIGHT_PERIOD), weights=strength[strong])
    around = np.concatenate([counts[-4:], counts, counts[:4]])
    smooth = np.convolve(around, [1, 2, 3, 4, 5, 4, 3, 2, 1], "valid")
    return (float(smooth.argmax()) + 0.5) * UPRIGHT_PERIOD / 180


def cut_out(grey: Image.Image, region: Region, side: int) -> Image.Image:
    """Return the region rotated upright, ``side`` pixels long, with a margin of the label's brightness."""
    factor = side / max(region.extent)
    # Where the region shrinks, a finer drawing is averaged, to avoid aliasing.
    oversampling = 1.0 if factor >= 1 else min(2.0, 1 / factor)
    step = 1 / (factor * oversampling)
    width, height = (max(8, round(length * factor * oversampling)) for length in region.extent)
    cosine, sine = math.cos(math.radians(region.angle)) * step, math.sin(math.radians(region.angle)) * step
    x = region.centre[0] - width / 2 * cosine + height / 2 * sine
    y = region.centre[1] - width / 2 * sine - height / 2 * cosine
    inverse = (cosine, -sine, x, sine, cosine, y)
    background = int(np.percentile(np.asarray(grey), 90))
    upright = grey.transform(
        (width, height), Image.Transform.AFFINE, inverse, Image.Resampling.BICUBIC, fillcolor=background
    )
    if oversampling > 1:
        upright = upright.resize(
            (round(width / oversampling), round(height / oversampling)), Image.Resampling.BOX
        )
    return ImageOps.autocontrast(upright, cutoff=1)
