"""Draw label-like images without a barcode, to count false reads: the same seed draws the same image."""

import math

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

KINDS = ("text", "handwriting", "noise", "bars", "table", "hatching", "checks", "rings")


def blank_label(number: int, seed: int) -> Image.Image:
    """Draw image ``number`` without a barcode, of the kinds in turn, slightly turned and blurred."""
    rng = np.random.default_rng((seed, number, 77))
    side = int(rng.integers(400, 900))
    image = Image.new("RGB", (side, int(side * rng.uniform(0.7, 1.2))), (int(rng.integers(200, 250)),) * 3)
    draw = ImageDraw.Draw(image)
    PAINTERS[KINDS[number % len(KINDS)]](rng, draw, image.size)
    if KINDS[number % len(KINDS)] == "noise":
        image = speckled(rng, image)
    angle = float(rng.choice((0, 90, 180, 270))) + float(rng.normal(0, 2))
    image = image.rotate(angle, Image.Resampling.BICUBIC, fillcolor=image.getpixel((0, 0)))
    return image.filter(ImageFilter.GaussianBlur(rng.uniform(0, 1.2)))


def text(rng: np.random.Generator, draw: ImageDraw.ImageDraw, size: tuple[int, int]) -> None:
    """Fill the label with printed lines."""
    height = int(rng.integers(14, 60))
    letters = list("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-|lI1/")
    for y in range(10, size[1], int(height * 1.2)):
        line = "".join(rng.choice(letters, int(rng.integers(5, 30))))
        draw.text((10, y), line, fill=(20, 20, 20), font=ImageFont.load_default(height))


def handwriting(rng: np.random.Generator, draw: ImageDraw.ImageDraw, size: tuple[int, int]) -> None:
    """Draw irregular strokes like handwriting."""
    for _ in range(int(rng.integers(4, 20))):
        steps = rng.normal(0, size[0] / 18, (int(rng.integers(5, 40)), 2)).cumsum(axis=0)
        points = [(float(x), float(y)) for x, y in steps + rng.uniform(0.2, 0.8, 2) * np.array(size)]
        draw.line(points, fill=(20, 25, 60), width=int(rng.integers(2, 12)), joint="curve")


def speckled(rng: np.random.Generator, image: Image.Image) -> Image.Image:
    """Return random black and white squares, which hold every small pattern somewhere."""
    cell = int(rng.integers(1, 12))
    cells = rng.random((image.height // cell + 1, image.width // cell + 1)) < rng.uniform(0.35, 0.65)
    pixels = np.kron(cells, np.ones((cell, cell), bool))[: image.height, : image.width]
    return Image.fromarray(np.where(pixels, 235, 20).astype(np.uint8)).convert("RGB")


def bars(rng: np.random.Generator, draw: ImageDraw.ImageDraw, size: tuple[int, int]) -> None:
    """Draw bars of a few widths at random: like a linear code, but without a text."""
    module, x = float(rng.uniform(1.5, 4)), 20.0
    widths = (1, 2.5) if rng.random() < 0.5 else (1, 2, 3, 4)
    top, bottom = size[1] * 0.3, size[1] * 0.6
    while x < size[0] - 20:
        bar, space = (float(rng.choice(widths)) * module for _ in range(2))
        draw.rectangle((x, top, x + bar, bottom), fill=(15, 15, 15))
        x += bar + space


def table(rng: np.random.Generator, draw: ImageDraw.ImageDraw, size: tuple[int, int]) -> None:
    """Draw the lines of a form, with short words in some cells."""
    step = (int(rng.integers(12, 90)), int(rng.integers(12, 60)))
    for x in range(10, size[0], step[0]):
        draw.line((x, 10, x, size[1] - 10), fill=(30, 30, 30), width=int(rng.integers(1, 5)))
    for y in range(10, size[1], step[1]):
        draw.line((10, y, size[0] - 10, y), fill=(30, 30, 30), width=int(rng.integers(1, 5)))
        draw.text(
            (14, y + 2), str(int(rng.integers(0, 99999))), fill=(10, 10, 10), font=ImageFont.load_default(14)
        )


def hatching(rng: np.random.Generator, draw: ImageDraw.ImageDraw, size: tuple[int, int]) -> None:
    """Draw strokes that are nearly parallel and nearly regular."""
    lean, x = rng.uniform(-60, 60), 0.0
    while x < size[0]:
        shift = rng.normal(0, 2)
        draw.line((x, 0, x + lean + shift, size[1]), fill=(20, 20, 20), width=int(rng.integers(1, 7)))
        x += rng.uniform(4, 18)


def checks(rng: np.random.Generator, draw: ImageDraw.ImageDraw, size: tuple[int, int]) -> None:
    """Draw a square with a solid L and a dashed edge round random modules: a Data Matrix without a text."""
    count, module = int(rng.choice((10, 12, 14, 16, 18))), int(rng.integers(4, 14))
    cells = rng.random((count, count)) < 0.5
    cells[0], cells[:, -1] = np.arange(count) % 2 == 0, np.arange(count) % 2 == 1
    cells[-1], cells[:, 0] = True, True
    left, top = (max(0, (side - count * module) // 2) for side in size)
    for row, column in np.argwhere(cells):
        x, y = left + int(column) * module, top + int(row) * module
        draw.rectangle((x, y, x + module - 1, y + module - 1), fill=(10, 10, 10))


def rings(rng: np.random.Generator, draw: ImageDraw.ImageDraw, size: tuple[int, int]) -> None:
    """Draw the rings of a stain or a logo."""
    x, y = (side * rng.uniform(0.3, 0.7) for side in size)
    for radius in np.arange(5.0, math.hypot(*size) / 3, rng.uniform(5, 25)):
        width = int(rng.integers(1, 8))
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=(30, 20, 60), width=width)


PAINTERS = {
    "text": text,
    "handwriting": handwriting,
    "noise": text,
    "bars": bars,
    "table": table,
    "hatching": hatching,
    "checks": checks,
    "rings": rings,
}
