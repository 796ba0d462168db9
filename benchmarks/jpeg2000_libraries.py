"""Describe the libraries that ``benchmarks.openjpeg_libraries`` compares: how each decodes a JPEG 2000 tile.

Release dates, and whether there is a wheel for Lambda (aarch64, manylinux_2_28, Python 3.13), are the registry's of
2026-11-30 for the versions in requirements-peers.txt, the latter by ``pip download --no-deps --only-binary :all:
--platform manylinux_2_28_aarch64 --python-version 313``.
"""

import contextlib
import ctypes
import inspect
import io
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import files as files_of
from importlib.metadata import metadata, version
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from vsv.formats import openjpeg

Decoder = Callable[[bytes, int, bool], Sequence[npt.NDArray[np.uint8]]]
_TILE_422 = Path(__file__).resolve().parents[1] / "tests/data/tile_422.j2k"
# About 1.5 bits per pixel, as in scanners' files.
_COMPRESSION = 16


class UnsupportedError(Exception):
    """Raised where a library cannot decode in the requested way."""


@dataclass(frozen=True, slots=True)
class SlideCache:
    """A library: its distributions (its own first), how it decodes, and its data in the registry."""

    distributions: tuple[str, ...]
    load: Callable[[], Decoder]
    released: str
    aarch64: str

    def facts(self) -> list[str]:
        """Return version, release date, licence, installed size in MB without numpy, and if Lambda has a wheel."""
        own = self.distributions[0]
        about = metadata(own)
        licence = about.get("License-Expression") or about.get("License") or "?"
        size = sum(_bytes_of(name) for name in self.distributions) / 1e6
        return [version(own), self.released, licence.split(" AND ")[0], f"{size:.1f}", self.aarch64]


def _bytes_of(distribution: str) -> int:
    paths = (Path(str(file.locate())) for file in files_of(distribution) or ())
    return sum(path.stat().st_size for path in paths if path.exists())


def rgb_tile(source: Path, side_px: int) -> bytes:
    """Return a tile from the middle of a slide, coded as compression 33005: RGB, transformed, irreversible."""
    picture = _middle_of(source, side_px) if source.exists() else _stand_in()
    out = io.BytesIO()
    coding = {"quality_mode": "rates", "quality_layers": [_COMPRESSION], "num_resolutions": 6}
    picture.save(out, "JPEG2000", no_jp2=True, irreversible=True, mct=1, **coding)
    return out.getvalue()


def _middle_of(source: Path, side_px: int) -> Image.Image:
    from openslide import OpenSlide  # noqa: PLC0415  not every environment has it

    with OpenSlide(source) as slide:
        place = slide.dimensions[0] // 2, slide.dimensions[1] // 2
        return slide.read_region(place, 0, (side_px, side_px)).convert("RGB")


def _stand_in() -> Image.Image:
    light = Image.fromarray(np.asarray(openjpeg.decode(_TILE_422.read_bytes())[0]))
    return Image.merge("RGB", [light, light.rotate(90), light.rotate(180)])


def _split(pixels: npt.NDArray[np.uint8]) -> list[npt.NDArray[np.uint8]]:
    return [pixels[..., index] for index in range(pixels.shape[-1])]


def _refuse(asked: object) -> None:
    if asked:
        raise UnsupportedError


def _vsv(package: str) -> Decoder:
    """Return the product's decoder, with the libopenjp2 of one package alone."""
    paths = list(openjpeg.bundled(package))
    if not paths:
        raise ImportError(f"no libopenjp2 in {package}")
    library = openjpeg.load(paths[0])
    return lambda data, reduce, as_coded: openjpeg.decode_with(library, data, reduce, as_coded=as_coded)


def _pillow() -> Decoder:
    def decode(data: bytes, reduce: int, as_coded: bool) -> Sequence[npt.NDArray[np.uint8]]:
        _refuse(as_coded)
        with Image.open(io.BytesIO(data)) as image:
            image.reduce = reduce  # type: ignore[method-assign, assignment]  the plugin's own attribute
            return _split(np.asarray(image))

    return decode


