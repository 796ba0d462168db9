"""Draw slide labels from a seed: with a barcode and one kind of damage, or without any barcode.

Lengths of damage are in modules of the code (its narrowest bar or smallest square), because these decide readability;
each label has its own random generator, so its image does not depend on labels drawn before.
"""

import io
import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import zxingcpp
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

FORMATS = {
    "Data Matrix": zxingcpp.BarcodeFormat.DataMatrix,
    "QR": zxingcpp.BarcodeFormat.QRCode,
    "Code 128": zxingcpp.BarcodeFormat.Code128,
    "Code 39": zxingcpp.BarcodeFormat.Code39Std,
}
# Seldom on labels; read as well.
SELDOM_FORMATS = {
    "Aztec": zxingcpp.BarcodeFormat.Aztec,
    "PDF417": zxingcpp.BarcodeFormat.PDF417,
    "Code 93": zxingcpp.BarcodeFormat.Code93,
    "ITF": zxingcpp.BarcodeFormat.ITF,
    "Codabar": zxingcpp.BarcodeFormat.Codabar,
}
LINEAR = ("Code 128", "Code 39", "Code 93", "ITF", "Codabar")
# Of 20 labels of each kind: Data Matrix is the majority, as on real labels.
FORMAT_TURNS = ("Data Matrix",) * 12 + ("QR",) * 2 + ("Code 128",) * 3 + ("Code 39",) * 3
SUPERSAMPLED = 2
PEN_COLOURS = ((15, 15, 20), (20, 30, 110), (150, 25, 30), (85, 85, 90))


@dataclass(frozen=True)
class Label:
    """One drawn label: ``text`` is the text that must be read, None where no text may be read."""

    image: Image.Image
    text: str | None
    format: str
    damage: str
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Drawn:
    """A label before its damage: ``box`` is the upright code's place, turned by ``angle`` about the centre.

    ``strength`` scales the damage; the functions below define a strength of 1.
    """

    image: Image.Image
    centre: tuple[float, float]
    size: tuple[float, float]
    angle: float
    module: float
    strength: float = 1.0


def label_text(rng: np.random.Generator, kind: str) -> str:
    """Choose an accession-like text that ``kind`` can encode, at random."""
    year, number = int(rng.integers(15, 26)), int(rng.integers(1, 99999))
    if kind == "ITF":
        return f"{year}{number:06d}"
    if kind == "Codabar":
        return f"A{year}{number:05d}B"
    shapes = [f"S{year}-{number:05d}-A{number % 9 + 1}", f"H{year}{number:06d}", f"{number:05d}-{year}-B2-HE"]
    if kind in ("Data Matrix", "QR"):
        shapes += [f"NP{year}-{number};A{number % 7};2;HE", f"20{year}{number:07d}{number % 97:02d}"]
    return shapes[int(rng.integers(len(shapes)))]


