"""What a build has made: functions and layers for both architectures, and a running function."""

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.support.paths import ROOT

BUILT = ROOT / ".aws-sam"
LAYERS = ("Imaging", "Barcode", "Tools", "Signing")
# Set by scripts/aws-build: a Python with the runtime interface client and nothing of this project, and the emulator.
PYTHON, EMULATOR = os.environ.get("VSV_LAMBDA_PYTHON", ""), os.environ.get("VSV_LAMBDA_EMULATOR", "")
START_S = 20


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation's short forms, such as !Ref, as the names in them."""


def _short_form(loader: yaml.SafeLoader, _tag: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return {"Ref": loader.construct_scalar(node)}
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    assert isinstance(node, yaml.MappingNode)
    return loader.construct_mapping(node, deep=True)


_Loader.add_multi_constructor("!", _short_form)


@dataclass(frozen=True)
class Function:
    """A function of the built template: its ID, handler, and the IDs of its layers in their order."""

    logical_id: str
    handler: str
    layers: tuple[str, ...]
    arm64: Path

    @property
    def x86_64(self) -> Path:
        """The x86_64 build, which can be run here."""
        return BUILT / "x86_64" / self.logical_id

    def layers_of(self, architecture: str) -> list[Path]:
        """Return the folders of the function's layers."""
        return [layer_folder(layer, architecture) for layer in self.layers]


def layer_folder(layer: str, architecture: str) -> Path:
    """Return the folder of a built layer."""
    if architecture == "x86_64":
        return BUILT / "x86_64" / layer
    (found,) = (BUILT / "build").glob(f"**/{layer}/python")
    return found.parent


def functions() -> list[Function]:
    """Return every function of the built templates, except those whose code is in the template itself."""
    found = [
        Function(name, properties["Handler"], tuple(map(_layer, properties.get("Layers", []))), folder / name)
        for folder, name, properties in _resources("AWS::Serverless::Function")
        if "InlineCode" not in properties
    ]
    assert found, "nothing is built: run scripts/aws-build"
    return found


def _resources(kind: str) -> Iterator[tuple[Path, str, dict[str, Any]]]:
    for path in sorted((BUILT / "build").rglob("template.yaml")):
        for name, resource in yaml.load(path.read_text(), _Loader)["Resources"].items():
            if resource["Type"] == kind:
                yield path.parent, name, resource["Properties"]


def function(logical_id: str) -> Function:
    """Return one function; raise ValueError if there is none."""
    (found,) = (each for each in functions() if each.logical_id == logical_id)
    return found


def _layer(reference: Mapping[str, str]) -> str:
    """Return the layer that a parameter stands for: ImagingLayerArn is ImagingLayer."""
    name = reference["Ref"].removesuffix("Arn")
    assert name.removesuffix("Layer") in LAYERS, f"{reference} is no layer of ours"
    return name


@dataclass(frozen=True)
class Running:
    """A function that waits for events."""

    url: str
    log: Path

    def invoke(self, event: object) -> Any:
        """Return the handler's answer or, if it raised, Lambda's error document."""
        request = urllib.request.Request(self.url, json.dumps(event).encode())
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.loads(answer.read())


@contextmanager
def run(built: Function, folder: Path, **settings: str) -> Iterator[Running]:
    """Run a built function under the runtime interface emulator, with its own layers and settings alone."""
    layers = built.layers_of("x86_64")
    environment = {
        "PATH": "/usr/bin:/bin",
        "LD_LIBRARY_PATH": ":".join(str(layer / "lib") for layer in layers),
        "PYTHONPATH": ":".join([str(built.x86_64), *(str(layer / "python") for layer in layers)]),
        "PYTHONDONTWRITEBYTECODE": "1",  # on Lambda both folders are read only
        "LAMBDA_TASK_ROOT": str(built.x86_64),
        "AWS_LAMBDA_FUNCTION_NAME": built.logical_id,
        "AWS_LAMBDA_FUNCTION_TIMEOUT": "120",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "fake",
        "AWS_SECRET_ACCESS_KEY": "fake",
        "POWERTOOLS_SERVICE_NAME": "vsv",
        "POWERTOOLS_METRICS_NAMESPACE": "VSV",
        **settings,
    }
    ports = _free_port(), _free_port()
    addresses = ["--runtime-interface-emulator-address", f"127.0.0.1:{ports[0]}"]
    addresses += ["--runtime-api-address", f"127.0.0.1:{ports[1]}"]
    command = [EMULATOR, *addresses, PYTHON, "-m", "awslambdaric", built.handler]
    path = folder / f"{built.logical_id}.log"
    with path.open("ab") as log:
        process = subprocess.Popen(
            command, env=environment, cwd=built.x86_64, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        _wait_for(ports[0])
        yield Running(f"http://127.0.0.1:{ports[0]}/2015-03-31/functions/function/invocations", path)
    finally:
        process.terminate()
        process.wait(10)


def _free_port() -> int:
    with socket.socket() as any_socket:
        any_socket.bind(("127.0.0.1", 0))
        return int(any_socket.getsockname()[1])


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < deadline, "the emulator did not start"
            time.sleep(0.02)
        else:
            return
