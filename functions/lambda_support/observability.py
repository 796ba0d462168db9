"""Write a function's logs, metrics and traces on AWS with aws-lambda-powertools, which only this module imports.

The tile function does without: powertools' import alone takes half of the time that its first tile may take. It logs
as Lambda itself does, as JSON by its ``LoggingConfig``, and its latency and errors are Lambda's own metrics.
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
    """Return whether this process is a Lambda function; the standalone server runs the same handlers."""
    return "AWS_LAMBDA_FUNCTION_NAME" in os.environ


def observed(handler: Handler) -> Handler:
    """Return the handler with its log lines tagged by request, its metrics sent, and its calls to AWS traced.

    Events are never logged: they hold names and tokens.
    """
    return _instrumented(handler) if on_lambda() else handler


def count(name: str, number: int = 1) -> None:
    """Add to a metric of ``metrics.COUNTS``."""
    _add(name, "Count", number, COUNTS)


def count_bytes(name: str, number: int) -> None:
    """Add to a metric of ``metrics.BYTES``."""
    _add(name, "Bytes", number, BYTES)


def count_kind(name: str, kind: str) -> None:
    """Add one to a metric of ``metrics.BY_KIND``, for all kinds together and for this kind."""
    _check(name, BY_KIND)
    if not on_lambda():
        return
    # A separate object, because dimensions apply to every metric in it; of the class that takes several sets of them.
    from aws_lambda_powertools.metrics.provider.cloudwatch_emf import cloudwatch  # noqa: PLC0415  cold start

    metrics = cloudwatch.AmazonCloudWatchEMFProvider(namespace=NAMESPACE)
    metrics.add_metric(name, "Count", 1)
    metrics.add_dimension("Kind", kind)
    metrics.add_dimensions(service=metrics.service)
    metrics.flush_metrics()


def minutes(name: str, value: float) -> None:
    """Record a duration for a metric of ``metrics.MINUTES``."""
    # CloudWatch has no unit above a second.
    _add(name, "None", round(value, 3), MINUTES)


@contextmanager
def failures_counted() -> Iterator[None]:
    """Count an import that a step itself records as failed; all other failures are counted by ``record_failure``."""
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
    from aws_lambda_powertools.metrics import Metrics  # noqa: PLC0415  cold start: unneeded outside AWS, and for tiles

    return Metrics(namespace=NAMESPACE)  # the dimension "service" is POWERTOOLS_SERVICE_NAME


def _instrumented(handler: Handler) -> Handler:
    from aws_lambda_powertools.logging import Logger  # noqa: PLC0415
    from aws_lambda_powertools.tracing import Tracer  # noqa: PLC0415

    logger = Logger(log_uncaught_exceptions=False)
    _log_as(logger)
    # Only botocore: to patch any other library, the tracer would import it.
    tracer = Tracer(patch_modules=("botocore",))
    traced = tracer.capture_lambda_handler(handler, capture_response=False)
    logged = logger.inject_lambda_context(traced, log_event=False, clear_state=True)
    return wraps(handler)(_metrics().log_metrics(logged))


def _log_as(logger: Any) -> None:
    """Format every module's log as powertools' logger does: one JSON object a line, with the request's ID."""
    root = logging.getLogger()
    root.handlers[:] = [logger.registered_handler]
    root.setLevel(os.environ.get("POWERTOOLS_LOG_LEVEL", "INFO"))
    # Otherwise both this logger and the root would write each line logged under its name.
    logging.getLogger(logger.name).removeHandler(logger.registered_handler)
    logging.getLogger("aws_xray_sdk").setLevel(
        logging.ERROR
    )  # it warns about every subsegment outside a trace
