"""A reduction of a slide is told from any other picture, whatever scanners do to reductions."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter
from vsv.slides.pictures import image_picture
from vsv.slides.similarity import Place, Verdict, compare

from tests.support.slides.aperio import Pixels, texture
from tests.support.slides.labelled import label_pixels, tissue

FULL = tissue(1200)


def reduced(factor: float, pixels: Pixels = FULL) -> Image.Image:
    image = Image.fromarray(pixels)
    return image.resize((round(image.width / factor), round(image.height / factor)), Image.Resampling.BOX)


def verdict(image: Image.Image, full: Pixels = FULL, place: Place | None = None) -> Verdict:
    return compare(image_picture(image), image_picture(Image.fromarray(full)), place)


def recoded(image: Image.Image, quality: int) -> Image.Image:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return Image.open(out).convert("RGB")


@settings(max_examples=40, deadline=None)
@given(
    factor=st.sampled_from((2, 2.01, 3, 4, 4.02, 8, 16)),
    quality=st.integers(20, 95),
    contrast=st.floats(0.5, 1.6),
    gains=st.tuples(*[st.floats(0.7, 1.2)] * 3),
    sharpening=st.sampled_from((None, ImageFilter.SHARPEN, ImageFilter.GaussianBlur(1))),
)
def test_reductions_are_the_same_whatever_their_colours_sharpness_and_compression(
    factor: float,
    quality: int,
    contrast: float,
    gains: tuple[float, float, float],
    sharpening: ImageFilter.Filter | None,
) -> None:
    image = reduced(factor)
    image = image.filter(sharpening) if sharpening else image
    changed = ((np.asarray(image) - 128.0) * contrast + 128) * gains
    assert verdict(recoded(Image.fromarray(changed.clip(0, 255).astype(np.uint8)), quality)) is Verdict.SAME


@settings(max_examples=40, deadline=None)
@given(
    size=st.tuples(st.integers(100, 700), st.integers(100, 700)),
    seed=st.integers(1000, 9999),
    kind=st.sampled_from(("label", "other tissue", "mirrored", "negative")),
)
def test_other_pictures_are_different(size: tuple[int, int], seed: int, kind: str) -> None:
    pictures = {
        "label": lambda: label_pixels(*size),
        "other tissue": lambda: texture(*size, seed=seed),
        "mirrored": lambda: np.asarray(reduced(3))[:, ::-1],
        "negative": lambda: 255 - np.asarray(reduced(3)),
    }
    assert verdict(Image.fromarray(np.ascontiguousarray(pictures[kind]()))) is Verdict.DIFFERENT


@pytest.mark.parametrize("corner", [(0, 0), (300, 0), (180, 320)])
def test_reduction_with_a_small_label_on_it_is_different(corner: tuple[int, int]) -> None:
    image = reduced(2)
    image.paste(Image.fromarray(label_pixels(300, 280)), corner)
    assert verdict(image) is Verdict.DIFFERENT


def test_empty_glass_is_blank_and_a_label_over_empty_glass_is_different() -> None:
    glass = np.full((900, 900, 3), 240, np.uint8) + np.random.default_rng(3).integers(
        0, 3, (900, 900, 3), np.uint8
    )
    assert verdict(recoded(reduced(4, glass), 70), glass) is Verdict.BLANK
    assert verdict(Image.fromarray(label_pixels(225, 225)), glass) is Verdict.DIFFERENT


def test_white_picture_over_tissue_is_different() -> None:
    assert verdict(Image.new("RGB", (300, 300), "white")) is Verdict.DIFFERENT
