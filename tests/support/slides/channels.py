"""TIFFs of deep samples and of several channels that tests write, and the picture expected of their lossless samples.

What is expected is computed by numpy from the samples that were written, without the product's code.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from tests.support.slides.aperio import Pixels, texture

Samples = NDArray[Any]
Color = tuple[int, int, int]

SIZE = (700, 533)
WHITE, RED, GREEN, BLUE = (255, 255, 255), (255, 0, 0), (0, 255, 0), (0, 0, 255)
# ImageJ's order.
DEFAULTS: tuple[Color, ...] = (RED, GREEN, BLUE, WHITE, (0, 255, 255), (255, 0, 255), (255, 255, 0))
APERIO = "Aperio Image Library v11.2.1 \r\n|AppMag = 20|MPP = 0.4990|ImageID = 1004486"


def deep(seed: int = 0, bits: int = 12, size: tuple[int, int] = SIZE) -> NDArray[np.uint16]:
    """Return a picture in shades of grey with this many bits, and noise in the lowest of them."""
    light = texture(*size, seed=seed)[..., 0].astype(np.uint32) << 8
    noise = np.random.default_rng(seed).integers(0, 256, light.shape, dtype=np.uint32)
    return ((light | noise) >> (16 - bits)).astype(np.uint16)


def mapped(samples: Samples, window: tuple[float, float] | None = None) -> NDArray[np.float64]:
    """Return samples as 0 to 255 in a window, the 1st to the 99.9th percentile if none is given."""
    start, end = np.percentile(samples, [1, 99.9]) if window is None else window
    return np.asarray(255 * ((samples.astype(np.float64) - start) / (end - start)).clip(0, 1))


def composite(planes: Sequence[NDArray[np.float64]], colors: Sequence[Color]) -> NDArray[np.float64]:
    """Return the sum of channels, each 0 to 255 in its colour, at most white."""
    total = sum(plane[..., None] * np.array(color) / 255 for plane, color in zip(planes, colors, strict=True))
    return np.minimum(total, 255)


def grey(samples: Samples) -> NDArray[np.float64]:
    """Return the picture expected of a single channel."""
    return composite([mapped(samples)], [WHITE])


def write(path: Path, samples: Samples, **more: Any) -> Path:
    """Write samples with tifffile: tiled, deflated, without metadata, unless other arguments say otherwise."""
    options: dict[str, Any] = {"tile": (256, 256), "compression": "deflate", "photometric": "minisblack"}
    given = {name: value for name, value in (options | more).items() if value is not None}
    tifffile.imwrite(path, samples, metadata=None, **given)
    return path


def write_ome(
    path: Path, planes: Sequence[Samples], channel: dict[str, Any] | None = None, levels: int = 0, **more: Any
) -> Path:
    """Write an OME-TIFF of one directory a channel; ``levels`` smaller levels are in SubIFDs, as means."""
    stack = np.stack(planes)
    options = {"tile": (256, 256), "compression": "deflate", "photometric": "minisblack"} | more
    metadata = {"axes": "CYX", "PhysicalSizeX": 0.325, "PhysicalSizeXUnit": "µm", "Channel": channel or {}}
    with tifffile.TiffWriter(path, ome=True, bigtiff=more.get("bigtiff", False)) as tiff:
        options.pop("bigtiff", None)
        tiff.write(stack, subifds=levels, metadata=metadata, **options)
        for _ in range(levels):
            stack = np.stack([halved(plane) for plane in stack])
            tiff.write(stack, subfiletype=1, metadata=None, **options)
    return path


def halved(plane: Samples) -> Samples:
    """Return the means of blocks of two by two samples; a last odd row or column is left out."""
    height, width = (side // 2 * 2 for side in plane.shape)
    blocks = plane[:height, :width].reshape(height // 2, 2, width // 2, 2).astype(np.float64)
    return np.round(blocks.mean(axis=(1, 3))).astype(plane.dtype)


def difference(found: Pixels, expected: NDArray[np.float64]) -> float:
    """Return the greatest difference between pixels, in grey levels."""
    return float(np.abs(found.astype(np.float64) - expected).max())
