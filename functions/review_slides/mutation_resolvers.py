"""Resolve the fields of ``Mutation``."""

from typing import Any

from aws_lambda_powertools.event_handler.graphql_appsync.router import Router
from vsv.errors import BadRequestError, SlideNotFoundError, VsvError
from vsv.identifiers import checked_filename
from vsv.ingest import receive
from vsv.records.models import SlideRecord
from vsv.runtime import current
from vsv.workflow import transitions

from review_slides import arguments, identity, serializers
from review_slides.graphql_errors import failure_of
from review_slides.identity import Caller
from review_slides.serializers import Fields

router = Router()


@router.resolver(type_name="Mutation", field_name="updateSlide")
def update_slide(**args: Any) -> Fields:
    """Change a slide and return it without patient data, because subscribers get the same answer."""
    return serializers.slide(_update(args.get("input") or {}, identity.writer()))


@router.resolver(type_name="Mutation", field_name="updateSlides")
def update_slides(**args: Any) -> list[Fields]:
    """Change many slides, each independently."""
    caller, inputs = identity.writer(), args.get("input") or []
    if len(inputs) > arguments.MAX_UPDATES:
        raise BadRequestError(f"At most {arguments.MAX_UPDATES} slides can be changed at once.")
    return [_update_result(update, caller) for update in inputs]


def _update_result(args: arguments.Arguments, caller: Caller) -> Fields:
    result = {"ImageID": args.get("ImageID"), "slide": None, "error": None, "errorType": None}
    try:
        return result | {"slide": serializers.slide(_update(args, caller), sees_patients=True)}
    except VsvError as error:
        failure = failure_of(error)
        return result | {"error": failure.message, "errorType": failure.error_type}


def _update(args: arguments.Arguments, caller: Caller) -> SlideRecord:
    image_id, changes = arguments.image_id(args), arguments.slide_changes(args)
    return transitions.change(current(), image_id, changes, caller.decider, arguments.expected_version(args))


@router.resolver(type_name="Mutation", field_name="assignSlide")
def assign_slide(**args: Any) -> Fields:
    """Set the reviewer of a slide; null for nobody."""
    caller, image_id = identity.writer(), arguments.image_id(args)
    changes = {"reviewer": arguments.text(args.get("reviewer"), "Reviewer")}
    version = arguments.expected_version(args)
    return serializers.slide(transitions.change(current(), image_id, changes, caller.decider, version))


@router.resolver(type_name="Mutation", field_name="retryImport")
def retry_import(**args: Any) -> Fields | None:
    """Start a failed import again and return it; an import that has not failed is returned unchanged.

    ``again`` imports also what is a purged slide's file.
    """
    identity.writer()
    filename = checked_filename(args.get("Filename"))
    receive.retry(current(), filename, again=args.get("again") is True)
    run = current().imports.get(filename)
    return None if run is None else serializers.imported(run)


@router.resolver(type_name="Mutation", field_name="reportImportProgress")
def report_import_progress(**args: Any) -> Fields:
    """Pass an import on to subscribers; its record is stored already."""
    identity.system()
    report: Fields = args.get("input") or {}
    return report


@router.resolver(type_name="Mutation", field_name="reportSlideUpdate")
def report_slide_update(**args: Any) -> Fields:
    """Pass a slide on to subscribers, as it is stored now."""
    identity.system()
    record = current().slides.get(arguments.image_id(args))
    if record is None:
        raise SlideNotFoundError("Slide not found.")
    return serializers.slide(record)