def code_image(text: str, kind: str, module: float, square: bool = True) -> Image.Image:
    """Render the code, quiet zone included, upright at ``module`` pixels (times SUPERSAMPLED) a module."""
    options = {"force_square": True} if kind == "Data Matrix" and square else {}
    modules = np.array(
        zxingcpp.create_barcode(text, (FORMATS | SELDOM_FORMATS)[kind], **options).to_image(scale=1)
    )
    if kind in LINEAR:  # one row of the library's image is enough; a quarter of the width is a usual height
        modules = np.repeat(modules[:1], max(18, modules.shape[1] // 4), axis=0)
    large = Image.fromarray(modules).resize(
        (modules.shape[1] * 8, modules.shape[0] * 8), Image.Resampling.NEAREST
    )
    factor = module * SUPERSAMPLED
    width, height = (max(1, round(side * factor)) for side in modules.shape[::-1])
    return large.resize((width, height), Image.Resampling.BOX)


def draw_text(
    canvas: Image.Image, box: tuple[int, int, int, int], text: str, rng: np.random.Generator
) -> None:
    """Draw human-readable lines above and below ``box``, as label printers do."""
    draw = ImageDraw.Draw(canvas)
    left, top, _, bottom = box
    size = max(14, int(canvas.width * rng.uniform(0.035, 0.07)))
    font = ImageFont.load_default(size)
    words = ["PATHOLOGY LAB", "DOE, JANE", "HE", "Ki-67", "Level 2", "12.03.2024", "Block A"]
    ink = int(rng.integers(0, 60))
    for line, y in enumerate((top - 2.4 * size, top - 1.3 * size, bottom + 0.2 * size, bottom + 1.3 * size)):
        word = text if line == 2 else words[int(rng.integers(len(words)))]
        draw.text((left, y), word, fill=(ink, ink, ink), font=font)


def paper(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """Return an empty canvas in the off-white, or sometimes the colour, of a label."""
    white = int(rng.integers(200, 250))
    spread = 70 if rng.random() < 0.15 else 14
    return Image.new("RGB", size, tuple(int(white - rng.integers(0, spread)) for _ in range(3)))


def turn(canvas: Image.Image, angle: float, background: tuple[int, int, int]) -> Image.Image:
    """Turn the whole label about its centre and scale it to its final size."""
    turned = canvas.rotate(angle, Image.Resampling.BICUBIC, fillcolor=background)
    return turned.resize((canvas.width // SUPERSAMPLED, canvas.height // SUPERSAMPLED), Image.Resampling.BOX)


def module_size(rng: np.random.Generator, kind: str, side: int, modules: int, small: bool) -> float:
    """Choose the pixels per module at random: fewer for linear codes, because they are wide."""
    if small:
        return float(rng.uniform(1.25, 1.6) if kind in LINEAR else rng.uniform(1.9, 2.6))
    least, share = (1.7, rng.uniform(0.6, 0.85)) if kind in LINEAR else (2.8, rng.uniform(0.16, 0.42))
    return float(max(least, share * side / modules))


def place(rng: np.random.Generator, canvas: Image.Image, code: Image.Image) -> tuple[int, int]:
    """Choose the code's place at random, but inside the frame at any angle."""
    room = min(canvas.size) / 2 * 0.97 - math.hypot(*code.size) / 2
    reach, towards = max(0.0, room) * rng.random(), rng.uniform(0, math.tau)
    x, y = reach * math.cos(towards), reach * math.sin(towards)
    return round(canvas.width / 2 + x - code.width / 2), round(canvas.height / 2 + y - code.height / 2)


def draw_label(rng: np.random.Generator, kind: str, text: str, small: bool = False) -> Drawn:
    """Draw one code with its text on a label of 400..1500 pixels, turned by any angle."""
    square = bool(rng.random() < 0.85)
    modules = code_image(text, kind, 1.0, square).width / SUPERSAMPLED
    side = int(rng.choice((400, 500, 600, 800, 1000, 1200), p=(0.2, 0.2, 0.2, 0.2, 0.1, 0.1)))
    module = module_size(rng, kind, side, modules, small)
    code = code_image(text, kind, module, square)
    side = max(side, math.ceil(math.hypot(*code.size) / SUPERSAMPLED * 1.06))
    canvas = paper(rng, (side * SUPERSAMPLED, int(side * rng.uniform(1.0, 1.15)) * SUPERSAMPLED))
    left, top = place(rng, canvas, code)
    draw_text(canvas, (left, top, left + code.width, top + code.height), text, rng)
    tint = int(rng.integers(10, 50))
    ink = Image.new("RGB", code.size, (tint, tint, tint))
    canvas.paste(ink, (left, top), ImageChops.invert(code))
    angle = float(rng.uniform(0, 360))
    stage = (25, 25, 30) if rng.random() < 0.3 else canvas.getpixel((0, 0))
    return Drawn(
        turn(canvas, angle, stage), turned_point(canvas, (left, top), code, angle), code.size, angle, module
    )


def turned_point(
    canvas: Image.Image, corner: tuple[int, int], code: Image.Image, angle: float
) -> tuple[float, float]:
    """Return where the centre of the code is after ``turn``, in pixels of the final image."""
    x = corner[0] + code.width / 2 - canvas.width / 2
    y = corner[1] + code.height / 2 - canvas.height / 2
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    turned = (x * cosine + y * sine + canvas.width / 2, -x * sine + y * cosine + canvas.height / 2)
    return turned[0] / SUPERSAMPLED, turned[1] / SUPERSAMPLED


def blurred(rng: np.random.Generator, drawn: Drawn) -> Image.Image:
    """Blur the label as a camera out of focus does, by 0.3 to 0.6 of a module."""
    return drawn.image.filter(ImageFilter.GaussianBlur(drawn.module * rng.uniform(0.3, 0.6) * drawn.strength))


def noisy(rng: np.random.Generator, drawn: Drawn) -> Image.Image:
    """Add sensor noise, and dead pixels to some labels."""
    values = np.asarray(drawn.image, np.float32)
    values = values + rng.normal(0, rng.uniform(18, 50) * drawn.strength, values.shape).astype(np.float32)
    if rng.random() < 0.5:
        hit = rng.random(values.shape[:2])
        dead = 0.02 * drawn.strength
        values[hit < dead], values[hit > 1 - dead] = 0, 255
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


def faded(rng: np.random.Generator, drawn: Drawn) -> Image.Image:
    """Fade the label as a worn ribbon or short exposure does: 8 to 25 percent of the contrast, and a little noise."""
    contrast, base = rng.uniform(0.08, 0.25) / drawn.strength, rng.uniform(60, 160)
    values = np.asarray(drawn.image, np.float32) * contrast + base
    return Image.fromarray((values + rng.normal(0, 2.5, values.shape)).clip(0, 255).astype(np.uint8))


def smeared(rng: np.random.Generator, drawn: Drawn) -> Image.Image:
    """Blur the label as motion during the exposure does, by 0.8 to 1.8 modules in any direction."""
    length, towards = drawn.module * rng.uniform(0.8, 1.8) * drawn.strength, rng.uniform(0, math.pi)
    steps = max(3, math.ceil(length) + 1)
    total = np.zeros((drawn.image.height, drawn.image.width, 3), np.float32)
    for part in np.linspace(-0.5, 0.5, steps):
        shift = (1, 0, part * length * math.cos(towards), 0, 1, part * length * math.sin(towards))
        total += np.asarray(
            drawn.image.transform(drawn.image.size, Image.Transform.AFFINE, shift, Image.Resampling.BILINEAR)
        )
    return Image.fromarray((total / steps).astype(np.uint8))


def penned(rng: np.random.Generator, drawn: Drawn) -> Image.Image:
    """Draw one or two strokes of a pen, 0.4 to 1 module wide, across the code."""
    image, reach = drawn.image.copy(), math.hypot(*drawn.size) / SUPERSAMPLED
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(1, 3))):
        middle = [c + rng.uniform(-0.3, 0.3) * min(drawn.size) / SUPERSAMPLED for c in drawn.centre]
        towards, colour = rng.uniform(0, math.tau), PEN_COLOURS[int(rng.integers(len(PEN_COLOURS)))]
        bend = rng.uniform(-0.5, 0.5) * reach * np.linspace(-0.6, 0.6, 9) ** 2
        points = [
            (middle[0] + t * reach * math.cos(towards) + b, middle[1] + t * reach * math.sin(towards) + b)
            for t, b in zip(np.linspace(-0.6, 0.6, 9), bend, strict=True)
        ]
        draw.line(
            points,
            fill=colour,
            width=max(2, round(drawn.module * rng.uniform(0.4, 1.0) * drawn.strength)),
            joint="curve",
        )
    return image.filter(ImageFilter.GaussianBlur(0.6))


def unevenly_lit(rng: np.random.Generator, drawn: Drawn) -> Image.Image:
    """Add light that falls off to one side, a shadow's edge, and a glare."""
    width, height = drawn.image.size
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    towards = rng.uniform(0, math.tau)
    along = (x / width - 0.5) * math.cos(towards) + (y / height - 0.5) * math.sin(towards) + 0.5
    light = rng.uniform(0.08, 0.3) / drawn.strength + along * rng.uniform(0.7, 1.0)
    light = light * np.where(
        along + 0.1 * np.sin(y / height * 7) > rng.uniform(0.35, 0.65), 1.0, 1 - 0.5 * drawn.strength
    )
    away = np.hypot(x - drawn.centre[0] - rng.uniform(-90, 90), y - drawn.centre[1] - rng.uniform(-90, 90))
    glare = 90 * np.exp(-((away / (0.15 * width)) ** 2))
    lit = np.asarray(drawn.image, np.float32) * light[..., None] + glare[..., None]
    return Image.fromarray((lit + rng.normal(0, 2, lit.shape)).clip(0, 255).astype(np.uint8))


def worn(rng: np.random.Generator, drawn: Drawn) -> Image.Image:
    """Remove ink: scratches and chips of up to 0.8 of a module, all over the code."""
    image, reach = drawn.image.copy(), max(drawn.size) / SUPERSAMPLED / 2 * 1.2
    draw, module = ImageDraw.Draw(image), drawn.module
    near = [(c - reach, c + reach) for c in drawn.centre]
    for _ in range(round(rng.integers(8, 30) * drawn.strength)):
        x, y = (rng.uniform(*side) for side in near)
        r = module * rng.uniform(0.15, 0.4)
        draw.ellipse((x - r, y - r, x + r, y + r), fill=(225, 225, 222))
    for _ in range(round(rng.integers(1, 5) * drawn.strength)):
        ends = [(rng.uniform(*near[0]), rng.uniform(*near[1])) for _ in range(2)]
        draw.line(ends, fill=(228, 226, 224), width=max(1, round(module * rng.uniform(0.15, 0.45))))
    return image.filter(ImageFilter.GaussianBlur(0.5))


def squeezed(rng: np.random.Generator, drawn: Drawn) -> Image.Image:
    """Compress the label as a JPEG of quality 5 to 20."""
    encoded = io.BytesIO()
    drawn.image.save(encoded, "JPEG", quality=round(rng.integers(5, 20) / drawn.strength))
    return Image.open(encoded).convert("RGB")


def mixed(rng: np.random.Generator, drawn: Drawn) -> Image.Image:
    """Apply two of the other kinds, one after the other."""
    kinds = [blurred, noisy, faded, penned, unevenly_lit, worn, squeezed]
    first, second = rng.choice(len(kinds), 2, replace=False)
    return kinds[second](rng, replace(drawn, image=kinds[first](rng, drawn)))


def cut(rng: np.random.Generator, drawn: Drawn) -> Image.Image:
    """Move the label out of the frame, so that a part of the code is missing."""
    reach = min(drawn.size) / SUPERSAMPLED / 2
    inset = round(max(4.0, drawn.centre[0] - reach * rng.uniform(-0.3, 0.75)))
    return drawn.image.crop((min(inset, drawn.image.width - 8), 0, *drawn.image.size))


def crowded(rng: np.random.Generator, drawn: Drawn) -> Image.Image:
    """Return the label unchanged: ``make_label`` has drawn the other codes on it."""
    return unevenly_lit(rng, drawn) if rng.random() < 0.3 else drawn.image


Damage = Callable[[np.random.Generator, Drawn], Image.Image]
DAMAGES: dict[str, Damage] = {
    "rotation": lambda _, drawn: drawn.image,
    "small modules": lambda _, drawn: drawn.image,
    "several codes": crowded,
    "blur": blurred,
    "noise": noisy,
    "low contrast": faded,
    "smear": smeared,
    "pen": penned,
    "uneven light": unevenly_lit,
    "worn print": worn,
    "jpeg": squeezed,
    "mixed": mixed,
    "outside frame": cut,
}


def add_code(rng: np.random.Generator, drawn: Drawn, kind: str, text: str) -> Drawn:
    """Widen the label by a strip that holds another code, at its own angle."""
    other = draw_label(rng, kind, text)
    width, height = drawn.image.width + other.image.width, max(drawn.image.height, other.image.height)
    both = Image.new("RGB", (width, height), drawn.image.getpixel((0, 0)))
    both.paste(other.image, (0, 0))
    both.paste(drawn.image, (other.image.width, 0))
    return replace(drawn, image=both, centre=(drawn.centre[0] + other.image.width, drawn.centre[1]))


def make_label(
    number: int, damage: str, seed: int, strength: float = 1.0, turns: tuple[str, ...] = FORMAT_TURNS
) -> Label:
    """Draw label ``number`` of the kind ``damage``, in the formats ``turns``: the same image for the same values."""
    rng = np.random.default_rng((seed, number, zlib.crc32(damage.encode())))
    several = damage == "several codes"
    kind = "Data Matrix" if several else turns[(number * 7) % len(turns)]
    text = label_text(rng, kind)
    drawn = draw_label(rng, kind, text, small=damage == "small modules")
    others = []
    if several:
        second = ("Code 128", "QR", "Code 39")[number % 3]
        others.append("X" + label_text(rng, second))
        drawn = add_code(rng, drawn, second, others[0])
    return Label(DAMAGES[damage](rng, replace(drawn, strength=strength)), text, kind, damage, tuple(others))
