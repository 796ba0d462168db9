"""What an import makes of a slide: its ID, pictures and record, whatever the slide lacks; and no label in public."""

import io
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image
from vsv.barcodes.reader import Barcode, read_codes
from vsv.errors import InvalidNameError
from vsv.identifiers import checked_image_id
from vsv.ingest.extraction import MAX_TAGS_BYTES, candidate_ids
from vsv.records.models import SlideRecord
from vsv.storage.slide_files import Claim

from benchmarks.label_images import code_image
from tests.support.servers.running import Site, running_site
from tests.support.slides.aperio import LIBRARY, Plan, label_image, write_slide
from tests.support.slides.small import OLD, put, slide_bytes

RED = np.zeros((150, 120, 3), np.uint8) + np.array([255, 0, 0], np.uint8)


@pytest.fixture(autouse=True)
def no_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read no barcodes: these labels have none, and looking for them takes its time."""
    monkeypatch.setattr("vsv.ingest.extraction.read_codes", lambda _image, _fits: ())


KINDS = ("Data Matrix", "QR", "Code 128")


def write_label(path: Path, pixels: NDArray[np.uint8], description: str | None, kind: int) -> None:
    with tifffile.TiffWriter(path, append=True) as tiff:
        tiff.write(
            pixels,
            photometric="rgb",
            description=description,
            subfiletype=kind,
            metadata=None,
            software=False,
        )


def imported(site: Site, path: Path) -> SlideRecord:
    assert site.bring("a.svs", path.read_bytes()) == 200
    (record,) = site.records()
    return record


def described(tmp_path: Path, tags: str) -> Path:
    description = f"{LIBRARY}600x500 (240x240) JPEG/RGB Q=85{tags}"
    return write_slide(tmp_path / "x.svs", Plan(600, 500, 240, description=description, associated="none"))


def picture(site: Site, image_id: str, name: str) -> Image.Image:
    return Image.open(io.BytesIO(site.services.files.associated(image_id, name).read_bytes())).convert("RGB")


@pytest.mark.parametrize("description", [f"{LIBRARY}label 120x150", None, f"{LIBRARY}macro 120x150"])
@pytest.mark.parametrize("kind", [0, 1, 9])
def test_label_in_place_of_thumbnail_is_not_stored_as_thumbnail(
    site: Site, tmp_path: Path, description: str | None, kind: int
) -> None:
    plan = Plan(600, 500, 240, thumbnail=False, associated="none", downsamples=(1,))
    path = write_slide(tmp_path / "x.svs", plan)
    write_label(path, RED, description, kind)
    record = imported(site, path)
    red, green, _ = np.asarray(picture(site, record.image_id, "thumbnail")).reshape(-1, 3).mean(axis=0)
    assert red - green < 100


def test_thumbnail_of_the_scanner_is_kept(site: Site, tmp_path: Path) -> None:
    record = imported(site, write_slide(tmp_path / "x.svs", Plan(1024, 768, 256, associated="none")))
    assert picture(site, record.image_id, "thumbnail").size == (256, 192)


@pytest.mark.parametrize("associated", ["aperio", "undescribed"])
def test_label_and_macro_are_written_with_or_without_description(
    site: Site, tmp_path: Path, associated: str
) -> None:
    plan = Plan(600, 500, 240, associated=associated)  # type: ignore[arg-type]
    record = imported(site, write_slide(tmp_path / "x.svs", plan))
    shown = np.asarray(picture(site, record.image_id, "label"), float)
    assert np.abs(shown - np.asarray(label_image(), float)).mean() < 10
    assert (record.barcode, record.slide_id, record.case_id) == (None, record.image_id, record.image_id)


def test_slide_without_tags_is_imported_under_a_stable_id(tmp_path: Path) -> None:
    content = described(tmp_path, "").read_bytes()
    ids = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        with running_site(tmp_path / name) as site:
            assert site.bring("a.svs", content) == 200
            (record,) = site.records()
        assert (record.scan_date, record.mpp, record.app_mag, record.time_zone) == (None, None, None, None)
        ids.append(record.image_id)
    assert ids[0] == ids[1]
    assert ids[0].startswith("S")


@pytest.mark.parametrize("image_id", ["../../x", "a/b", "", "NUL", "x" * 65, "a b", "..", "."])
def test_image_id_that_is_not_a_valid_name_is_not_used(site: Site, tmp_path: Path, image_id: str) -> None:
    record = imported(site, described(tmp_path, f"|ImageID = {image_id}|AppMag = 20"))
    assert record.image_id.startswith("S")
    assert checked_image_id(record.image_id)


@pytest.mark.parametrize(
    "tags",
    [
        "|MPP = nan|AppMag = inf",
        "|MPP = 1e-200|AppMag = 1e-300",
        "|MPP = -1|AppMag = 0",
        "|MPP = x|AppMag = 1e999",
    ],
)
def test_invalid_numbers_are_left_out_of_the_record(site: Site, tmp_path: Path, tags: str) -> None:
    record = imported(site, described(tmp_path, tags))
    assert (record.mpp, record.app_mag) == (None, None)


def test_oversized_tags_are_truncated(site: Site, tmp_path: Path) -> None:
    tags = "".join(f"|Key {number} = {'x' * 1900}" for number in range(190))
    record = imported(site, described(tmp_path, f"|ImageID = 7|AppMag = 40{tags}"))
    assert (record.image_id, record.app_mag) == ("7", "40")
    assert record.tags is not None
    assert 30 < len(record.tags) < MAX_TAGS_BYTES / 1900


def test_scan_time_has_its_zone_or_is_local_without_zone(site: Site, tmp_path: Path) -> None:
    record = imported(site, described(tmp_path, "|Date = 12/29/09|Time = 09:59:15|Time Zone = GMT-05:00"))
    assert (record.scan_date, record.time_zone) == ("2009-12-29T09:59:15-05:00", "-05:00")
    assert site.bring("b.svs") == 200
    local = next(r for r in site.records() if r.filename == "b.svs")
    assert (local.scan_date, local.time_zone) == ("2009-12-29T09:59:15", "local")


def test_label_belongs_to_slide_despite_equal_name_size_and_time(tmp_path: Path) -> None:
    with running_site(tmp_path, "one", "two", in_place=True) as site:
        for folder, color, thumbnail in (("one", RED, True), ("two", RED[..., ::-1], False)):
            plan = Plan(600, 500, 240, associated="none", thumbnail=thumbnail)
            path = write_slide(tmp_path / folder / "a.svs", plan)
            write_label(path, color, f"{LIBRARY}label 120x150", 1)
            write_label(path, RED // 2, f"{LIBRARY}macro 120x150", 9)
            put(path.parent, "a.svs", path.read_bytes().ljust(700_000), modified=OLD)
        site.settle("a.svs", 700_000)
        labels = [np.asarray(picture(site, r.image_id, "label")) for r in site.records()]
    assert [[round(float(c) / 255) for c in label.mean(axis=(0, 1))] for label in labels] == [
        [1, 0, 0],
        [0, 0, 1],
    ]


def ids(record: SlideRecord) -> tuple[str | None, str | None, bool | None]:
    return record.slide_id, record.case_id, record.id_not_confirmed


def labelled(site: Site, name: str, *barcodes: str | None, tag: str = "") -> SlideRecord:
    """Import a slide of this name with these barcodes on its label and this tag of the scanner."""
    with pytest.MonkeyPatch.context() as patch:
        codes = tuple(
            Barcode(text, kind, "test") for text, kind in zip(barcodes, KINDS, strict=False) if text
        )
        patch.setattr("vsv.ingest.extraction.read_codes", lambda _image, _fits: codes)
        description = f"{LIBRARY}600x500 (240x240) JPEG/RGB Q=85|ImageID = {len(site.records()) + 1}{tag}"
        path = write_slide(site.scanner.parent / "x.svs", Plan(600, 500, 240, description=description))
        assert site.bring(name, path.read_bytes()) == 200
    (record,) = (record for record in site.records() if record.filename == name)
    return record


@pytest.mark.parametrize(
    ("barcodes", "cases"),
    [
        (("S23-12345;A1;1", "S23-99999;B2;1"), ("S23-12345", "S23-99999")),
        (("S26-04170-C1-CD3", "S26-04170-C2-HE"), ("S26-04170", "S26-04170")),
    ],
)
def test_slides_share_a_case_where_their_accession_number_is_one(
    site: Site, barcodes: tuple[str, str], cases: tuple[str, str]
) -> None:
    for name, barcode, case in zip(("a.svs", "b.svs"), barcodes, cases, strict=True):
        assert ids(labelled(site, name, barcode)) == (barcode, case, None)


@pytest.mark.parametrize(
    "barcode", ["01234567890128", "LOT24-00123", "https://a.example/1-2", "20240102", None]
)
def test_slide_whose_texts_do_not_fit_is_its_own_case_and_not_confirmed(
    site: Site, barcode: str | None
) -> None:
    for name in ("a.svs", "b.svs"):
        record = labelled(site, name, barcode)
        assert ids(record) == (record.image_id, record.image_id, True)
        assert record.barcode == barcode


def test_scanner_tag_then_filename_name_a_slide_whose_barcode_does_not_fit(site: Site) -> None:
    tag = "|Barcode = S12-34567-A1"
    assert ids(labelled(site, "S12-34567-B2.svs", "LOT24-00123", tag=tag)) == (
        "S12-34567-A1",
        "S12-34567",
        None,
    )
    assert ids(labelled(site, "S12-34567-B3.svs", "LOT24-00123")) == ("S12-34567-B3", "S12-34567", None)
    assert ids(labelled(site, "S12-34567-B4.svs", "S12-34567-C1", tag=tag)) == (
        "S12-34567-C1",
        "S12-34567",
        None,
    )


def test_label_with_vendors_code_is_named_by_the_code_that_fits(site: Site) -> None:
    vendor = "https://vendor.example/lot/123456"
    for name, accession in (("a.svs", "S23-12345-A1"), ("b.svs", "S23-99999-B2")):
        record = labelled(site, name, vendor, accession)
        assert ids(record) == (accession, accession[:9], None)
        assert (record.barcode, record.barcode_format) == (accession, "QR")


@pytest.mark.parametrize(
    "codes", [("S23-12345-A1", "S23-99999-B2"), ("LOT123456", "https://vendor.example/1")]
)
def test_label_whose_codes_leave_a_doubt_is_not_confirmed_and_keeps_its_candidates(
    site: Site, codes: tuple[str, str]
) -> None:
    record = labelled(site, "1.svs", *codes)
    assert ids(record) == (record.image_id, record.image_id, True)
    assert (record.barcode, record.barcode_format) == (None, None)
    assert record.id_candidates == dict(zip(codes, KINDS, strict=False))


def test_tag_that_contradicts_the_label_leaves_the_slide_not_confirmed(site: Site) -> None:
    record = labelled(site, "S99-00001-A1.svs", "S99-00001-A1", tag="|Barcode = S12-34567-B1")
    assert ids(record) == (record.image_id, record.image_id, True)
    assert record.id_candidates == {"S99-00001-A1": "Data Matrix", "S12-34567-B1": "tag"}


def test_tag_names_the_slide_where_the_label_has_no_code(site: Site) -> None:
    record = labelled(site, "1.svs", tag="|Barcode = S12-34567-A1")
    assert ids(record) == ("S12-34567-A1", "S12-34567", None)
    assert (record.barcode, record.id_candidates) == (None, None)


def test_codes_of_a_real_label_are_read_with_the_installations_pattern(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vsv.ingest.extraction.read_codes", read_codes)
    monkeypatch.setenv("VSV_ID_PATTERN", r"(?P<case>P\d{1,6})-[A-Z]")
    plan = Plan(600, 500, 240, associated="none")
    path = write_slide(tmp_path / "x.svs", plan)
    label = Image.new("RGB", (700, 400), "white")
    for text, kind, place in (
        ("https://vendor.example/lot/1", "QR", (20, 40)),
        ("P77-A", "Code 128", (250, 40)),
    ):
        label.paste(code_image(text, kind, 1.5).convert("RGB"), place)
    write_label(path, np.asarray(label), f"{LIBRARY}label 700x400", 1)
    with running_site(tmp_path) as site:
        record = imported(site, path)
        assert (record.slide_id, record.case_id, record.barcode) == ("P77-A", "P77", "P77-A")


@pytest.mark.parametrize(
    ("order", "slide_id"), [("filename,barcode", "S12-34567-B2"), ("tag", "S12-34567-A1")]
)
def test_order_of_sources_follows_its_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: str, slide_id: str
) -> None:
    monkeypatch.setenv("VSV_ID_ORDER", order)
    with running_site(tmp_path) as site:
        record = labelled(site, "S12-34567-B2.svs", "S12-34568-C1", tag="|Barcode = S12-34567-A1")
        assert (record.slide_id, record.barcode) == (slide_id, "S12-34568-C1")


def test_own_pattern_names_slide_and_case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VSV_ID_PATTERN", "(?P<slide>(?P<case>P[0-9]+/[0-9]+)-[A-Z])(?: .*)?")
    with running_site(tmp_path) as site:
        assert ids(labelled(site, "a.svs", "P21/77-A HE")) == ("P21/77-A", "P21/77", None)
        assert ids(labelled(site, "b.svs", "S23-12345;A1;1")) == ("2", "2", True)


@pytest.mark.parametrize("own", [None, "1004486", "a" * 64, "a." + "b" * 28 + "." * 30 + "c", "CON-1"])
def test_candidate_ids_are_valid_distinct_and_stable(own: str | None) -> None:
    found = list(candidate_ids(own, Claim("a.svs", 1, "0" * 64)))
    assert len(set(found)) == len(found) >= 5
    try:
        assert all(map(checked_image_id, found))
    except InvalidNameError:
        pytest.fail(f"one of {found} is no ImageID")
    assert found == list(candidate_ids(own, Claim("a.svs", 1, "0" * 64)))
    assert slide_bytes()
