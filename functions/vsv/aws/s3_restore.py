"""Restore requests for objects in storage classes that cannot be read directly.

Sources: "Restoring an archived object", "Archive retrieval options" (a Standard retrieval takes 3 to 5 hours from
S3 Glacier Flexible Retrieval and Intelligent-Tiering's Archive Access tier, up to 12 from the Deep Archive ones),
Amazon S3 user guide; ``x-amz-restore`` in "HeadObject", API reference.
"""

from typing import Any

from botocore.exceptions import ClientError

from vsv.errors import NotYetError

HOURS = {"GLACIER": 5, "ARCHIVE_ACCESS": 5, "DEEP_ARCHIVE": 12, "DEEP_ARCHIVE_ACCESS": 12}
# Days that the restored copy of a Glacier object is available: the job that fetches it retries every few minutes.
DAYS = 3
_ALREADY_REQUESTED = {"RestoreAlreadyInProgress", "ObjectAlreadyInActiveTierError"}


def check_readable(client: Any, place: dict[str, str], head: dict[str, Any]) -> None:
    """Request a restore and raise NotYetError where an object, described by HeadObject, cannot be read yet."""
    tier = head.get("ArchiveStatus") or head.get("StorageClass", "STANDARD")
    restore = head.get("Restore", "")
    if tier not in HOURS or 'ongoing-request="false"' in restore:
        return
    if 'ongoing-request="true"' not in restore:
        _request_restore(client, place, is_tiered="ArchiveStatus" in head)
    hours = HOURS[tier]
    raise NotYetError(
        f"the file is being retrieved from the archive: that takes up to {hours} hours", hours * 3600.0
    )


def _request_restore(client: Any, place: dict[str, str], *, is_tiered: bool) -> None:
    # Intelligent-Tiering keeps a restored object while it is read, and accepts no number of days.
    days = {} if is_tiered else {"Days": DAYS}
    request = {**days, "GlacierJobParameters": {"Tier": "Standard"}}
    try:
        client.restore_object(**place, RestoreRequest=request)
    except ClientError as error:
        if error.response["Error"]["Code"] not in _ALREADY_REQUESTED:
            raise
