"""JSON documents in a bucket."""

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from vsv.errors import UnavailableError

_RETRIES = {"mode": "standard", "max_attempts": 2}


def put_json(place: tuple[str, str], document: bytes, timeouts_s: tuple[float, float], failed: str) -> None:
    """Put a document at a bucket and key; raise UnavailableError with the message ``failed``.

    ``timeouts_s`` are the timeouts in seconds for connecting and for each response.
    """
    connect_s, read_s = timeouts_s
    config = Config(connect_timeout=connect_s, read_timeout=read_s, retries=_RETRIES)
    bucket, key = place
    try:
        client = boto3.client("s3", config=config)
        client.put_object(Bucket=bucket, Key=key, Body=document, ContentType="application/json")
    except (BotoCoreError, ClientError) as error:
        raise UnavailableError(failed) from error
