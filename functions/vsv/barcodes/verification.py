"""Verification of a Data Matrix text: the symbol that encodes the text is held against the modules of the label.

libdmtx reads texts in modules at random, in spite of the symbols' error correction.
"""

import numpy as np
import numpy.typing as npt
import zxingcpp

from vsv.barcodes.datamatrix_repair import redraw_symbols, sampled_modules
from vsv.barcodes.preprocessing import cut_out
from vsv.barcodes.strategies import Views

MOST_WRONG = 0.15  # of the modules, as error correction allows; between symbols of different texts half are
LEAST_MODULES = 12  # per side: the smallest symbols, of three characters, are met in modules at random
SIDE = 400  # pixels of a cut-out: 15 a module of the largest symbols that are sampled


def is_on_label(text: str, views: Views) -> bool:
    """Return whether a symbol of the label has the modules of the text, as far as damage allows."""
    expected = _modules_of(text)
    if len(expected) < LEAST_MODULES:
        return False
    for region in views.regions:
        for picture in redraw_symbols(cut_out(views.grey, region, SIDE)):
            sampled = sampled_modules(picture)
            if sampled.shape == expected.shape and np.mean(sampled != expected) <= MOST_WRONG:
                return True
    return False


def _modules_of(text: str) -> npt.NDArray[np.bool_]:
    """Return the dark modules of the square symbol that encodes a text, without its quiet zone."""
    symbol = zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat.DataMatrix, force_square=True)
    dark = np.array(symbol.to_image(scale=1)) < 128
    rows, columns = np.flatnonzero(dark.any(axis=1)), np.flatnonzero(dark.any(axis=0))
    return np.asarray(dark[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], np.bool_)