def _pylibjpeg() -> Decoder:
    import openjpeg as pylibjpeg_openjpeg  # noqa: PLC0415

    def decode(data: bytes, reduce: int, as_coded: bool) -> Sequence[npt.NDArray[np.uint8]]:
        _refuse(reduce or as_coded)
        return _split(pylibjpeg_openjpeg.decode(data))

    return decode


def _glymur() -> Decoder:
    """Return glymur's decoder, which uses Pillow's OpenJPEG because it brings none; it reads only named files."""
    warnings.simplefilter("ignore")
    import glymur  # noqa: PLC0415
    from glymur.lib import openjp2  # noqa: PLC0415

    openjp2.OPENJP2 = ctypes.CDLL(str(next(iter(openjpeg.bundled("PIL")))))
    glymur.version.openjpeg_version = "2.5.4"
    folder = Path(tempfile.mkdtemp())

    def decode(data: bytes, reduce: int, as_coded: bool) -> Sequence[npt.NDArray[np.uint8]]:
        with tempfile.NamedTemporaryFile(suffix=".j2k", dir=folder) as file:
            file.write(data)
            file.flush()
            image = glymur.Jp2kr(file.name)
            if as_coded:
                image.decoded_components = [0, 1, 2]
            planes = image.read_bands(rlevel=reduce)
            return planes if isinstance(planes, list) else _split(planes)

    return decode


def _imagecodecs() -> Decoder:
    import imagecodecs  # noqa: PLC0415

    reduces = "skipres" in str(inspect.signature(imagecodecs.jpeg2k_decode))

    def decode(data: bytes, reduce: int, as_coded: bool) -> Sequence[npt.NDArray[np.uint8]]:
        _refuse(as_coded or (reduce and not reduces))
        return imagecodecs.jpeg2k_decode(data, planar=True, **({"skipres": reduce} if reduce else {}))

    return decode


def _pyav() -> Decoder:
    """Return FFmpeg's own JPEG 2000 decoder."""
    import av  # noqa: PLC0415

    def decode(data: bytes, reduce: int, as_coded: bool) -> Sequence[npt.NDArray[np.uint8]]:
        _refuse(as_coded)
        context = av.CodecContext.create("jpeg2000", "r")
        context.options, context.thread_count = {"lowres": str(reduce)}, 1
        (frame,) = context.decode(av.Packet(data)) or context.decode(None)
        if len(frame.planes) == 1:
            return _split(frame.to_ndarray())
        rows = [
            np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size) for plane in frame.planes
        ]
        return [part[:, : plane.width] for part, plane in zip(rows, frame.planes, strict=True)]

    return decode


def _openslide() -> Decoder:
    """Return a decoder of OpenSlide's bundled OpenJPEG; raises ImportError where it cannot be called."""
    import openslide_bin  # noqa: PLC0415

    path = next(Path(openslide_bin.__file__).parent.glob("libopenslide*"))
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(str(path)).opj_decode  # noqa: B018  looks the symbol up
        return _vsv("openslide_bin")
    raise ImportError(f"{path.name} holds OpenJPEG, and exports none of it")


LIBRARIES = {
    "vsv (Pillow's libopenjp2)": SlideCache(("Pillow",), lambda: _vsv("PIL"), "2026-10", "yes"),
    "vsv (imagecodecs' libopenjp2)": SlideCache(
        ("imagecodecs",), lambda: _vsv("imagecodecs"), "2026-10", "yes"
    ),
    "Pillow": SlideCache(("Pillow",), _pillow, "2026-10", "yes"),
    "pylibjpeg-openjpeg": SlideCache(("pylibjpeg-openjpeg",), _pylibjpeg, "2026-09", "yes"),
    "glymur (Pillow's libopenjp2)": SlideCache(("glymur", "lxml"), _glymur, "2026-05", "pure Python"),
    "imagecodecs": SlideCache(("imagecodecs",), _imagecodecs, "2026-10", "yes"),
    "PyAV (FFmpeg's decoder)": SlideCache(("av",), _pyav, "2026-10", "yes"),
    "openslide-bin": SlideCache(("openslide-bin",), _openslide, "2026-06", "yes"),
}
