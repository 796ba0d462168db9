"""OpenJPEG's decoder, called by ctypes in the library that Pillow's wheel carries, without the interpreter's lock.

No package that brings an OpenJPEG reduces, keeps subsampled components as stored and leaves out the component
transform without that lock (docs/performance.md, "OpenJPEG libraries"). So this module calls libopenjp2 itself. It
relies on a file in a private folder, on the functions in ``SIGNATURES`` and on the layout of two structures:
tests/formats/test_openjpeg_library.py pins them all. Where no library passes every check of ``load``, ``available``
returns False, one line of log says why, and OpenSlide decodes, more slowly.
Source: openjpeg.h, versions 2.4 and 2.5.
"""

import ctypes
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import (
    POINTER,
    Structure,
    c_char_p,
    c_int,
    c_int32,
    c_size_t,
    c_uint16,
    c_uint32,
    c_uint64,
    c_void_p,
)
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vsv.errors import CorruptTileError

log = logging.getLogger(__name__)

Plane = npt.NDArray[np.uint8]
# One array of three dimensions where all components are of one size.
Planes = list[Plane] | npt.NDArray[np.uint8]

_RAW_CODESTREAM = 0  # OPJ_CODEC_J2K
_NO_MORE = c_size_t(-1).value
# opj_dparameters_t has some 8 KiB of file names; the first field is the number of resolutions to leave out.
_PARAMETERS_BYTES = 32768
_SMALLEST_BUFFER = 64
_VERSIONS = {"2.4", "2.5"}
# Where wheels keep their shared libraries, from the package's folder: of Linux, and of macOS.
_PRIVATE_FOLDERS = {"imagecodecs": ("../imagecodecs.libs",), "PIL": ("../pillow.libs", ".dylibs")}
# imagecodecs, a development package, carries a build that is an eighth faster than Pillow's.
PACKAGES = ("imagecodecs", "PIL")
_PATTERNS = ("libopenjp2*.so*", "libopenjp2*.dylib")
# Four by four pixels without loss: the first one, and all others, of each component.
_KNOWN_PIXELS = ((1, 128), (2, 7), (3, 200))
_KNOWN_PICTURE = bytes.fromhex(
    "ff4fff51002f000000000004000000040000000000000000000000040000000400000000000000000003070101070101070101"
    "ff52000c00000001000004040001ff5c00044040ff90000a0000000000310001"
    "ff93cfb40c1238b7cfb42c115054994d0017fd575983cfb43010586a5b8c7804e0f3620fe7ffd9"
)

_COMPONENT_NUMBERS = (
    "dx", "dy", "width", "height", "x0", "y0", "precision", "bpp", "signed", "resolutions", "factor",
)  # fmt: skip


class UnusableLibraryError(Exception):
    """A file is not the OpenJPEG that this module knows how to call; the message says why."""


class Component(Structure):
    """opj_image_comp_t: one component of a decoded image, and its samples."""

    _fields_ = [
        *((name, c_uint32) for name in _COMPONENT_NUMBERS),
        ("data", POINTER(c_int32)),
        ("alpha", c_uint16),
    ]


class DecodedImage(Structure):
    """The beginning of opj_image_t: a decoded image and its components."""

    _fields_ = [
        *((name, c_uint32) for name in ["x0", "y0", "x1", "y1", "count"]),
        ("color_space", c_int),
        ("components", POINTER(Component)),
    ]


class _Input(Structure):
    _fields_ = [("data", c_void_p), ("length", c_size_t), ("at", c_size_t)]


_Read = ctypes.CFUNCTYPE(c_size_t, c_void_p, c_size_t, c_void_p)
_ImagePointer = POINTER(DecodedImage)
# Result and arguments of each function that is called. Handles are pointers.
SIGNATURES = {
    "opj_version": (c_char_p,),
    "opj_create_decompress": (c_void_p, c_int),
    "opj_destroy_codec": (None, c_void_p),
    "opj_set_default_decoder_parameters": (None, c_void_p),
    "opj_setup_decoder": (c_int, c_void_p, c_void_p),
    "opj_stream_create": (c_void_p, c_size_t, c_int),
    "opj_stream_destroy": (None, c_void_p),
    "opj_stream_set_read_function": (None, c_void_p, _Read),
    "opj_stream_set_user_data": (None, c_void_p, c_void_p, c_void_p),
    "opj_stream_set_user_data_length": (None, c_void_p, c_uint64),
    "opj_read_header": (c_int, c_void_p, c_void_p, POINTER(_ImagePointer)),
    "opj_set_decoded_components": (c_int, c_void_p, c_uint32, POINTER(c_uint32), c_int),
    "opj_decode": (c_int, c_void_p, c_void_p, _ImagePointer),
    "opj_image_destroy": (None, _ImagePointer),
}


def _read(buffer: int, wanted: int, at: int) -> int:
    """Copy the next bytes of a codestream into OpenJPEG's buffer."""
    source = _Input.from_address(at)
    length: int = min(wanted, source.length - source.at)
    if length <= 0:
        return _NO_MORE
    ctypes.memmove(buffer, source.data + source.at, length)
    source.at += length
    return length


_READ = _Read(_read)
_ALL_COMPONENTS = (c_uint32 * 3)(0, 1, 2)


def available() -> bool:
    """Return whether OpenJPEG can be called."""
    return _library() is not None


@cache
def _library() -> ctypes.CDLL | None:
    """Return the first library that can be used; log once why there is none."""
    refused = []
    for path in (path for package in PACKAGES for path in bundled(package)):
        try:
            return load(path)
        except UnusableLibraryError as error:
            refused.append(str(error))
    reasons = "; ".join(refused) or "Pillow's package holds none"
    log.warning("OpenSlide decodes JPEG 2000 slides, more slowly: no usable OpenJPEG library (%s)", reasons)
    return None


