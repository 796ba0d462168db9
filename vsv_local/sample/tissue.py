"""Paint the sample slide's tissue: glands in stroma, stained with haematoxylin and eosin.

Soft structures are painted at half the resolution and enlarged, for speed; nuclei and grain are painted at full
resolution, so that zooming in shows more. Stains are amounts (0 to 255), converted to colour at the end.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Amounts = NDArray[np.uint8]
Field = NDArray[np.float32]
Stamps = list[list[list[Amounts]]]  # by kind, direction and variant

_EOSIN_DENSITY = (0.10, 0.62, 0.33)  # optical density in red, green, blue of the full amount of a stain
_HAEMATOXYLIN_DENSITY = (1.35, 1.65, 0.80)
_GLASS = (244, 243, 245)  # a scanner's white is not pure white
_STAMP = 14  # half the side of a nucleus's stamp: the largest nucleus fits in any direction
_ANGLES = 24
_BASAL, _SPINDLE, _LYMPHOCYTE = range(3)
_WALL = 44  # px from a gland's outline to its lumen: 22 µm


@dataclass(frozen=True)
class _Gland:
    """A crypt in cross-section: an irregular ring. All lengths are px of the full resolution."""

    x: float
    y: float
    radius: float
    wobble: NDArray[np.float64]  # rows of lobes, amplitude, phase

    def outline(self, angle: NDArray[np.floating]) -> Field:
        """Return the distance from the centre to the outline in each direction."""
        waves = sum(a * np.cos(lobes * angle + phase) for lobes, a, phase in self.wobble)
        return np.asarray(self.radius * (1 + waves), np.float32)


@dataclass
class _Ground:
    """The tissue under the nuclei, at half the resolution."""

    inside: Field  # above 0 in tissue, rising inwards
    sag: Field  # how far fibres are bent down here, px of this plane
    depth: Field  # 0 at the mucosa's surface, 1 at the far side
    eosin: Field
    haematoxylin: Field
    stroma: NDArray[np.bool_]


def paint_tissue(width: int, height: int) -> NDArray[np.uint8]:
    """Return an RGB image of a piece of glandular tissue, the same at every call."""
    rng = np.random.default_rng(26)
    ground = _lay_ground(rng, (height // 2, width // 2))
    glands = _place_glands(rng, ground)
    for gland in glands:
        _paint_wall(rng, ground, gland)
    eosin, haematoxylin = (_enlarge(plane, (width, height)) for plane in (ground.eosin, ground.haematoxylin))
    stamps = _nucleus_stamps(rng)
    for gland in glands:
        _paint_basal_nuclei(rng, haematoxylin, gland, stamps)
    _paint_stroma_nuclei(rng, haematoxylin, ground, stamps)
    return _develop(rng, eosin, haematoxylin)


def _noise(rng: np.random.Generator, shape: tuple[int, int], rows: int, columns: int) -> Field:
    """Return smooth noise of about -1 to 1, its features about `rows` by `columns` large."""
    grid = rng.uniform(-1, 1, (shape[0] // rows + 2, shape[1] // columns + 2)).astype(np.float32)
    image = Image.fromarray(grid).resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
    return np.asarray(image)


def _lay_ground(rng: np.random.Generator, shape: tuple[int, int]) -> _Ground:
    y, x = np.ogrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    y, x = y.astype(np.float32), x.astype(np.float32)
    ragged = 0.16 * _noise(rng, shape, 260, 260) + 0.05 * _noise(rng, shape, 60, 60)
    frayed = 0.012 * _noise(rng, shape, 9, 9)
    inside = 0.80 - np.sqrt(np.sqrt(x**4 + y**4 + x * x * y * y)) + ragged + frayed
    sag = 60 * _noise(rng, shape, 240, 240)
    depth = (y + 0.12 * np.sin(3 * x + 1) + 0.85) / 1.7
    eosin, whole = _weave_fibres(rng, sag, depth)
    whole *= np.clip(inside * 250, 0, 1)
    return _Ground(inside, sag, depth, eosin * whole, (6 + 10 * (depth < 0.6)) * whole, whole > 0.6)


def _weave_fibres(rng: np.random.Generator, sag: Field, depth: Field) -> tuple[Field, Field]:
    """Return the eosin of collagen and muscle, and 0 where fibres have parted (1 elsewhere)."""
    shape = depth.shape
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    rows = (rows + sag.astype(np.int32)) % shape[0]
    fibres = (0.6 * _noise(rng, shape, 3, 26) + 0.5 * _noise(rng, shape, 9, 60))[rows, columns]
    muscle = np.clip(1 - np.abs(depth - 0.70) / 0.05, 0, 1)
    loose = np.clip((depth - 0.74) * 12, 0, 1)
    eosin = 108 + (28 + 18 * loose) * fibres + 16 * _noise(rng, shape, 50, 50) + 56 * muscle
    parting = _noise(rng, shape, 14, 90)[rows, columns] + 0.35 * fibres
    whole = np.clip((parting + 1.02 - 0.5 * loose + 0.4 * muscle) * 14, 0, 1)
    return eosin, whole


def _place_glands(rng: np.random.Generator, ground: _Ground) -> list[_Gland]:
    """Scatter glands over the mucosa wherever one still fits, as dense as in real tissue."""
    glands: list[_Gland] = []
    height, width = ground.inside.shape
    for x, y, size in rng.random((6000, 3)):
        spot = (int(y * height), int(x * width))
        radius = 66 + 40 * size
        if ground.inside[spot] < 0.11 or ground.depth[spot] > 0.59:
            continue
        if all(np.hypot(2 * spot[1] - g.x, 2 * spot[0] - g.y) > 1.05 * (radius + g.radius) for g in glands):
            waves = rng.uniform(0.2, 1, 3) * (0.11, 0.06, 0.03)
            wobble = np.column_stack(((2, 3, 5), waves, rng.uniform(0, 2 * np.pi, 3)))
            glands.append(_Gland(2 * spot[1], 2 * spot[0], radius, wobble))
    return glands


def _paint_wall(rng: np.random.Generator, ground: _Ground, gland: _Gland) -> None:
    """Paint a gland's ring of cells around its empty lumen, with pale goblet cells in between."""
    reach = int(gland.radius * 0.62) + 4
    top, left = max(int(gland.y / 2) - reach, 0), max(int(gland.x / 2) - reach, 0)
    window = np.s_[top : top + 2 * reach, left : left + 2 * reach]
    shape = ground.eosin[window].shape
    y, x = np.ogrid[: shape[0], : shape[1]]
    dy, dx = 2 * (y + top) - gland.y, 2 * (x + left) - gland.x
    angle = np.arctan2(dy, dx)
    within = gland.outline(angle) - np.hypot(dy, dx)
    goblets = _goblets(rng, angle, within, gland.radius)
    ring = np.clip(within / 3, 0, 1)
    eosin = np.interp(
        within, (0, 3, 6, 20, _WALL - 5, _WALL - 2, _WALL + 1, _WALL + 4), (150, 150, 96, 74, 92, 140, 30, 3)
    )
    haematoxylin = np.interp(within, (0, 8, 24, _WALL - 2, _WALL + 2), (20, 46, 30, 26, 0))
    eosin, haematoxylin = eosin * (1 - 0.8 * goblets), haematoxylin * (1 - 0.45 * goblets)
    ground.eosin[window] += ring * (eosin - ground.eosin[window])
    ground.haematoxylin[window] += ring * (haematoxylin - ground.haematoxylin[window])
    ground.stroma[window] &= within < -8


