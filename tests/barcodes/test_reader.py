import builtins
import importlib
import itertools

import numpy as np
import pytest
from PIL import Image, ImageOps
from vsv.barcodes import reader
from vsv.barcodes.preprocessing import bounded_rgb, cut_out, find_regions
from vsv.barcodes.reader import (
    Barcode,
    Read,
    choose,
    clean_text,
    libdmtx_missing,
    read_codes,
    read_label,
)
from vsv.barcodes.strategies import ATTEMPTS, Attempt, Views

from benchmarks.blank_labels import KINDS, blank_label
from benchmarks.label_images import FORMATS, LINEAR, SELDOM_FORMATS, code_image, make_label

TEXT = "S23-12345-A1"
TEXTS = dict.fromkeys((*FORMATS, *SELDOM_FORMATS), TEXT) | {"ITF": "23123450", "Codabar": "A2312345B"}


def label(kind: str, angle: float = 0, side: int = 500, text: str | None = None) -> Image.Image:
    module = 1.0 if kind in ("Code 128", "Code 39") else 1.25 if kind in (*LINEAR, "PDF417") else 2.5
    code = code_image(text or TEXTS[kind], kind, module)
    canvas = Image.new("L", (side, side), 235)
    canvas.paste(code, ((side - code.width) // 2, (side - code.height) // 2))
    return canvas.rotate(angle, Image.Resampling.BICUBIC, fillcolor=235).convert("RGB")


@pytest.fixture
def without_libdmtx(monkeypatch):
    def missing(name, *_):
        if name.startswith("pylibdmtx"):
            raise ImportError("Unable to find dmtx shared library")
        return real(name)

    real = importlib.import_module
    monkeypatch.setattr(reader.importlib, "import_module", missing)


@pytest.mark.parametrize("angle", [0, 90, 180, 270, 4, 33, 137])
@pytest.mark.parametrize("kind", FORMATS)
def test_read_label_reads_each_format_at_any_angle(kind, angle):
    assert read_label(label(kind, angle), budget_s=60) == Barcode(TEXT, kind, "zxing-cpp")


@pytest.mark.parametrize("angle", [0, 90, 180, 270, 33])
@pytest.mark.parametrize("kind", SELDOM_FORMATS)
def test_read_codes_reads_seldom_formats_at_any_angle(kind, angle):
    (code,) = read_codes(label(kind, angle), budget_s=60)

    assert code == Barcode(TEXTS[kind], kind, "zxing-cpp")


@pytest.mark.parametrize("angle", [0, 90, 33])
@pytest.mark.parametrize("turn", [ImageOps.mirror, ImageOps.flip])
def test_read_codes_reads_mirrored_data_matrix(turn, angle):
    assert read_codes(turn(label("Data Matrix", angle)), budget_s=60) == (
        Barcode(TEXT, "Data Matrix", "zxing-cpp"),
    )


@pytest.mark.parametrize("angle", [0, 90, 33])
@pytest.mark.parametrize("kind", [*LINEAR, "PDF417"])
def test_read_codes_reads_light_bars_on_dark(kind, angle):
    assert read_codes(ImageOps.invert(label(kind, angle, 600)), budget_s=60) == (
        Barcode(TEXTS[kind], kind, "zxing-cpp"),
    )


@pytest.mark.parametrize("text", ["S23-12345@A1", "S23^12345~A1", "S23|12345"])
def test_read_codes_reads_every_separator_that_laboratories_print(text):
    assert read_codes(label("Code 128", text=text), budget_s=60) == (Barcode(text, "Code 128", "zxing-cpp"),)


def beside(*images: Image.Image) -> Image.Image:
    both = Image.new("RGB", (sum(image.width for image in images), images[0].height), (235, 235, 235))
    for number, image in enumerate(images):
        both.paste(image, (number * image.width, 0))
    return both


def is_accession(text: str) -> bool:
    return text.startswith("S")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        *itertools.product(
            [("QR", "https://vendor.example/lot/1"), ("Data Matrix", "LOT123456")],
            ["Data Matrix", "Code 128", "Aztec"],
        ),
        (("PDF417", "REF 44"), "Code 93"),
    ],
)
def test_read_codes_returns_all_codes_of_a_label(first, second):
    images = label(first[0], text=first[1]), label(second, text=TEXT)

    found = read_codes(beside(*images), is_accession, 60)

    assert {(code.format, code.text) for code in found} == {first, (second, TEXT)}


