"""Stored masks and OMERO's ``render_shape_mask``: the bits, the colour, the flips; and whose they are."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from vsv.errors import AlreadyExistsError, BadRequestError, SlideNotFoundError, TooLargeError
from vsv.rendering import masks
from vsv.rendering.masks import import_mask, store_mask
from vsv.services import Services

from tests.support.servers.webgateway_site import NAMED, NUMBER, ask, body, put_slide, rgba, served
from tests.support.slides.aperio import Plan
from vsv_local.cli.main import main

BITS = np.random.default_rng(1).random((37, 53)) < 0.4
YELLOW, CLEAR = (255, 255, 0, 255), (0, 0, 0, 0)


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    with served(tmp_path_factory.mktemp("data")) as services:
        store_mask(services.files, NUMBER, 5, BITS)
        store_mask(services.files, NAMED, 6, BITS, (16, 32, 48, 128))
        yield services


# Not 10 for opacity: Pillow, which reads here, takes it for a line's end.
COLORS = st.tuples(*[st.integers(0, 255)] * 4).filter(lambda color: color[3] != 10)


def painted(bits: np.ndarray, color: tuple[int, ...]) -> np.ndarray:
    return np.where(bits[..., None], np.array(color), np.array(CLEAR)).astype(np.uint8)


def decoded_mask(query: str = "", shape: int = 5) -> np.ndarray:
    answer = ask(f"render_shape_mask/{shape}/", query)
    assert (answer["statusCode"], answer["headers"]["content-type"]) == (200, "image/png")
    return rgba(body(answer))


class TestShapeMaskRequests:
    def test_mask_is_transparent_outside_the_shape(self, services: Services) -> None:
        assert np.array_equal(decoded_mask(), painted(BITS, YELLOW))
        assert np.array_equal(decoded_mask(shape=6), painted(BITS, (16, 32, 48, 128)))

    def test_mask_is_sent_with_its_stored_bytes(self, services: Services) -> None:
        stored = services.files.mask(NUMBER, 5).read_bytes()
        assert body(ask("render_shape_mask/5", prefix="/webclient/")) == stored
        with Image.open(io.BytesIO(stored)) as image:
            assert (image.format, image.mode, image.size) == ("PNG", "P", (53, 37))

    @pytest.mark.parametrize(
        ("color", "rgba"),
        [
            ("FF0000", (255, 0, 0, 255)),
            ("0f08", (0, 255, 0, 136)),
            ("12345678", (18, 52, 86, 120)),
            ("fff", (255,) * 4),
        ],
    )
    def test_color_query_sets_the_mask_colour(
        self, services: Services, color: str, rgba: tuple[int, ...]
    ) -> None:
        assert np.array_equal(decoded_mask(f"color={color}"), painted(BITS, rgba))

    @pytest.mark.parametrize("flip", ["h", "v", "hv", "VH"])
    def test_flip_query_mirrors_the_mask(self, services: Services, flip: str) -> None:
        bits = BITS[:: -1 if "v" in flip.lower() else 1, :: -1 if "h" in flip.lower() else 1]
        assert np.array_equal(decoded_mask(f"flip={flip}"), painted(bits, YELLOW))
        assert np.array_equal(decoded_mask(f"flip={flip}", 6), painted(bits, (16, 32, 48, 128)))
        assert np.array_equal(decoded_mask(f"flip={flip}&color=F00"), painted(bits, (255, 0, 0, 255)))

    def test_flip_keeps_opacity_that_equals_a_line_feed_byte(self, services: Services) -> None:
        store_mask(services.files, NUMBER, 14, BITS[:1], (1, 2, 3, 10))
        there = services.files.mask(NUMBER, 14).read_bytes()
        assert b"tRNS\x00\x0a" in there
        assert b"tRNS\x00\x0a" in body(ask("render_shape_mask/14/", "flip=v"))
        store_mask(services.files, NUMBER, 14, BITS[:1, ::-1], (1, 2, 3, 10))
        assert body(ask("render_shape_mask/14/", "flip=h")) == there

    @pytest.mark.parametrize(
        ("rest", "status"),
        [
            ("7", 404),
            ("0", 404),
            ("x", 400),
            ("05", 400),
            ("", 400),
            ("5/5", 400),
            ("9" * 17, 400),
            ("..", 400),
        ],
    )
    def test_addresses_without_a_mask_are_refused(self, services: Services, rest: str, status: int) -> None:
        assert ask(f"render_shape_mask/{rest}")["statusCode"] == status

    @pytest.mark.parametrize(
        ("query", "status"),
        [("color=x", 400), ("color=", 400), ("color=FF00000", 400), ("color=a.lut", 501), ("flip=x", 400)],
    )
    def test_malformed_queries_are_refused(self, services: Services, query: str, status: int) -> None:
        assert ask("render_shape_mask/5/", query)["statusCode"] == status

    def test_responses_carry_etag_and_answer_304(self, services: Services) -> None:
        get, head = ask("render_shape_mask/5/"), ask("render_shape_mask/5/", method="HEAD")
        assert get["headers"]["cache-control"] == "private, no-cache"
        assert head["headers"].pop("content-length") == str(len(body(get)))
        assert head["headers"] == get["headers"]
        sent = {"if-none-match": get["headers"]["etag"]}
        assert ask("render_shape_mask/5/", headers=sent)["statusCode"] == 304
        assert ask("render_shape_mask/5/", "color=F00", headers=sent)["statusCode"] == 200

    def test_file_that_is_not_a_mask_answers_404(
        self, services: Services, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store_mask(services.files, NUMBER, 15, BITS)
        for content in (b"", b"no picture", services.files.mask(NUMBER, 15).read_bytes()[:80]):
            services.files.mask(NUMBER, 15).write_bytes(content)
            assert ask("render_shape_mask/15/", "flip=h")["statusCode"] == 404
        monkeypatch.setattr(masks, "MAX_BYTES", 10)
        assert ask("render_shape_mask/5/")["statusCode"] == 404


class TestMaskStorage:
    @given(
        st.integers(1, 40),
        st.integers(1, 40),
        st.integers(0, 2**32 - 1),
        COLORS,
    )
    def test_stored_mask_is_returned_unchanged(
        self, services: Services, width: int, height: int, seed: int, color: tuple[int, int, int, int]
    ) -> None:
        bits = np.random.default_rng(seed).random((height, width)) < 0.5
        store_mask(services.files, NUMBER, 8, bits, color)
        found = decoded_mask(shape=8)
        assert np.array_equal(found[bits], painted(bits, color)[bits])
        assert not found[~bits][:, 3].any()

    def test_shape_id_of_another_slide_is_refused(self, services: Services) -> None:
        store_mask(services.files, NUMBER, 9, BITS)
        store_mask(services.files, NUMBER, 9, ~BITS)
        assert np.array_equal(decoded_mask(shape=9), painted(~BITS, YELLOW))
        with pytest.raises(AlreadyExistsError):
            store_mask(services.files, NAMED, 9, BITS)

    def test_store_mask_refuses_invalid_sizes_shape_ids_and_slides(self, services: Services) -> None:
        with pytest.raises(TooLargeError):
            store_mask(services.files, NUMBER, 10, np.zeros((1, 16385), bool))
        with pytest.raises(TooLargeError):
            store_mask(services.files, NUMBER, 10, np.broadcast_to(np.False_, (4097, 4096)))
        for shape in (0, -1, 2**53):
            with pytest.raises(BadRequestError):
                store_mask(services.files, NUMBER, shape, BITS)
        for bits in (np.zeros((0, 5), bool), np.zeros(5, bool), np.zeros((2, 2, 2), bool)):
            with pytest.raises(BadRequestError):
                store_mask(services.files, NUMBER, 10, bits)
        with pytest.raises(SlideNotFoundError):
            store_mask(services.files, "nobody", 10, BITS)
        assert ask("render_shape_mask/10/")["statusCode"] == 404

    def test_largest_and_noisiest_mask_is_served(self, services: Services) -> None:
        bits = np.random.default_rng(2).random((4096, 4096)) < 0.5
        store_mask(services.files, NUMBER, 11, bits)
        assert services.files.mask(NUMBER, 11).stat().st_size <= masks.MAX_BYTES
        assert ask("render_shape_mask/11/")["statusCode"] == 200

    @pytest.mark.parametrize("mode", ["1", "L", "I;16", "RGB", "P"])
    def test_import_mask_accepts_every_picture_mode(
        self, services: Services, tmp_path: Path, mode: str
    ) -> None:
        """Labels of a segmentation count from 1: whatever is not black belongs to the mask."""
        if mode == "I;16":
            image = Image.fromarray(BITS.astype(np.uint16))
        elif mode == "RGB":
            image = Image.fromarray(np.stack([BITS * 0, BITS * 0, BITS], axis=2).astype(np.uint8))
        elif mode == "P":
            image = Image.fromarray((BITS * 255).astype(np.uint8)).convert("P")
        else:
            image = Image.fromarray(BITS if mode == "1" else BITS.astype(np.uint8))
        assert image.mode == mode
        path = tmp_path / "mask.png"
        image.save(path)
        import_mask(services.files, NUMBER, 12, path)
        assert np.array_equal(decoded_mask(shape=12), painted(BITS, YELLOW))

    def test_import_mask_refuses_unreadable_and_oversized_files(
        self, services: Services, tmp_path: Path
    ) -> None:
        path = tmp_path / "mask.png"
        path.write_bytes(b"no picture")
        with pytest.raises(BadRequestError):
            import_mask(services.files, NUMBER, 13, path)
        Image.new("1", (16385, 1)).save(path)
        with pytest.raises(TooLargeError):
            import_mask(services.files, NUMBER, 13, path)


def test_mask_follows_deletion_undeletion_and_purge_of_its_slide(tmp_path: Path) -> None:
    with served(tmp_path) as services:
        store_mask(services.files, NUMBER, 5, BITS)
        services.files.hide(NUMBER)
        assert ask("render_shape_mask/5/")["statusCode"] == 404
        services.files.unhide(NUMBER)
        assert ask("render_shape_mask/5/")["statusCode"] == 200
        services.files.hide(NUMBER)
        services.files.purge(NUMBER)
        assert not list(services.files.root.rglob("mask-*"))
        put_slide(services.files, "94", Plan(300, 200))
        with pytest.raises(AlreadyExistsError):
            store_mask(services.files, "94", 5, BITS)


def test_add_mask_command_stores_mask_and_refuses_wrong_options(tmp_path: Path) -> None:
    with served(tmp_path):
        pass
    Image.fromarray(BITS).save(tmp_path / "mask.png")
    command = [
        "add-mask",
        NUMBER,
        "5",
        str(tmp_path / "mask.png"),
        "--color",
        "10203080",
        "--data",
        str(tmp_path),
    ]
    found = CliRunner().invoke(main, command)
    assert (found.exit_code, found.output) == (0, f"Mask 5 of slide {NUMBER} is stored\n")
    stored = (tmp_path / "slides" / NUMBER / "mask-5.png").read_bytes()
    assert np.array_equal(rgba(stored), painted(BITS, (16, 32, 48, 128)))
    for wrong in (["--color", "x"], ["--data", str(tmp_path / "none")]):
        failed = CliRunner().invoke(main, [*command[:4], *command[6:], *wrong])
        assert failed.exit_code == 1
