"""Remove deleted slides and withdrawn copies from CloudFront's cache, driven by the slides table's stream."""

import logging
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from lambda_support.function_settings import distribution_from_environment
from lambda_support.observability import observed

from forget_deleted.deletions import Deletion, deletions

log = logging.getLogger(__name__)

_CONFIG = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3})


@observed
def lambda_handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Invalidate each slide's addresses; return the changes that failed: Lambda retries from the first of them on."""
    distribution = distribution_from_environment()
    failed = [
        deletion.sequence_number for deletion in deletions(event) if not _invalidate(distribution, deletion)
    ]
    return {"batchItemFailures": [{"itemIdentifier": number} for number in failed]}


def _invalidate(distribution: str, deletion: Deletion) -> bool:
    paths = deletion.paths
    # A repeated CallerReference makes no second invalidation: the same change may come twice.
    batch = {
        "Paths": {"Quantity": len(paths), "Items": paths},
        "CallerReference": f"{deletion.image_id}-{deletion.sequence_number}",
    }
    try:
        _cloudfront().create_invalidation(DistributionId=distribution, InvalidationBatch=batch)
    except (BotoCoreError, ClientError) as error:
        log.warning("slide %s is not forgotten yet: %s", deletion.image_id, _reason(error))
        return False
    return True


def _reason(error: Exception) -> str:
    return error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__


@cache
def _cloudfront() -> Any:
    return boto3.client("cloudfront", config=_CONFIG)