def test_read_codes_returns_two_texts_that_fit():
    found = read_codes(beside(label("Data Matrix"), label("Code 128", text="S24-99999-B2")), is_accession, 60)

    assert [code.text for code in found] == [TEXT, "S24-99999-B2"]


def test_read_codes_returns_a_text_once_that_two_codes_hold():
    found = read_codes(beside(label("Data Matrix"), label("Code 128")), is_accession, 60)

    assert found == (Barcode(TEXT, "Data Matrix", "zxing-cpp"),)


def test_read_codes_stops_at_the_first_attempt_for_a_fitting_data_matrix(monkeypatch):
    attempts = []
    real = Views.pictures
    monkeypatch.setattr(Views, "pictures", lambda *args: attempts.append(args[1].name) or real(*args))

    assert read_codes(label("Data Matrix"), is_accession, 60)
    assert attempts == ["plain"]


@pytest.mark.parametrize("number", range(6, 160, len(KINDS)))
def test_libdmtx_text_of_random_modules_is_refused(number):
    if reason := libdmtx_missing():
        pytest.skip(reason)

    assert KINDS[number % len(KINDS)] == "checks"
    assert read_codes(blank_label(number, 1), budget_s=0.8, attempts=[]) == ()


@pytest.mark.parametrize(
    "damage",
    [
        "blur",
        "noise",
        "low contrast",
        "smear",
        "uneven light",
        "jpeg",
        "small modules",
        "worn print",
        "rotation",
    ],
)
def test_read_label_reads_damaged_labels(damage):
    drawn = make_label(3, damage, 1)

    found = read_label(drawn.image, budget_s=60)

    assert found is not None
    assert (found.text, found.format) == (drawn.text, drawn.format)


def test_read_label_reads_data_matrix_with_broken_finder_by_redrawing():
    image = label("Data Matrix")
    code = np.argwhere(np.asarray(image.convert("L")) < 100)
    (top, left), (bottom, right) = code.min(axis=0), code.max(axis=0)
    for part in (0.2, 0.5, 0.8):
        y, x = int(top + part * (bottom - top)), int(left + part * (right - left))
        image.paste((235, 235, 235), (left - 3, y, left + 6, y + 4))
        image.paste((235, 235, 235), (x, bottom - 6, x + 4, bottom + 3))
    redraw = [attempt for attempt in ATTEMPTS if attempt.redraw]

    assert read_label(image, 60, redraw) == Barcode(TEXT, "Data Matrix", "zxing-cpp")


@pytest.mark.parametrize("number", [0, 1, 2])
def test_read_label_prefers_data_matrix_to_other_codes(number):
    drawn = make_label(number, "several codes", 1)

    found = read_label(drawn.image, budget_s=60)

    assert found is not None
    assert (found.text, found.format) == (drawn.text, "Data Matrix")


@pytest.mark.parametrize("number", range(len(KINDS)))
def test_read_label_returns_none_for_blank_label(number):
    assert read_label(blank_label(number, 1), budget_s=0.7) is None


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr", "HSV", "LAB", "I", "F", "I;16"]
)
def test_read_label_reads_images_of_every_mode(mode):
    image = label("Data Matrix")
    if mode in ("HSV", "LAB", "YCbCr", "CMYK", "RGBA", "P", "1", "LA", "L"):
        image = image.convert(mode)
    else:
        image = image.convert("L").convert("I").convert(mode)

    assert read_label(image, budget_s=60) is not None


