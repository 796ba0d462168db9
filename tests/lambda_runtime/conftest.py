"""The built functions, run as Lambda runs them. ``scripts/aws-build`` builds them and runs these tests.

They run without any network, so that nothing is fetched and AWS is out of reach: their network namespace has only
a loopback interface, on which moto's server listens.
"""

import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from tests.lambda_runtime.deployment import Deployment

if "VSV_BUILT" not in os.environ:  # the plain test suite: nothing is built
    collect_ignore_glob = ["test_*.py"]

# Source: netdevice(7).
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _UP = 0x8913, 0x8914, 0x1


def _bring_loopback_up() -> None:
    with socket.socket() as any_socket:
        asked = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(any_socket, _SIOCGIFFLAGS, asked))[1]
        if not flags & _UP:
            fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _UP))


@pytest.fixture(scope="session", autouse=True)
def no_network() -> None:
    """Fail the tests if there is a network interface besides loopback."""
    others = [name for _, name in socket.if_nameindex() if name != "lo"]
    assert not others, f"there is a network here ({', '.join(others)}): run scripts/aws-build"
    _bring_loopback_up()


@pytest.fixture(scope="session")
def aws_endpoint(no_network: None) -> Iterator[str]:
    """Start moto's server on loopback and yield its address."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def mounted(tmp_path: Path) -> Path:
    """Create an empty folder as the file system; the first import makes its folders."""
    folder = tmp_path / "slides"
    folder.mkdir()
    return folder


@pytest.fixture
def deployment(aws_endpoint: str, mounted: Path, request: pytest.FixtureRequest) -> Iterator[Deployment]:
    with ExitStack() as stack:
        yield Deployment(aws_endpoint, mounted, request.node.name.replace("[", "-").replace("]", ""), stack)
