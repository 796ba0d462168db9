"""A picture whose pixels tell their place: what is shown can be compared with what was written."""

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]


def squares(seed: int = 1) -> Pixels:
    """Return 1024×1024 pixels of coloured squares of 16 pixels, which JPEG and halvings keep apart."""
    colours = np.random.default_rng(seed).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    return np.kron(colours, np.ones((16, 16, 1), np.uint8))
