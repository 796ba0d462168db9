"""Build one layer into a folder: pinned and hashed wheels for Lambda's platform, on any machine.

    python3 build_layer.py imaging FOLDER

``VSV_ARCH=x86_64`` in the environment builds the twin for the runtime tests; aarch64 is deployed. pip gets platform
and Python version as options, so neither Docker nor that Python is needed. Where there is a ``python3.13`` the
modules are compiled too: Lambda cannot write ``.pyc`` files and would compile at every cold start.
"""

import os
import shutil
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path

LAYERS = ("imaging", "barcode", "tools", "signing")
ARCHITECTURES = ("aarch64", "x86_64")
PYTHON_VERSION = "3.13"
# Amazon Linux 2023 has glibc 2.34. pip does not infer older tags from a newer one: each is named.
GLIBC_TAGS = (
    "manylinux_2_34",
    "manylinux_2_28",
    "manylinux_2_27",
    "manylinux_2_26",
    "manylinux_2_17",
    "manylinux2014",
)
# Files that no function imports: the packages' own tests, files for compilers and type checkers.
SUPERFLUOUS = ("**/tests", "**/*.pyi", "**/*.pyx", "**/*.pxd", "**/*.a", "**/*.h", "numpy/f2py", "bin")
# MB: an uploaded layer; a function and its layers unzipped. "Lambda quotas", Lambda developer guide.
MAX_ZIPPED_MB, MAX_UNZIPPED_MB = 50, 250


def wheel_options(architecture: str) -> list[str]:
    """Return the options with which pip installs only wheels for Lambda's python3.13 on that architecture."""
    platforms = [option for tag in GLIBC_TAGS for option in ("--platform", f"{tag}_{architecture}")]
    return [
        "--only-binary", ":all:", "--implementation", "cp", "--python-version", PYTHON_VERSION, *platforms
    ]  # fmt: skip


def main(layer: str, folder: Path) -> None:
    """Build the layer and print its size."""
    architecture = os.environ.get("VSV_ARCH") or ARCHITECTURES[0]
    if architecture not in ARCHITECTURES:
        sys.exit(f"VSV_ARCH is {architecture}: it must be one of {', '.join(ARCHITECTURES)}")
    packages = folder / "python"
    _install(layer, architecture, packages)
    _prune(packages)
    _compile(packages)
    if layer == "barcode":
        script = Path(__file__).with_name("barcode") / "libdmtx.sh"
        subprocess.run(["sh", str(script), architecture, str(folder / "lib")], check=True)
    _check_size(layer, architecture, folder)


def _install(layer: str, architecture: str, packages: Path) -> None:
    requirements = Path(__file__).with_name(layer) / "requirements.txt"
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-compile",
    ]
    command += ["--no-deps", "--require-hashes", "--target", str(packages), *wheel_options(architecture)]
    subprocess.run([*command, "--requirement", str(requirements)], check=True)
    if unmerged := [path.name for path in packages.glob("*.data")]:
        sys.exit(f"pip left parts of a wheel where nothing is imported from: {', '.join(unmerged)}")


def _prune(packages: Path) -> None:
    for pattern in SUPERFLUOUS:
        for path in list(packages.glob(pattern)):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def _compile(packages: Path) -> None:
    """Compile for ``/opt/python``, where the layer will be, so that no file holds the build's own path."""
    python = _python()
    if python is None:
        print(f"python{PYTHON_VERSION} was not found: modules are not compiled, and cold starts take longer.")
        return
    command = [python, "-m", "compileall", "-q", "-j", "1", "--invalidation-mode", "unchecked-hash"]
    command += ["-s", str(packages), "-p", "/opt/python", str(packages)]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": "0"})


def _python() -> str | None:
    """Return a working Python of Lambda's version, or None: pyenv may put one on the PATH that does not run."""
    name = f"python{PYTHON_VERSION}"
    candidates = [shutil.which(name), *Path.home().glob(f".pyenv/versions/{PYTHON_VERSION}*/bin/{name}")]
    return next((str(candidate) for candidate in candidates if candidate and _runs(str(candidate))), None)


def _runs(python: str) -> bool:
    return subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0


def _check_size(layer: str, architecture: str, folder: Path) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    zipped = BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            archive.write(path, path.relative_to(folder))
    unzipped_mb, zipped_mb = sum(path.stat().st_size for path in files) / 1e6, zipped.tell() / 1e6
    print(f"layer {layer} ({architecture}): {unzipped_mb:.1f} MB, {zipped_mb:.1f} MB zipped", flush=True)
    if zipped_mb > MAX_ZIPPED_MB or unzipped_mb > MAX_UNZIPPED_MB:
        sys.exit(
            f"The layer is too large: {MAX_ZIPPED_MB} MB zipped, {MAX_UNZIPPED_MB} MB unzipped are allowed."
        )


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]).resolve())