def test_bounded_rgb_turns_transparent_pixels_white():
    clear = Image.new("RGBA", (40, 40), (0, 0, 0, 0))

    assert bounded_rgb(clear).getextrema() == ((255, 255),) * 3


@pytest.mark.parametrize(
    "image",
    [
        Image.new("RGB", (1, 1)),
        Image.new("RGB", (7, 500)),
        Image.new("RGB", (400, 400)),
        Image.new("RGB", (400, 400), "white"),
        Image.new("L", (20000, 20)),
        Image.new("1", (30000, 30000)),
        Image.new("P", (16, 4000)),
    ],
    ids=lambda image: f"{image.mode}{image.size}",
)
def test_read_label_returns_none_for_hostile_images(image):
    assert read_label(image) is None


class Clock:
    """A clock on which each look at the time takes ``step`` seconds."""

    def __init__(self, step: float) -> None:
        self.times = itertools.count(0.0, step)

    def __call__(self) -> float:
        return next(self.times)


def counting(calls: list[str]) -> list[Attempt]:
    def treat(image: Image.Image) -> Image.Image:
        calls.append("one")
        return Image.new("L", (20, 20), 255)

    return [Attempt(f"attempt {n}", 0, treat) for n in range(50)]


def test_read_label_starts_no_attempt_that_may_exceed_the_budget(monkeypatch, without_libdmtx):
    calls: list[str] = []

    assert read_label(Image.new("L", (400, 400)), 2.0, counting(calls), Clock(0.2)) is None

    # 0.2 s each and 0.4 s allowed for the next one: the last starts at 1.6 s at the latest.
    assert 2 <= len(calls) <= 5


def test_read_label_starts_no_attempt_with_zero_budget(without_libdmtx):
    calls: list[str] = []

    assert read_label(Image.new("L", (400, 400)), 0.0, counting(calls), Clock(0.001)) is None
    assert not calls


def test_read_label_makes_every_attempt_within_the_budget(without_libdmtx):
    calls: list[str] = []
    read_label(Image.new("L", (400, 400)), 60.0, counting(calls), Clock(0.001))

    assert len(calls) == 50


def test_read_label_works_without_libdmtx(without_libdmtx):
    assert read_label(label("Data Matrix"), budget_s=60) == Barcode(TEXT, "Data Matrix", "zxing-cpp")
    assert read_label(Image.new("RGB", (100, 100))) is None


def test_libdmtx_missing_names_the_system_library_when_loading_fails(without_libdmtx):
    sentence = libdmtx_missing()

    assert sentence is not None
    assert "the system library libdmtx cannot be loaded" in sentence


def test_libdmtx_missing_names_the_python_package_when_import_fails(monkeypatch):
    def missing(name, *_):
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(reader.importlib, "import_module", missing)

    assert "the package pylibdmtx" in str(libdmtx_missing())


def test_read_label_uses_libdmtx_after_all_attempts():
    if reason := libdmtx_missing():
        pytest.skip(reason)

    assert read_label(label("Data Matrix"), 2.0, attempts=[]) == Barcode(TEXT, "Data Matrix", "libdmtx")


def test_find_libdmtx_uses_loader_name_when_find_library_returns_none(monkeypatch):
    monkeypatch.setattr(reader.ctypes.util, "find_library", lambda _name: None)  # as on Lambda
    monkeypatch.setattr(reader.ctypes, "CDLL", lambda name: name)

    assert reader._find_libdmtx("dmtx") == "libdmtx.so.0"


def test_find_libdmtx_uses_find_library_when_loader_name_fails(monkeypatch):
    def missing(name):
        raise OSError(name)

    monkeypatch.setattr(reader.ctypes, "CDLL", missing)
    monkeypatch.setattr(reader.ctypes.util, "find_library", lambda name: f"lib{name}.dylib")

    assert reader._find_libdmtx("dmtx") == "libdmtx.dylib"


