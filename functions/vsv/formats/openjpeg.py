"""OpenJPEG's decoder as Pillow brings it, called without the interpreter's lock.

Pillow's wheels for Linux and macOS hold OpenJPEG as a library of its own; Pillow's own door to it decodes one tile
at a time, however many threads there are. Where the library is missing, of another kind, or does not give the
pixels of a known picture, ``available`` says so and OpenSlide does the work. Source: openjpeg.h, version 2.5.
"""

import ctypes
import logging
from collections.abc import Iterator
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
# One array of all where they are of one size.
Planes = list[Plane] | npt.NDArray[np.uint8]

_RAW_CODESTREAM = 0  # OPJ_CODEC_J2K
_NO_MORE = c_size_t(-1).value
# opj_dparameters_t has some 8 KiB of file names; the first field is the number of resolutions to leave out.
_PARAMETERS_BYTES = 32768
_SMALLEST_BUFFER = 64
# imagecodecs, where somebody has installed it, brings a build that is an eighth faster than Pillow's.
_HOMES = (
    ("imagecodecs", "../imagecodecs.libs"),
    ("PIL", "../pillow.libs"),
    ("PIL", ".dylibs"),
)
_NAMES = ("libopenjp2*.so*", "libopenjp2*.dylib")
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


class _Component(Structure):
    _fields_ = [
        *((name, c_uint32) for name in _COMPONENT_NUMBERS),
        ("data", POINTER(c_int32)),
        ("alpha", c_uint16),
    ]


class _Image(Structure):
    _fields_ = [
        *((name, c_uint32) for name in ["x0", "y0", "x1", "y1", "count"]),
        ("color_space", c_int),
        ("components", POINTER(_Component)),
    ]


class _Input(Structure):
    _fields_ = [("data", c_void_p), ("length", c_size_t), ("at", c_size_t)]


_Read = ctypes.CFUNCTYPE(c_size_t, c_void_p, c_size_t, c_void_p)
_ImagePointer = POINTER(_Image)
# Result and arguments of each function that is called. Handles are pointers.
_SIGNATURES = {
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
    """Hand OpenJPEG the next bytes of a codestream."""
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
    """Tell whether OpenJPEG can be called."""
    return _library() is not None


@cache
def _library() -> ctypes.CDLL | None:
    for path in _candidates():
        try:
            library = _prepared(ctypes.CDLL(str(path)))
        except (OSError, AttributeError):
            continue
        if _is_known(library):
            return library
    log.info("no OpenJPEG in Pillow: OpenSlide decodes JPEG 2000 slides")
    return None


def _candidates() -> Iterator[Path]:
    for package, folder in _HOMES:
        try:
            spec = find_spec(package)
        except (ImportError, ValueError):
            continue
        if spec is None or spec.origin is None:
            continue
        for name in _NAMES:
            yield from sorted((Path(spec.origin).parent / folder).resolve().glob(name))


def _prepared(library: ctypes.CDLL) -> ctypes.CDLL:
    for name, (result, *arguments) in _SIGNATURES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def _is_known(library: ctypes.CDLL) -> bool:
    """Tell whether the library is of the version whose structures these are, and finds a known picture."""
    major, minor, *_ = library.opj_version().split(b".")
    if (major, minor) not in {(b"2", b"4"), (b"2", b"5")}:
        return False
    try:
        planes = _decode(library, _KNOWN_PICTURE, 0)
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
    assert library is not None, "whoever decodes has asked whether it is available"
    return _decode(library, data, reduce, as_coded)


def _decode(library: ctypes.CDLL, data: bytes, reduce: int, as_coded: bool = False) -> Planes:
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
        return _planes([_samples(image.contents.components[index]) for index in range(3)])
    finally:
        if image:
            library.opj_image_destroy(image)
        if codec:
            library.opj_destroy_codec(codec)
        if stream:
            library.opj_stream_destroy(stream)


@cache
def _parameters(library: ctypes.CDLL, reduce: int) -> ctypes.Array[ctypes.c_char]:
    """Give the decoder's parameters, which it only reads."""
    parameters = ctypes.create_string_buffer(_PARAMETERS_BYTES)
    library.opj_set_default_decoder_parameters(parameters)
    c_uint32.from_buffer(parameters).value = reduce
    return parameters


def _samples(component: _Component) -> npt.NDArray[np.int32]:
    """Give a component's samples, which are 32 bits wide and end with the image."""
    if not component.data:
        raise CorruptTileError("the tile's JPEG 2000 is damaged")
    return np.ctypeslib.as_array(component.data, (component.height, component.width))


def _planes(samples: list[npt.NDArray[np.int32]]) -> Planes:
    """Copy components of 8 bits."""
    if len({part.shape for part in samples}) > 1:
        return [part.astype(np.uint8) for part in samples]
    out = np.empty((len(samples), *samples[0].shape), np.uint8)
    for plane, part in zip(out, samples, strict=True):
        np.copyto(plane, part, casting="unsafe")
    return out
