"""Secrets of AWS Secrets Manager."""

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from vsv.errors import UnavailableError

_CONFIG = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "max_attempts": 2})


def read_secret(arn: str, failed: str) -> str:
    """Return a secret's text, empty where it holds none; raise UnavailableError with the message ``failed``."""
    try:
        response = boto3.client("secretsmanager", config=_CONFIG).get_secret_value(SecretId=arn)
    except (BotoCoreError, ClientError) as error:
        raise UnavailableError(failed) from error
    return str(response.get("SecretString", ""))
