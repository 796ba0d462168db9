"""OpenJPEG's decoder, called by ctypes in the library that Pillow's wheel carries, without the interpreter's lock.

No package that includes OpenJPEG can reduce, keep subsampled components as stored and leave out the component
transform while the lock is released (docs/performance.md, "OpenJPEG libraries"). So this module calls libopenjp2
directly. It relies on a file in a private folder, on the functions in ``SIGNATURES`` and on the layout of two
structures: tests/formats/test_openjpeg_library.py pins all of these. Where no library passes every check of ``load``,
``available`` returns False, one log line says why, and OpenSlide decodes, more slowly.
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
# A single array of three dimensions where all components have the same size.
Planes = list[Plane] | npt.NDArray[np.uint8]

_RAW_CODESTREAM = 0  # OPJ_CODEC_J2K
_NO_MORE = c_size_t(-1).value
# opj_dparameters_t holds about 8 KiB of file names; its first field is the number of resolutions to discard.
_PARAMETERS_BYTES = 32768
_SMALLEST_BUFFER = 64
_VERSIONS = {"2.4", "2.5"}
# Where wheels keep their shared libraries, relative to the package's folder: on Linux, and on macOS.
_PRIVATE_FOLDERS = {"imagecodecs": ("../imagecodecs.libs",), "PIL": ("../pillow.libs", ".dylibs")}
# imagecodecs, a development package, includes a build that is an eighth faster than Pillow's.
PACKAGES = ("imagecodecs", "PIL")
_PATTERNS = ("libopenjp2*.so*", "libopenjp2*.dylib")
# A lossless picture of four by four pixels: for each component, the value of the first pixel and of all others.
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
    """A file is not an OpenJPEG library that this module can call; the message says why."""


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
# Result type and argument types of each called function. Handles are pointers.
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
    """Return whether a usable OpenJPEG library was found."""
    return _library() is not None


@cache
def _library() -> ctypes.CDLL | None:
    """Return the first usable library; None, with one line of log that says why, where there is none."""
    refusals = []
    for path in (path for package in PACKAGES for path in bundled(package)):
        try:
            return load(path)
        except UnusableLibraryError as error:
            refusals.append(str(error))
    reasons = "; ".join(refusals) or "Pillow's package holds none"
    log.warning("OpenSlide decodes JPEG 2000 slides, more slowly: no usable OpenJPEG library (%s)", reasons)
    return None


def bundled(package: str) -> list[Path]:
    """Return the libopenjp2 files in the wheel of ``package`` (PIL or imagecodecs), without importing it.

    Wheels keep their shared libraries in a private folder, each under a name with a hash of its content, so that two
    packages never share a library. No public function returns the path: the folder's name and a pattern find the
    file.
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
    """Load an OpenJPEG library and check all that this module relies on; raise UnusableLibraryError.

    ctypes releases the interpreter's lock while a function of a ``CDLL`` runs.
    """
    try:
        library = ctypes.CDLL(str(path))
        for name, (result, *arguments) in SIGNATURES.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError) as error:
        raise UnusableLibraryError(f"{path.name}: {error}") from error
    reported = version(library)
    if reported.rpartition(".")[0] not in _VERSIONS:
        raise UnusableLibraryError(f"{path.name}: unknown version {reported}")
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

    ``as_coded`` leaves out the component transform. Raise CorruptTileError where the codestream is damaged.
    """
    library = _library()
    assert library is not None, "callers check available() first"
    return decode_with(library, data, reduce, as_coded=as_coded)


def decode_with(library: ctypes.CDLL, data: bytes, reduce: int = 0, *, as_coded: bool = False) -> Planes:
    """Decode as ``decode`` does, with a library that ``load`` returned."""
    with decoded_image(library, data, reduce, as_coded=as_coded) as image:
        return _planes([_samples(image.components[index]) for index in range(3)])


def decode_deep(data: bytes, count: int) -> npt.NDArray[np.int32]:
    """Decode a codestream of ``count`` components of the same size, of any precision, into planes of 32 bits."""
    library = _library()
    assert library is not None, "callers check available() first"
    with decoded_image(library, data, count=count) as image:
        planes = [_samples(image.components[index]) for index in range(count)]
        if len({plane.shape for plane in planes}) > 1:
            raise CorruptTileError("the tile's JPEG 2000 components differ in size")
        return np.stack(planes)


@contextmanager
def decoded_image(
    library: ctypes.CDLL, data: bytes, reduce: int = 0, *, as_coded: bool = False, count: int = 3
) -> Iterator[DecodedImage]:
    """Yield an image decoded into OpenJPEG's memory, which is freed when the context ends; raise CorruptTileError."""
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
        if not library.opj_read_header(stream, codec, ctypes.byref(image)) or image.contents.count != count:
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
    """Return the decoder's parameters for ``reduce``; they can be cached because OpenJPEG only reads them."""
    parameters = ctypes.create_string_buffer(_PARAMETERS_BYTES)
    library.opj_set_default_decoder_parameters(parameters)
    c_uint32.from_buffer(parameters).value = reduce
    return parameters


def _samples(component: Component) -> npt.NDArray[np.int32]:
    """Return a component's 32-bit samples as a view of OpenJPEG's memory."""
    if not component.data:
        raise CorruptTileError("the tile's JPEG 2000 is damaged")
    return np.ctypeslib.as_array(component.data, (component.height, component.width))


def _planes(samples: list[npt.NDArray[np.int32]]) -> Planes:
    """Return 8-bit copies of the components' samples."""
    if len({component.shape for component in samples}) > 1:
        return [component.astype(np.uint8) for component in samples]
    out = np.empty((len(samples), *samples[0].shape), np.uint8)
    for plane, component in zip(out, samples, strict=True):
        np.copyto(plane, component, casting="unsafe")
    return out