def _goblets(rng: np.random.Generator, angle: Field, within: Field, radius: float) -> Field:
    """Return 1 in the drops of mucus, which are between the nuclei and the lumen; 0 elsewhere."""
    count = int(radius / 4)
    turn = angle * count / (2 * np.pi) + 0.5 * count
    cell = turn.astype(np.int32) % count
    size = rng.uniform(0.0, 1.25, count)[cell]
    across = (turn % 1 - 0.5) * 2 * np.pi * (radius - 28) / count
    along = within - 27 - rng.uniform(-2, 5, count)[cell]
    distance = np.hypot(across / 7.5, along / 11.5)
    return np.asarray(np.clip((np.minimum(size, 1) * (size > 0.4) - distance) * 5, 0, 1), np.float32)


def _enlarge(plane: Field, size: tuple[int, int]) -> Amounts:
    amounts = Image.fromarray(np.clip(plane, 0, 255).astype(np.uint8))
    smooth = amounts.filter(
        ImageFilter.GaussianBlur(0.9)
    )  # fibres are bent in whole rows: blurring hides the steps
    return np.array(smooth.resize(size, Image.Resampling.BILINEAR))


def _nucleus_stamps(rng: np.random.Generator) -> Stamps:
    """Return nuclei of every kind: (half length, half width, darkness), seen from above."""
    kinds = ((9.0, 5.2, 0.62), (11.5, 3.0, 0.74), (5.6, 5.0, 0.92))
    directions = np.arange(_ANGLES) * np.pi / _ANGLES
    return [
        [[_nucleus(rng, long, short, dark, angle) for _ in range(4)] for angle in directions]
        for long, short, dark in kinds
    ]


