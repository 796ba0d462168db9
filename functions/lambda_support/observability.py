"""Logs, metrics and traces of a function on AWS, by aws-lambda-powertools; nothing of it anywhere else.

The tile function does without: powertools' import alone takes half of what its first tile may take. It logs as Lambda
itself does, as JSON by its ``LoggingConfig``, and its latency and errors are Lambda's own metrics.
"""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, wraps
from typing import Any

from vsv.errors import UnreadableSlideError
from vsv.metrics import BY_KIND, BYTES, COUNTS, IMPORTS_FAILED, MINUTES, NAMESPACE

Handler = Callable[[Any, Any], Any]


def on_lambda() -> bool:
    """Tell whether this process is a Lambda function; the standalone server runs the same handlers."""
    return "AWS_LAMBDA_FUNCTION_NAME" in os.environ


def observed(handler: Handler) -> Handler:
    """Log each line with its request, send what was counted, and trace the calls to AWS.

    Events are never logged: they hold names and tokens.
    """
    return _instrumented(handler) if on_lambda() else handler


def count(name: str, number: int = 1) -> None:
    """Add to a metric of ``metric_names.COUNTS``."""
    _add(name, "Count", number, COUNTS)


def count_bytes(name: str, number: int) -> None:
    """Add to a metric of ``metric_names.BYTES``."""
    _add(name, "Bytes", number, BYTES)


def count_kind(name: str, kind: str) -> None:
    """Add one to a metric of ``metric_names.BY_KIND``, for all kinds together and for this one."""
    _check(name, BY_KIND)
    if not on_lambda():
        return
    # An object of its own: dimensions belong to all that is in one. The class that takes more than one set of them.
    from aws_lambda_powertools.metrics.provider.cloudwatch_emf import cloudwatch  # noqa: PLC0415  cold start

    metrics = cloudwatch.AmazonCloudWatchEMFProvider(namespace=NAMESPACE)
    metrics.add_metric(name, "Count", 1)
    metrics.add_dimension("Kind", kind)
    metrics.add_dimensions(service=metrics.service)
    metrics.flush_metrics()


def minutes(name: str, value: float) -> None:
    """Note how long something took, for a metric of ``metric_names.MINUTES``."""
    # CloudWatch has no unit above a second.
    _add(name, "None", round(value, 3), MINUTES)


@contextmanager
def failures_counted() -> Iterator[None]:
    """Count an import that a step itself records as failed; all other failures go through ``record_failure``."""
    try:
        yield
    except UnreadableSlideError:
        count(IMPORTS_FAILED)
        raise


def _add(name: str, unit: str, value: float, known: tuple[str, ...]) -> None:
    _check(name, known)
    if on_lambda():
        _metrics().add_metric(name, unit, value)


def _check(name: str, known: tuple[str, ...]) -> None:
    if name not in known:
        raise ValueError(f"{name} is not in metric_names")


@cache
def _metrics() -> Any:
    from aws_lambda_powertools.metrics import Metrics  # noqa: PLC0415  cold start: what is not on AWS, and tiles

    return Metrics(namespace=NAMESPACE)  # the dimension "service" is POWERTOOLS_SERVICE_NAME


def _instrumented(handler: Handler) -> Handler:
    from aws_lambda_powertools.logging import Logger  # noqa: PLC0415
    from aws_lambda_powertools.tracing import Tracer  # noqa: PLC0415

    logger = Logger(log_uncaught_exceptions=False)
    _log_as(logger)
    # Only botocore: what else could be patched is imported for it.
    tracer = Tracer(patch_modules=("botocore",))
    traced = tracer.capture_lambda_handler(handler, capture_response=False)
    logged = logger.inject_lambda_context(traced, log_event=False, clear_state=True)
    return wraps(handler)(_metrics().log_metrics(logged))


def _log_as(logger: Any) -> None:
    """Let every module's own logger write as powertools' does: one JSON object a line, with the request's ID."""
    root = logging.getLogger()
    root.handlers[:] = [logger.registered_handler]
    root.setLevel(os.environ.get("POWERTOOLS_LOG_LEVEL", "INFO"))
    # Else what is logged below its name would be written by it and by the root.
    logging.getLogger(logger.name).removeHandler(logger.registered_handler)
    logging.getLogger("aws_xray_sdk").setLevel(logging.ERROR)  # tells of every subsegment that nobody follows
