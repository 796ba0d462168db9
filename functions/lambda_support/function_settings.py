"""Declare the settings of single Lambda functions that a tile does not need, as ``vsv.settings`` declares its own."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from vsv.settings import SITE, Checked, Setting, declare, is_origin, values_of

_CLOUDFRONT_ID = re.compile(r"[A-Z0-9]{5,32}", re.ASCII)


def _is_cloudfront_id(text: str) -> bool:
    return _CLOUDFRONT_ID.fullmatch(text) is not None


def _is_safe(url: str) -> bool:
    """Return whether signed requests may be sent to ``url``: encrypted, or within this machine."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and parts.hostname == "127.0.0.1")
    )


@dataclass(frozen=True, slots=True)
class GraphQLSettings(Checked):
    """The address of the GraphQL API, for functions that call it and need no data folder."""

    url: str = declare(Setting(
        "VSV_GRAPHQL_URL", "The address of the GraphQL API that is told of changes.",
        allows=_is_safe, rule="an https address", needed=True,
    ))  # fmt: skip
    region: str = declare(
        Setting("AWS_REGION", "The region of the GraphQL API; Lambda sets it.", allows=bool, needed=True)
    )


@dataclass(frozen=True, slots=True)
class SessionSettings(Checked):
    """The parts that signed cookies are made from."""

    site: str = declare(replace(
        SITE, allows=lambda value: _is_safe(value) and is_origin(value), rule="an https origin", needed=True
    ))  # fmt: skip
    secret: str = declare(Setting(
        "VSV_SIGNING_SECRET", "The ARN of the secret that holds the key which signs cookies.",
        allows=lambda value: value.startswith("arn:"), rule="an ARN", needed=True,
    ))  # fmt: skip
    key_id: str = declare(Setting(
        "VSV_KEY_ID", "The ID of the public key that CloudFront verifies cookies by.",
        allows=_is_cloudfront_id, rule="the ID of a CloudFront public key", needed=True,
    ))  # fmt: skip


@dataclass(frozen=True, slots=True)
class DistributionSettings(Checked):
    """The CloudFront distribution whose cache must drop the images of deleted slides."""

    distribution: str = declare(Setting(
        "VSV_DISTRIBUTION", "The ID of the CloudFront distribution that forgets the images of deleted slides.",
        allows=_is_cloudfront_id, rule="the ID of a CloudFront distribution", needed=True,
    ))  # fmt: skip


@dataclass(frozen=True, slots=True)
class LogSettings(Checked):
    """The settings of Powertools for AWS Lambda in all functions."""

    level: str = declare(Setting("POWERTOOLS_LOG_LEVEL", "How much functions log: `INFO`, `DEBUG` …", "INFO"))
    service: str = declare(
        Setting("POWERTOOLS_SERVICE_NAME", "The service's name in logs, metrics and traces.")
    )
    namespace: str = declare(Setting("POWERTOOLS_METRICS_NAMESPACE", "The CloudWatch namespace of metrics."))


def graphql_from_environment(environment: Mapping[str, str] = os.environ) -> GraphQLSettings:
    """Return the settings of the GraphQL API; raises SettingsError that names what is missing or wrong."""
    return GraphQLSettings(**values_of(GraphQLSettings, environment))


def session_from_environment(environment: Mapping[str, str] = os.environ) -> SessionSettings:
    """Return the settings of signed cookies; raises SettingsError that names what is missing or wrong."""
    return SessionSettings(**values_of(SessionSettings, environment))


def distribution_from_environment(environment: Mapping[str, str] = os.environ) -> str:
    """Return the ID of the CloudFront distribution; raises SettingsError where it is missing or wrong."""
    return DistributionSettings(**values_of(DistributionSettings, environment)).distribution