def bundled(package: str) -> list[Path]:
    """Return the libopenjp2 files in the wheel of ``package`` (PIL or imagecodecs), without importing it.

    Wheels keep their shared libraries in a private folder, each under a name with a hash of its content, so that two
    packages never share one. No public function leads there: only the folder's name and a pattern find the file.
    """
    try:
        spec = find_spec(package)
    except (ImportError, ValueError):
        return []
    if spec is None or spec.origin is None:
        return []
    folders = [(Path(spec.origin).parent / folder).resolve() for folder in _PRIVATE_FOLDERS[package]]
    return [path for folder in folders for pattern in _PATTERNS for path in sorted(folder.glob(pattern))]


def load(path: Path) -> ctypes.CDLL:
    """Load an OpenJPEG library and check all that is relied on; raises UnusableLibraryError.

    ctypes releases the interpreter's lock while a function of a ``CDLL`` runs.
    """
    try:
        library = ctypes.CDLL(str(path))
        for name, (result, *arguments) in SIGNATURES.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError) as error:
        raise UnusableLibraryError(f"{path.name}: {error}") from error
    found = version(library)
    if found.rpartition(".")[0] not in _VERSIONS:
        raise UnusableLibraryError(f"{path.name}: unknown version {found}")
    if not _decodes_known_picture(library):
        raise UnusableLibraryError(f"{path.name}: wrong pixels for a known picture")
    return library


def version(library: ctypes.CDLL) -> str:
    """Return the version that a loaded OpenJPEG library reports, as in 2.5.4."""
    reported: bytes = library.opj_version()
    return reported.decode("ascii", "replace")


def _decodes_known_picture(library: ctypes.CDLL) -> bool:
    try:
        planes = decode_with(library, _KNOWN_PICTURE)
    except CorruptTileError:
        return False
    return [plane.ravel().tolist() for plane in planes] == [
        [first, *[other] * 15] for first, other in _KNOWN_PIXELS
    ]


def decode(data: bytes, reduce: int = 0, *, as_coded: bool = False) -> Planes:
    """Decode a codestream whose header was checked, halved ``reduce`` times, into one array for each component.

    ``as_coded``: without the component transform at its end. Raises CorruptTileError.
    """
    library = _library()
    assert library is not None, "callers check available() first"
    return decode_with(library, data, reduce, as_coded=as_coded)


def decode_with(library: ctypes.CDLL, data: bytes, reduce: int = 0, *, as_coded: bool = False) -> Planes:
    """Decode as ``decode`` does, with a library that ``load`` returned."""
    with decoded_image(library, data, reduce, as_coded=as_coded) as image:
        return _planes([_samples(image.components[index]) for index in range(3)])


@contextmanager
def decoded_image(
    library: ctypes.CDLL, data: bytes, reduce: int = 0, *, as_coded: bool = False
) -> Iterator[DecodedImage]:
    """Decode into OpenJPEG's own memory, which is freed when the context ends; raises CorruptTileError."""
    source = _Input(ctypes.cast(c_char_p(data), c_void_p), len(data), 0)
    stream = library.opj_stream_create(max(len(data), _SMALLEST_BUFFER), 1)
    codec = library.opj_create_decompress(_RAW_CODESTREAM)
    image = _ImagePointer()
    try:
        if not (stream and codec):
            raise MemoryError
        library.opj_stream_set_read_function(stream, _READ)
        library.opj_stream_set_user_data(stream, ctypes.addressof(source), None)
        library.opj_stream_set_user_data_length(stream, len(data))
        library.opj_setup_decoder(codec, _parameters(library, reduce))
        if not library.opj_read_header(stream, codec, ctypes.byref(image)) or image.contents.count != 3:
            raise CorruptTileError("the tile's JPEG 2000 header is damaged")
        if as_coded and not library.opj_set_decoded_components(codec, 3, _ALL_COMPONENTS, 0):
            raise CorruptTileError("the tile's JPEG 2000 header is damaged")
        if not library.opj_decode(codec, stream, image):
            raise CorruptTileError("the tile's JPEG 2000 is damaged")
        yield image.contents
    finally:
        if image:
            library.opj_image_destroy(image)
        if codec:
            library.opj_destroy_codec(codec)
        if stream:
            library.opj_stream_destroy(stream)


@cache
def _parameters(library: ctypes.CDLL, reduce: int) -> ctypes.Array[ctypes.c_char]:
    """Return the decoder's parameters, which OpenJPEG only reads."""
    parameters = ctypes.create_string_buffer(_PARAMETERS_BYTES)
    library.opj_set_default_decoder_parameters(parameters)
    c_uint32.from_buffer(parameters).value = reduce
    return parameters


def _samples(component: Component) -> npt.NDArray[np.int32]:
    """Return a component's samples of 32 bits, in OpenJPEG's memory."""
    if not component.data:
        raise CorruptTileError("the tile's JPEG 2000 is damaged")
    return np.ctypeslib.as_array(component.data, (component.height, component.width))


def _planes(samples: list[npt.NDArray[np.int32]]) -> Planes:
    """Copy samples into arrays of 8 bits."""
    if len({part.shape for part in samples}) > 1:
        return [part.astype(np.uint8) for part in samples]
    out = np.empty((len(samples), *samples[0].shape), np.uint8)
    for plane, part in zip(out, samples, strict=True):
        np.copyto(plane, part, casting="unsafe")
    return out
