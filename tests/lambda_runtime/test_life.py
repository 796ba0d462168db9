"""A slide's life by the built functions alone: archived, restored, published, withdrawn, purged."""

from pathlib import Path
from typing import Any

from openslide import OpenSlide
from vsv.lifecycle.daily_schedule import LOOKS

from tests.lambda_runtime.deployment import Deployment, ask
from tests.support.slides.aperio import Plan, write_slide

# What the jobs table's stream sends; what it holds does not matter.
WOKEN = {"Records": [{"eventName": "INSERT"}]}


def done(deployment: Deployment, image_id: str, field: str, **more: str) -> dict[str, Any]:
    """Have an Admin ask for something and the woken function do it; give the slide's record."""
    asked = ask(deployment, image_id, field, "Mutation", "Admins", **more)
    assert asked["State"] == "WAITING", asked
    assert deployment("ManageFilesFunction", WOKEN) == {"batchItemFailures": []}
    return ask(deployment, image_id)


def test_slide_is_archived_restored_published_withdrawn_and_purged(
    deployment: Deployment, tmp_path: Path
) -> None:
    slide = write_slide(tmp_path / "a.svs", Plan(1200, 900, 240, downsamples=(1, 4)))
    image_id = deployment.bring(slide)["imageId"]
    top = (max(OpenSlide(slide).dimensions) - 1).bit_length()
    tile = deployment.get(f"/DeepZoom/{image_id}_files/{top}/1_1.jpeg")
    change = {"ImageID": image_id, "Status": "GOOD"}
    update(deployment, change)

    record = done(deployment, image_id, "archiveSlide")
    assert (record["Status"], record["Original"]) == ("ARCHIVED", "ARCHIVED")
    assert deployment.bucket.Object(f"originals/{image_id}/slide.svs").content_length == slide.stat().st_size
    assert not (deployment.mounted / f"slides/{image_id}/slide.svs").exists()
    assert deployment.get(f"/DeepZoom/{image_id}_files/{top}/1_1.jpeg")[2] == tile[2]

    record = done(deployment, image_id, "restoreSlide")
    assert (record["Status"], record["Original"]) == ("GOOD", None)
    assert (deployment.mounted / f"slides/{image_id}/slide.svs").read_bytes() == slide.read_bytes()

    record = done(deployment, image_id, "publishSlide", name="STUDY-7")
    assert record["Status"] == "PUBLISHED"
    assert deployment.get(f"/DeepZoom/STUDY-7_files/{top}/1_1.jpeg")[2] == tile[2]
    assert image_id.encode() not in deployment.bucket.Object("published/STUDY-7.svs").get()["Body"].read()
    assert done(deployment, image_id, "withdrawSlide")["Status"] == "GOOD"
    assert not (
        deployment.mounted / "slides/STUDY-7"
    ).exists()  # a tile function may know it for a moment more

    update(deployment, {**change, "Status": "DELETED"})
    assert done(deployment, image_id, "purgeSlide", confirm=image_id)["Original"] == "PURGED"
    assert [one.key for one in deployment.bucket.objects.all()] == []
    kept = {path.name for path in (deployment.mounted / f"deleted/{image_id}").iterdir()}
    assert kept == {"import.json"}
    log = deployment.running("ManageFilesFunction").log.read_text()
    assert all(f'"Kind":"{kind}"' in log for kind in ("ARCHIVE", "RESTORE", "PUBLISH", "WITHDRAW", "PURGE"))
    assert "JobFailed" not in log


def test_daily_looks_request_no_jobs_in_a_new_deployment(deployment: Deployment) -> None:
    for name in LOOKS:
        assert deployment("ManageFilesFunction", {"look": name}) == {"asked": 0}


def update(deployment: Deployment, change: dict[str, str]) -> None:
    """Change a slide as an Admin does."""
    ask(deployment, "", "updateSlide", "Mutation", "Admins", input=change)  # type: ignore[arg-type]
