"""Mark an object of the drop-in bucket as imported: the bucket's rule removes only marked objects after a time.

Source: "PutObjectTagging", Amazon S3 API reference; "Lifecycle rule filters", Amazon S3 user guide.
"""

import logging
from typing import Any

from vsv.errors import UnavailableError
from vsv.ingest.drop_object import DroppedObject

MARK = {"Key": "vsv", "Value": "imported"}  # the bucket's rule in stacks/storage.yaml filters by this tag
# There is no object to mark, or another attempt would fail in the same way.
_NOT_RETRIED = (
    "NoSuchKey",
    "NoSuchVersion",
    "NoSuchBucket",
    "MethodNotAllowed",
    "AccessDenied",
    "403",
    "404",
)

log = logging.getLogger(__name__)


def s3_client() -> Any:
    """Return a boto3 client whose timeouts are seconds, not minutes."""
    import boto3  # noqa: PLC0415  cold start, and the standalone server has no boto3
    from botocore.config import Config  # noqa: PLC0415

    config = Config(connect_timeout=3, read_timeout=15, retries={"mode": "standard", "max_attempts": 4})
    return boto3.client("s3", config=config)


def mark_imported(client: Any, source: str) -> None:
    """Mark exactly this version of an object; its other tags are lost.

    An object without a version is left alone: another object may have its key by now. Raises UnavailableError where
    S3 does not answer.
    """
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    dropped = DroppedObject.from_source(source)
    if dropped.version is None:
        return
    version = {"Bucket": dropped.bucket, "Key": dropped.key, "VersionId": dropped.version}
    try:
        client.put_object_tagging(**version, Tagging={"TagSet": [MARK]})
    except ClientError as error:
        if error.response["Error"]["Code"] not in _NOT_RETRIED:
            raise UnavailableError("the drop-in bucket does not answer now") from error
        log.warning("the dropped object of this import could not be marked: it stays in its bucket")
    except BotoCoreError as error:
        raise UnavailableError("the drop-in bucket does not answer now") from error