def _nucleus(rng: np.random.Generator, long: float, short: float, dark: float, angle: float) -> Amounts:
    """Return a nucleus: a dark rim, clumped chromatin, sometimes a nucleolus."""
    y, x = np.mgrid[-_STAMP : _STAMP + 1, -_STAMP : _STAMP + 1].astype(np.float32)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    long, short = np.array((long, short)) * rng.uniform(0.86, 1.14, 2)
    radius = np.hypot(along / long, across / short) + 0.05 * _noise(rng, x.shape, 7, 7)
    chromatin = dark + 0.16 * _noise(rng, x.shape, 3, 3) + 0.14 * np.exp(-(((radius - 0.9) / 0.12) ** 2))
    nucleolus = 0.3 * np.exp(-((along - rng.uniform(-3, 3)) ** 2 + across**2) / 2.5)
    amount = np.clip((1 - radius) * short / 1.2, 0, 1) * (chromatin + nucleolus * (rng.random() < 0.4))
    return np.asarray(np.clip(255 * amount, 0, 255), np.uint8)


def _paint_basal_nuclei(
    rng: np.random.Generator, haematoxylin: Amounts, gland: _Gland, stamps: Stamps
) -> None:
    """Line a gland's outline with nuclei that point to its centre."""
    count = int(2 * np.pi * gland.radius / 11.5)
    angles = (np.arange(count) + rng.uniform(-0.25, 0.25, count)) * 2 * np.pi / count
    distances = gland.outline(angles) - rng.uniform(10, 17, count)
    for angle, distance in zip(angles, distances, strict=True):
        stamp = stamps[_BASAL][int(angle / np.pi * _ANGLES + 0.5) % _ANGLES][rng.integers(4)]
        _stamp_nucleus(
            haematoxylin, stamp, gland.x + distance * np.cos(angle), gland.y + distance * np.sin(angle)
        )


def _paint_stroma_nuclei(
    rng: np.random.Generator, haematoxylin: Amounts, ground: _Ground, stamps: Stamps
) -> None:
    """Scatter fibroblasts and muscle cells along the fibres, and lymphocytes in groups among the glands."""
    shape = ground.stroma.shape
    crowd = np.clip(0.22 + 0.55 * _noise(rng, shape, 90, 90), 0.04, 1) * (ground.depth < 0.64)
    slope = -np.gradient(ground.sag, axis=1)
    y, x = (plane.ravel() for plane in np.mgrid[5 : shape[0] - 5 : 7, 5 : shape[1] - 5 : 7])
    y, x = y + rng.integers(-3, 4, y.size), x + rng.integers(-3, 4, x.size)
    choice, variant = rng.random(y.size), rng.integers(4, size=y.size)
    is_round = choice < crowd[y, x]
    along = np.arctan(slope[y, x]) / np.pi * _ANGLES + rng.normal(0, 0.8, y.size)
    for at in np.flatnonzero(ground.stroma[y, x] & (is_round | (choice > 0.88))):
        kind = _LYMPHOCYTE if is_round[at] else _SPINDLE
        _stamp_nucleus(
            haematoxylin, stamps[kind][round(along[at]) % _ANGLES][variant[at]], 2 * x[at], 2 * y[at]
        )


def _stamp_nucleus(haematoxylin: Amounts, stamp: Amounts, x: float, y: float) -> None:
    top, left = int(y) - _STAMP, int(x) - _STAMP
    window = haematoxylin[max(top, 0) : top + stamp.shape[0], max(left, 0) : left + stamp.shape[1]]
    if window.shape == stamp.shape:  # the slide's edge is bare glass: a nucleus there can be left out
        np.maximum(window, stamp, out=window)


def _develop(rng: np.random.Generator, eosin: Amounts, haematoxylin: Amounts) -> NDArray[np.uint8]:
    """Convert stains to colour by the Beer–Lambert law, with a look-up table of both amounts."""
    amount = np.arange(256)[:, None] / 255
    eosin_density, haematoxylin_density = amount * _EOSIN_DENSITY, amount * _HAEMATOXYLIN_DENSITY
    colours = np.rint(_GLASS * np.exp(-(eosin_density[:, None] + haematoxylin_density))).astype(np.uint8)
    height, width = eosin.shape
    grain = np.tile(rng.integers(226, 277, (500, 500), np.uint16), (-(-height // 500), -(-width // 500)))
    grainy = (np.minimum(eosin, 220) * grain[:height, :width]) >> 8  # in proportion: glass stays clean
    slide: NDArray[np.uint8] = np.take(colours.reshape(-1, 3), (grainy << 8) | haematoxylin, axis=0)
    return slide
