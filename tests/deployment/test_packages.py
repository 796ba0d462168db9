"""What a function's package and a layer are made of."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest
from manage_files import handler as manage_files
from vsv.records.models import JobKind
from vsv.workflow.job_queue import OF_FILES

from tests.support.paths import ROOT

sys.path.append(str(ROOT / "layers"))
package_function = importlib.import_module("package_function")
build_layer, pin = importlib.import_module("build_layer"), importlib.import_module("pin")

FUNCTIONS = sorted(path.parent.name for path in (ROOT / "functions").glob("*/handler.py"))
# What is loaded when a function's module is, by Python itself.
LOADED = """
import importlib, sys
importlib.import_module(sys.argv[1] + ".handler")
root = sys.argv[2]
print("\\n".join(n for n, m in sys.modules.items() if (getattr(m, "__file__", None) or "").startswith(root)))
"""


@pytest.mark.parametrize("function", FUNCTIONS)
def test_package_contains_each_module_that_the_function_loads(function: str) -> None:
    command = [sys.executable, "-c", LOADED, function, str(ROOT / "functions")]
    ran = subprocess.run(command, check=True, cwd=ROOT / "functions", capture_output=True, text=True)
    loaded = {name for name in ran.stdout.split() if name != "__main__"}
    assert f"{function}.handler" in loaded
    assert loaded <= set(package_function.modules_of(function))


def test_modules_of_follows_local_imports_and_skips_type_checking_imports(tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    (tmp_path / "f/__init__.py").touch()
    (tmp_path / "f/handler.py").write_text(
        "import json\nfrom typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import never\nelse:\n    import otherwise\n"
        "def handle():\n    from part import deep\n"
        "    try:\n        import numpy\n    except ImportError:\n        import late\n"
    )
    for name in ("never", "otherwise", "late", "unused"):
        (tmp_path / f"{name}.py").touch()
    (tmp_path / "part").mkdir()
    (tmp_path / "part/__init__.py").touch()
    (tmp_path / "part/deep.py").write_text("import f.handler\n")
    found = package_function.modules_of("f", tmp_path)
    assert list(found) == ["f", "f.handler", "late", "otherwise", "part", "part.deep"]
    with pytest.raises(FileNotFoundError, match="no function"):
        package_function.modules_of("part", tmp_path)


def test_imported_refuses_relative_import() -> None:
    with pytest.raises(ValueError, match="relative"):
        list(package_function.imported(ast.parse("from . import x")))


def test_folder_of_returns_folder_for_template_name() -> None:
    assert package_function.folder_of("ServeImageFunction") == "serve_image"
    assert package_function.folder_of("ImportSlideFunction") == "import_slide"


def test_package_of_serve_image_contains_records_and_no_import_modules() -> None:
    held = set(package_function.modules_of("serve_image"))
    assert {
        "serve_image.handler",
        "serve_image.protocols",
        "vsv.rendering.tiles",
        "vsv.slides.pixels",
        "vsv.slides.openslide_reader",
        "vsv.aws.dynamodb.slides_and_imports",
    } <= held
    of_jobs = {
        "vsv.lifecycle.job_runner",
        "vsv.aws.dynamodb.jobs",
        "vsv.storage.slide_lock",
        "vsv.delivery.destinations",
    }
    assert not held & {
        "vsv.aws.stream_import_starter",
        "vsv.ingest.receive",
        "vsv.barcodes.reader",
        "lambda_support.observability",
        *of_jobs,
    }
    assert not held & {
        "vsv.storage.object_store",
        "vsv.aws.s3_object_store",
        "vsv.lifecycle.archiving",
        "vsv.pyramids.self_contained",
    }


def test_package_of_serve_label_contains_no_records_and_no_readers() -> None:
    held = set(package_function.modules_of("serve_label"))
    assert not held & {
        "vsv.aws.dynamodb.slides_and_imports",
        "vsv.records.models",
        "vsv.slides.openslide_reader",
        "vsv.slides.image_reader",
        "vsv.slides.pixels",
    }


def test_job_functions_contain_the_steps_of_their_own_jobs_alone() -> None:
    files, sending = (set(package_function.modules_of(one)) for one in ("manage_files", "send_slides"))
    assert {
        "vsv.lifecycle.archiving",
        "vsv.deidentification.publishing",
        "vsv.lifecycle.purging",
        "vsv.aws.s3_object_store",
        "vsv.storage.slide_lock",
    } <= files
    assert {"vsv.delivery.sending", "vsv.delivery.transports", "vsv.delivery.destinations"} <= sending
    assert not files & {"vsv.delivery.sending", "vsv.delivery.transports"}
    assert not sending & {
        "vsv.lifecycle.archiving",
        "vsv.deidentification",
        "vsv.lifecycle.purging",
        "vsv.lifecycle.daily_schedule",
    }


def test_each_job_kind_belongs_to_exactly_one_function() -> None:
    assert set(manage_files.KINDS) == set(OF_FILES)
    assert {*manage_files.KINDS, JobKind.SEND} == set(JobKind)


def test_package_contains_exactly_the_services_that_its_modules_use(tmp_path: Path) -> None:
    (tmp_path / "vsv").mkdir()
    (tmp_path / "f").mkdir()
    for package in ("vsv", "f"):
        (tmp_path / package / "__init__.py").touch()
    (tmp_path / "vsv/runtime.py").write_text(
        "import always\n"
        "def current():\n    import never\n"
        "def make_slides(settings):\n    import slides\n    return _opened()\n"
        "def _opened():\n    import opened\n"
        "def make_jobs(settings):\n    import jobs\n"
    )
    for name in ("always", "never", "slides", "opened", "jobs"):
        (tmp_path / f"{name}.py").touch()
    (tmp_path / "f/handler.py").write_text("from vsv.runtime import current\nfound = current().slides\n")
    held = set(package_function.modules_of("f", tmp_path))
    assert held == {"f", "f.handler", "vsv", "vsv.runtime", "always", "slides", "opened"}


def test_package_of_forget_deleted_contains_no_slide_files() -> None:
    held = set(package_function.modules_of("forget_deleted"))
    assert "vsv.storage.numeric_id_hash" in held
    assert not held & {
        "vsv.storage.slide_files",
        "vsv.storage.numeric_ids",
        "vsv.aws.dynamodb.slides_and_imports",
    }


def test_tile_function_loads_no_records_and_no_boto3() -> None:
    code = (
        "import sys, importlib; importlib.import_module('serve_image.handler');"
        "importlib.import_module('serve_image.deepzoom.protocol');"
        "never = {'boto3', 'botocore', 'vsv.aws.dynamodb.slides_and_imports', 'vsv.records.models',"
        "    'vsv.storage.numeric_ids'};"
        "print(sorted(sys.modules.keys() & never))"
    )
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, check=True, cwd=ROOT / "functions", capture_output=True, text=True)
    assert ran.stdout == "[]\n"


def test_built_package_runs_without_site_packages(tmp_path: Path) -> None:
    package_function.package("serve_image", tmp_path)
    code = "import serve_image.handler as h; print(h.lambda_handler({}, None)['statusCode'])"
    environment = {"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin"}
    ran = subprocess.run(
        [sys.executable, "-S", "-c", code],
        check=True,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert ran.stdout == "400\n"


@pytest.mark.parametrize("layer", build_layer.LAYERS)
def test_layer_pins_product_versions_with_their_hashes(layer: str) -> None:
    path = ROOT / "layers" / layer / "requirements.txt"
    product, own = pin.product_pins(), pin.pins(path)
    assert own
    assert own == {name: product[name] for name in own}
    text = path.read_text()
    assert "://" not in text
    for block in text.split("\n#")[-1].split("==")[1:]:
        assert 1 <= block.count("--hash=sha256:") <= len(build_layer.ARCHITECTURES)


def test_each_layer_is_declared_in_the_template() -> None:
    template = (ROOT / "stacks/layers.yaml").read_text()
    for layer in build_layer.LAYERS:
        assert f"{layer.title()}LayerArn:\n" in template
        assert f"  {layer.title()}Layer:\n    Type: AWS::Serverless::LayerVersion\n" in template