def test_importing_strategies_does_not_import_pylibdmtx(monkeypatch):
    real = builtins.__import__

    def watched(name, *args, **kwargs):
        assert not name.startswith("pylibdmtx")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", watched)
    importlib.reload(importlib.import_module("vsv.barcodes.strategies"))


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("  S23-1\r\n", "QR", "S23-1"),
        ("\x1d0109501101\x1d2110\x04", "Data Matrix", "01095011012110"),
        ("Größe 3", "Data Matrix", "Größe 3"),
        ("S23\n12", "Data Matrix", None),
        ("S23\x0012", "QR", None),
        ("S2\ufffd312", "QR", None),
        ("", "QR", None),
        (" \x1d ", "Data Matrix", None),
        ("A1", "Code 39", None),
        ("S22U,{s-A)", "Code 128", None),
        ("S23@1^2~3|4", "Code 128", "S23@1^2~3|4"),
        ("S23-1\t2", "Data Matrix", "S23-1 2"),
        ("1234", "ITF", None),
        ("123456", "ITF", "123456"),
        ("A12345B", "Codabar", None),
        ("A123456B", "Codabar", "A123456B"),
        ("A" * 100, "QR", "A" * 100),
        ("A" * 101, "QR", None),
    ],
)
def test_clean_text_accepts_only_identifiers(text, kind, expected):
    assert clean_text(text, kind) == expected


def read(
    text: str, kind: str, votes: int = 1, area: float = 100, centre: tuple[float, float] = (50, 50)
) -> Read:
    return Read(text, kind, votes, area, centre)


@pytest.mark.parametrize(
    ("kind", "votes", "certain"),
    [
        ("Data Matrix", [2], True),
        ("QR", [1], False),
        ("QR", [1, 1], True),
        ("Code 128", [1], False),
        ("Code 128", [1, 1], True),
        ("Code 39", [1, 1], False),
        ("Code 39", [1, 1, 1], True),
        ("Aztec", [2], True),
        ("PDF417", [1], False),
        ("Code 93", [1], False),
        ("Code 93", [1, 1], True),
        ("ITF", [1, 1, 1], False),
        ("ITF", [1, 1, 1, 1], True),
        ("Codabar", [1, 1, 1], False),
        ("Codabar", [1, 1, 1, 1], True),
    ],
)
def test_choose_requires_enough_votes_for_each_format(kind, votes, certain):
    assert bool(choose([read(TEXT, kind, each) for each in votes])) is certain


def test_choose_requires_two_more_votes_when_another_text_is_in_the_same_place():
    rival = read("S19-44885-A6", "Code 128")

    assert choose([read(TEXT, "Code 128")] * 3 + [rival]) is None
    assert choose([read(TEXT, "Code 128")] * 4 + [rival]) == Barcode(TEXT, "Code 128", "zxing-cpp")
    assert choose([read(TEXT, "Code 128")] * 4 + [rival] * 4) is None


def test_choose_prefers_largest_then_topmost_code_of_equal_kind():
    small, large = read("SMALL", "QR", 2, 90, (500, 500)), read("LARGE", "QR", 2, 400, (300, 300))
    above = read("ABOVE", "QR", 2, 400, (900, 20))

    assert choose([small, large]) == Barcode("LARGE", "QR", "zxing-cpp")
    assert choose([small, large, above]) == Barcode("ABOVE", "QR", "zxing-cpp")
    assert choose([large, small, above, read("LINES", "Code 128", 2, 9999)]) == choose([above, large])


def test_cut_out_scales_region_and_maps_its_centre_back_to_the_label():
    image = label("Data Matrix", 33).convert("L")
    region = find_regions(image)[0]
    picture = next(Views(image).pictures(ATTEMPTS[2], region))

    assert max(cut_out(image, region, 300).size) == 300
    assert np.hypot(*np.subtract(region.centre, (250, 250))) < 25
    middle = picture.on_label(picture.image.width / 2, picture.image.height / 2)
    assert middle == pytest.approx(region.centre)
