"""The product's public doors, under the names that they have now or had when the answers were recorded.

Answers are recorded by running these files on the code before a change, and replayed on the code after it: each door
is looked for under its newest name first. Add a name here when a door moves; the recording itself never changes.
"""

from importlib import import_module
from typing import Any

_NAMES = {
    "App": ("vsv_local.server.app:App", "local.app:App"),
    "standalone": ("vsv_local.composition:standalone", "local.standalone:standalone"),
    "use": ("vsv.runtime:use", "vsv.installation:use"),
    "SlideRecord": ("vsv.records.models:SlideRecord", "vsv.records:SlideRecord"),
    "ImportRecord": ("vsv.records.models:ImportRecord", "vsv.records:ImportRecord"),
    "review_slides": ("review_slides.handler:lambda_handler",),
    "import_slide": ("import_slide.handler:lambda_handler",),
    "store_mask": ("vsv.rendering.masks:store_mask", "vsv.masks:store_mask"),
    "mocked_dynamodb": (
        "tests.support.aws.dynamo_tables:mocked_dynamodb",
        "tests.dynamo_tables:mocked_dynamodb",
    ),
    "create_tables": ("tests.support.aws.dynamo_tables:create_tables", "tests.dynamo_tables:create_tables"),
    "dynamodb_client": ("vsv.aws.dynamodb.table:dynamodb_client", "vsv.dynamodb_table:dynamodb_client"),
    "DynamoSlideStore": (
        "vsv.aws.dynamodb.slides_and_imports:DynamoSlideStore",
        "vsv.dynamodb:DynamoSlideStore",
    ),
    "DynamoImportStore": (
        "vsv.aws.dynamodb.slides_and_imports:DynamoImportStore",
        "vsv.dynamodb:DynamoImportStore",
    ),
}


def door(name: str) -> Any:
    """Return what a door is in the code at hand."""
    for address in _NAMES[name]:
        module, _, attribute = address.partition(":")
        try:
            return getattr(import_module(module), attribute)
        except ModuleNotFoundError as error:
            if error.name is None or not module.startswith(error.name):
                raise
    raise LookupError(f"{name} has moved: say in {__name__} where to")
