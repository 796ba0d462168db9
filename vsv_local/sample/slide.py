"""Write an artificial Aperio slide for trying the program out: no patient, no scanner, no download."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import simplejpeg
import zxingcpp
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont
from vsv.formats.jpeg import abbreviate
from vsv.formats.tiff_writer import PageLayout, TiffWriter
from vsv.storage import atomic_write

from vsv_local.sample.tissue import paint_tissue

SLIDE_ID = "S26-000123-A1"

_WIDTH, _HEIGHT = 4000, 3000
_TILE = 256
_STRIP_ROWS = 16  # as in Aperio's files; a multiple of the 8 rows of a 4:2:2 JPEG block
_QUALITY = 70
_LIBRARY = "Aperio Image Library v12.0.15 \r\n"
_PROPERTIES = (
    "|AppMag = 20|MPP = 0.4990|Date = 11/02/26|Time = 09:30:00|Time Zone = GMT+01:00"
    "|ScanScope ID = SAMPLE|Filename = sample|ImageID = 2000001"
)
_REDUCED, _LABEL, _MACRO = 0, 1, 9  # NewSubfileType as Aperio sets it: levels are not marked as reduced

Pixels = NDArray[np.uint8]


def write_sample_slide(path: Path) -> None:
    """Write the sample slide at `path`: the whole file or, when anything fails, nothing."""
    tissue = paint_tissue(_WIDTH, _HEIGHT)
    with atomic_write.replacing(path) as part, part.open("wb") as file:
        tiff = TiffWriter(file)
        for page in _pages(Image.fromarray(tissue)):
            _write_page(tiff, page)


@dataclass(frozen=True)
class _Page:
    """One image of the slide file; `tiled` distinguishes pyramid levels from strip-wise associated images."""

    image: Image.Image
    description: str
    tiled: bool
    subfile_type: int = _REDUCED
    quality: int = _QUALITY


def _pages(tissue: Image.Image) -> Iterator[_Page]:
    """Yield the pages in Aperio's order: OpenSlide reads the second one as the thumbnail."""
    source = f"{_LIBRARY}{_WIDTH}x{_HEIGHT} [0,0 {_WIDTH}x{_HEIGHT}] ({_TILE}x{_TILE})"
    jpeg = f"JPEG/RGB Q={_QUALITY}"
    level = tissue.reduce(4)
    thumbnail = tissue.resize((1024, 768), Image.Resampling.BOX)
    label = _draw_label()
    macro = _draw_macro(label, thumbnail)
    yield _Page(tissue, f"{source} {jpeg}{_PROPERTIES}", tiled=True)
    yield _Page(
        thumbnail, f"{_LIBRARY}{_WIDTH}x{_HEIGHT} -> {_size_text(thumbnail)} - {_PROPERTIES}", tiled=False
    )
    yield _Page(level, f"{source} -> {_size_text(level)} {jpeg}{_PROPERTIES}", tiled=True)
    yield _Page(label, f"{_LIBRARY}label {_size_text(label)}", tiled=False, subfile_type=_LABEL, quality=92)
    yield _Page(macro, f"{_LIBRARY}macro {_size_text(macro)}", tiled=False, subfile_type=_MACRO, quality=85)


def _size_text(image: Image.Image) -> str:
    return f"{image.width}x{image.height}"


def _write_page(tiff: TiffWriter, page: _Page) -> None:
    """Append a page whose tiles or strips share their JPEG tables, as scanners write them."""
    pixels = np.asarray(page.image)
    blocks = _tiles(pixels) if page.tiled else _strips(pixels)
    encoded = [abbreviate(_encode(block, page.quality)) for block in blocks]
    layout = PageLayout(
        page.image.width,
        page.image.height,
        encoded[0][0],
        subsampling=(2, 1),
        tile_size=_TILE if page.tiled else 0,
        strip_rows=_STRIP_ROWS,
        subfile_type=page.subfile_type,
        description=page.description,
    )
    tiff.write_page(layout, (stream for _, stream in encoded))


def _encode(block: Pixels, quality: int) -> bytes:
    encoded: bytes = simplejpeg.encode_jpeg(np.ascontiguousarray(block), quality, colorsubsampling="422")
    return encoded


def _tiles(pixels: Pixels) -> Iterator[Pixels]:
    height, width = pixels.shape[:2]
    padding = ((0, -height % _TILE), (0, -width % _TILE), (0, 0))
    padded = np.pad(pixels, padding, mode="edge")  # whole tiles, and no ringing at the slide's edge
    for top in range(0, height, _TILE):
        for left in range(0, width, _TILE):
            yield padded[top : top + _TILE, left : left + _TILE]


def _strips(pixels: Pixels) -> Iterator[Pixels]:
    for top in range(0, pixels.shape[0], _STRIP_ROWS):
        yield pixels[top : top + _STRIP_ROWS]


def _draw_label() -> Image.Image:
    """Draw the paper label, with the Data Matrix that holds the slide's ID."""
    label = Image.new("RGB", (600, 600), (247, 246, 240))
    draw = ImageDraw.Draw(label)
    draw.rectangle((14, 14, 585, 585), outline=(186, 188, 190), width=2)
    draw.rectangle((14, 14, 585, 96), fill=(44, 92, 122))
    draw.text((300, 55), "SAMPLE", font=_font(52), fill=(255, 255, 255), anchor="mm")
    draw.text((300, 148), SLIDE_ID, font=_font(56), fill=(20, 20, 24), anchor="mm")
    draw.text((300, 206), "H&E", font=_font(34), fill=(20, 20, 24), anchor="mm")
    draw.text((300, 548), "not a patient", font=_font(36), fill=(20, 20, 24), anchor="mm")
    code = _data_matrix(SLIDE_ID)
    label.paste(code, (300 - code.width // 2, 376 - code.height // 2))
    return label


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)  # Pillow's own font: the same letters on every machine


def _data_matrix(text: str) -> Image.Image:
    barcode = zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat.DataMatrix, force_square=True)
    modules = Image.fromarray(np.array(barcode.to_image(scale=1, add_quiet_zones=True)))
    factor = 280 // modules.width
    return modules.resize((modules.width * factor, modules.height * factor), Image.Resampling.NEAREST)


def _draw_macro(label: Image.Image, tissue: Image.Image) -> Image.Image:
    """Draw the slide as an overview camera would: label on the left, tissue under its coverslip."""
    macro = Image.new("RGB", (1280, 432), (58, 60, 64))
    draw = ImageDraw.Draw(macro)
    draw.rounded_rectangle(
        (8, 8, 1271, 423), radius=10, fill=(226, 230, 229), outline=(250, 252, 252), width=3
    )
    macro.paste(label.resize((396, 396), Image.Resampling.LANCZOS), (18, 18))
    coverslip = (470, 22, 1240, 409)
    draw.rectangle(coverslip, fill=(234, 237, 236), outline=(204, 210, 209), width=2)
    small = tissue.resize((440, 330), Image.Resampling.BOX).filter(ImageFilter.GaussianBlur(0.8))
    small = small.point(
        [min(255, round(value * 255 / 242)) for value in range(256)] * 3
    )  # bare glass to white
    place = (640, 50, 640 + small.width, 50 + small.height)
    macro.paste(ImageChops.multiply(macro.crop(place), small), place)
    return macro
