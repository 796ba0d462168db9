"""Objects in classes that must be asked for before they can be read.

Sources: "Restoring an archived object", "Archive retrieval options" (a Standard retrieval takes 3 to 5 hours from
S3 Glacier Flexible Retrieval and Intelligent-Tiering's Archive Access tier, up to 12 from the Deep Archive ones),
Amazon S3 user guide; ``x-amz-restore`` in "HeadObject", API reference.
"""

from typing import Any

from botocore.exceptions import ClientError

from vsv.errors import NotYetError

HOURS = {"GLACIER": 5, "ARCHIVE_ACCESS": 5, "DEEP_ARCHIVE": 12, "DEEP_ARCHIVE_ACCESS": 12}
# How long the thawed copy of a Glacier object stays: the job that fetches it looks every few minutes.
DAYS = 3
_ASKED_ALREADY = {"RestoreAlreadyInProgress", "ObjectAlreadyInActiveTierError"}


def check_readable(client: Any, place: dict[str, str], told: dict[str, Any]) -> None:
    """Raise NotYetError where an object, of which HeadObject told, cannot be read yet; it is asked for then."""
    tier = told.get("ArchiveStatus") or told.get("StorageClass", "STANDARD")
    restore = told.get("Restore", "")
    if tier not in HOURS or 'ongoing-request="false"' in restore:
        return
    if 'ongoing-request="true"' not in restore:
        _ask(client, place, is_tiered="ArchiveStatus" in told)
    hours = HOURS[tier]
    raise NotYetError(
        f"the file is being retrieved from the archive: that takes up to {hours} hours", hours * 3600.0
    )


def _ask(client: Any, place: dict[str, str], *, is_tiered: bool) -> None:
    # What Intelligent-Tiering brings back stays until nobody reads it: it takes no number of days.
    days = {} if is_tiered else {"Days": DAYS}
    wanted = {**days, "GlacierJobParameters": {"Tier": "Standard"}}
    try:
        client.restore_object(**place, RestoreRequest=wanted)
    except ClientError as error:
        if error.response["Error"]["Code"] not in _ASKED_ALREADY:
            raise
