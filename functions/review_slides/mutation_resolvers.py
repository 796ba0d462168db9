"""The fields of ``Mutation``."""

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
def update_slide(**given: Any) -> Fields:
    """Change a slide and give it, as everybody may have it: subscribers get the same answer."""
    return serializers.slide(_updated(given.get("input") or {}, identity.writer()))


@router.resolver(type_name="Mutation", field_name="updateSlides")
def update_slides(**given: Any) -> list[Fields]:
    """Change many slides, each on its own."""
    caller, inputs = identity.writer(), given.get("input") or []
    if len(inputs) > arguments.MAX_UPDATES:
        raise BadRequestError(f"At most {arguments.MAX_UPDATES} slides can be changed at once.")
    return [_result(one, caller) for one in inputs]


def _result(given: arguments.Arguments, caller: Caller) -> Fields:
    answered = {"ImageID": given.get("ImageID"), "slide": None, "error": None, "errorType": None}
    try:
        return answered | {"slide": serializers.slide(_updated(given, caller), sees_patients=True)}
    except VsvError as error:
        failure = failure_of(error)
        return answered | {"error": failure.message, "errorType": failure.error_type}


def _updated(given: arguments.Arguments, caller: Caller) -> SlideRecord:
    image_id, changes = arguments.image_id(given), arguments.slide_changes(given)
    return transitions.change(current(), image_id, changes, caller.decider, arguments.expected_version(given))


@router.resolver(type_name="Mutation", field_name="assignSlide")
def assign_slide(**given: Any) -> Fields:
    """Set who reviews a slide; null for nobody."""
    caller, image_id = identity.writer(), arguments.image_id(given)
    changes = {"reviewer": arguments.text(given.get("reviewer"), "Reviewer")}
    version = arguments.expected_version(given)
    return serializers.slide(transitions.change(current(), image_id, changes, caller.decider, version))


@router.resolver(type_name="Mutation", field_name="retryImport")
def retry_import(**given: Any) -> Fields | None:
    """Start a failed import again and give it; one that has not failed is given as it is."""
    identity.writer()
    filename = checked_filename(given.get("Filename"))
    receive.retry(current(), filename)
    run = current().imports.get(filename)
    return None if run is None else serializers.imported(run)


@router.resolver(type_name="Mutation", field_name="reportImportProgress")
def report_import_progress(**given: Any) -> Fields:
    """Pass an import on to subscribers; what is stored about it is stored already."""
    identity.system()
    told: Fields = given.get("input") or {}
    return told


@router.resolver(type_name="Mutation", field_name="reportSlideUpdate")
def report_slide_update(**given: Any) -> Fields:
    """Pass a slide on to subscribers, as it is stored now."""
    identity.system()
    record = current().slides.get(arguments.image_id(given))
    if record is None:
        raise SlideNotFoundError("Slide not found.")
    return serializers.slide(record)
