"""A new object in the drop-in bucket: its import starts, as if a scanner had posted the file.

The object is never deleted from here: a rule of the bucket removes it when its slide has long been safe.
"""

import logging
from collections.abc import Mapping
from typing import Any

from observed import observed
from vsv.dropped import DroppedObject
from vsv.errors import BadRequestError
from vsv.importing import Receipt, receive_object
from vsv.installation import Installation, current
from vsv.names import checked_filename
from vsv.runs import is_object
from vsv.settings import required

log = logging.getLogger(__name__)


@observed
def lambda_handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Take EventBridge's "Object Created"; give the import's ``state``, None for what cannot become one."""
    try:
        receipt = _received(current(), event.get("detail") or {})
    except BadRequestError as error:
        log.warning("a dropped object is not imported: %s", error)  # the same event again would not help
        return {"state": None}
    return {"state": receipt.state}


def _received(here: Installation, detail: Mapping[str, Any]) -> Receipt:
    dropped = DroppedObject.from_event(detail)
    if dropped.bucket != required(here.settings.drop_bucket, "VSV_DROP_BUCKET"):
        raise BadRequestError("it is in another bucket than the drop-in bucket")
    latest = here.imports.get(checked_filename(dropped.key))
    if latest and is_object(latest.source) and dropped.is_older_than(_object(latest.source)):
        raise BadRequestError("a later version of it is imported already")
    return receive_object(here, dropped.key, detail["object"].get("size"), dropped.source)


def _object(source: str | None) -> DroppedObject:
    return DroppedObject.from_source(source or "")
