"""Write the layers' requirements with the hashes of the wheels for both architectures.

    .venv/bin/python layers/pin.py

The versions are those of requirements.txt and requirements-aws.txt, the hashes those that pip reports for the wheels
that it would install; needs the package index. A layer holds the packages in its ``requirements.txt``: to add a
package, add a line ``name==version`` there, without hashes, and run this program.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

from build_layer import ARCHITECTURES, LAYERS, wheel_options

HERE = Path(__file__).resolve().parent
PRODUCT = ("requirements.txt", "requirements-aws.txt")
_PIN = re.compile(r"^([A-Za-z0-9][\w.-]*)==([^\s;\\#]+)", re.ASCII)
# The platforms of machines that build the layer, for zig itself.
HOSTS = ("manylinux_2_12_x86_64", "manylinux_2_17_aarch64", "macosx_13_0_x86_64", "macosx_13_0_arm64")


def pins(requirements: Path) -> dict[str, str]:
    """Return the version of each package that a requirements file pins; names in lower case with dashes."""
    matches = (_PIN.match(line) for line in requirements.read_text().splitlines())
    return {match[1].lower().replace("_", "-"): match[2] for match in matches if match}


def product_pins() -> dict[str, str]:
    """Return the version of each package that the product needs, on one machine or on AWS."""
    return {name: version for file in PRODUCT for name, version in pins(HERE.parent / file).items()}


def main() -> None:
    """Rewrite every layer's file."""
    product_versions = product_pins()
    for layer in LAYERS:
        options = [wheel_options(architecture) for architecture in ARCHITECTURES]
        _write(HERE / layer / "requirements.txt", product_versions, options)
    _write(HERE / "barcode" / "zig.txt", {}, [["--only-binary", ":all:", "--platform", tag] for tag in HOSTS])


def _write(requirements: Path, product_versions: dict[str, str], options: list[list[str]]) -> None:
    versions = {name: product_versions.get(name, version) for name, version in pins(requirements).items()}
    lines = [line for line in requirements.read_text().splitlines() if line.startswith("#")]
    hashes: dict[str, set[str]] = {name: set() for name in versions}
    for option_set in options:
        for name, digest in _wheel_hashes(
            [f"{name}=={version}" for name, version in versions.items()], option_set
        ):
            hashes[name].add(digest)
    for name, version in versions.items():
        lines += [
            " \\\n    ".join([f"{name}=={version}", *(f"--hash=sha256:{d}" for d in sorted(hashes[name]))])
        ]
    requirements.write_text("\n".join(lines) + "\n")


def _wheel_hashes(packages: list[str], options: list[str]) -> list[tuple[str, str]]:
    """Ask pip which wheel of each package it would install; return names and SHA-256 sums."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--dry-run",
        "--ignore-installed",
        "--no-deps",
        "--quiet",
    ]
    command += ["--report", "-", "--target", "unused", *options, *packages]
    report = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return [
        (
            item["metadata"]["name"].lower().replace("_", "-"),
            item["download_info"]["archive_info"]["hashes"]["sha256"],
        )
        for item in report["install"]
    ]


if __name__ == "__main__":
    main()
