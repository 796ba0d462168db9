"""Resolve the fields of ``Query``, and those fields of ``Slide`` that need a look-up of their own."""

from typing import Any

from aws_lambda_powertools.event_handler.graphql_appsync.router import Router
from vsv.errors import InvalidQueryError
from vsv.identifiers import is_image_id
from vsv.ingest import not_imported
from vsv.records.models import ImportState, SlideRecord, Status
from vsv.records.pagination import check_limit
from vsv.records.stores import Page, SlideQuery
from vsv.runtime import current
from vsv.storage.slide_files import SlideFiles

from review_slides import arguments, identity, serializers
from review_slides.filters import Test, read_filter, required_case
from review_slides.serializers import Fields

router = Router()

CASES_A_PAGE = 100
# Where a query selects only these fields, as most clients' do, the cases' slides need not be read.
_CASE_FIELDS = frozenset({"items", "items/CaseID", "items/__typename", "nextToken", "__typename"})
# How many slides are read for one page of a filtered list before it ends, short or empty, with a token.
MAX_READS, MAX_EXAMINED = 10, 1000


def _slide(record: SlideRecord) -> Fields:
    return serializers.slide(record, sees_patients=identity.caller().may_write)


@router.resolver(type_name="Query", field_name="getSlide")
def get_slide(**args: Any) -> Fields | None:
    """Return a slide, null for none."""
    identity.reader()
    services, image_id = current(), arguments.image_id(args)
    record = services.slides.get(image_id)
    if record is not None and services.settings.data is not None:
        services.files.note_opened(image_id)  # the functions that show slides may not write
    return None if record is None else _slide(record)


@router.resolver(type_name="Query", field_name="getSlides")
def get_slides(**args: Any) -> list[Fields]:
    """Return slides in the requested order."""
    identity.reader()
    return [_slide(record) for record in current().slides.get_many(arguments.image_ids(args))]


@router.resolver(type_name="Query", field_name="listSlides")
def list_slides(**args: Any) -> Fields:
    """Return a page of the slides that pass a filter."""
    identity.reader()
    is_match = read_filter(args.get("filter"))
    page = _read_filtered(args, is_match)
    return {"items": list(page.items), "nextToken": page.next_token}


def _read_filtered(args: arguments.Arguments, is_match: Test) -> Page[Fields]:
    """Read slides until the page is full or the limit of slides read is reached."""
    slides, case_id = current().slides, required_case(args.get("filter"))
    limit, token = check_limit(arguments.limit(args)), arguments.token(args)
    matches: list[Fields] = []
    examined = 0
    for _ in range(MAX_READS):
        size = limit - len(matches)
        page = slides.list_all(size, token) if case_id is None else slides.by_case(case_id, size, token)
        examined, token = examined + size, page.next_token
        matches += filter(is_match, map(_slide, page.items))
        if token is None or len(matches) == limit or examined >= MAX_EXAMINED:
            break
    return Page(tuple(matches), token)


@router.resolver(type_name="Query", field_name="listCaseIDs")
def list_case_ids(**args: Any) -> Fields:
    """Return a page of the cases, one slide each; a case whose slides were removed meanwhile is left out."""
    identity.reader()
    cases = current().slides.list_cases(CASES_A_PAGE, arguments.token(args))
    if identity.selected() and identity.selected() <= _CASE_FIELDS:
        return {"items": [{"CaseID": case_id} for case_id in cases.items], "nextToken": cases.next_token}
    slides = [slide for case_id in cases.items if (slide := _slide_of(case_id)) is not None]
    return {"items": slides, "nextToken": cases.next_token}


def _slide_of(case_id: str) -> Fields | None:
    page = current().slides.by_case(case_id)
    return next((_slide(record) for record in page.items if record.status is not Status.DELETED), None)


@router.resolver(type_name="Query", field_name="querySlidesByStatus")
def query_slides_by_status(**args: Any) -> Fields:
    """Return a page of the slides with a status, in order of SlideID."""
    identity.reader()
    status = arguments.status(args.get("Status"), "Status")
    if status is None:
        raise InvalidQueryError("Status is missing.")
    page = current().slides.by_status(status, arguments.limit(args), arguments.token(args))
    return serializers.connection(page, _slide)


@router.resolver(type_name="Query", field_name="searchSlides")
def search_slides(**args: Any) -> Fields:
    """Return a page of the slides that a search finds."""
    identity.reader()
    query = SlideQuery(
        text=arguments.search_text(args),
        status=arguments.status(args.get("status")),
        since=arguments.scan_date(args, "scanDateFrom"),
        until=arguments.scan_date(args, "scanDateTo"),
        duplicates=args.get("duplicates") is True,
    )
    page = current().slides.search(query, arguments.limit(args), arguments.token(args))
    return serializers.connection(page, _slide)


@router.resolver(type_name="Query", field_name="countSlides")
def count_slides(**_args: Any) -> list[Fields]:
    """Return how many slides have each status."""
    identity.reader()
    return [{"Status": str(status), "count": n} for status, n in current().slides.counts().items()]


@router.resolver(type_name="Query", field_name="idsOf")
def ids_of(**args: Any) -> Fields:
    """Return what a text would name by the pattern of IDs."""
    identity.writer()
    text = arguments.text(args.get("text"), "text")
    if text is None:
        raise InvalidQueryError("text is missing.")
    return serializers.ids_of(text)


@router.resolver(type_name="Query", field_name="slideHistory")
def slide_history(**args: Any) -> Fields:
    """Return a page of the changes to a slide."""
    identity.writer()
    image_id = arguments.image_id(args)
    page = current().slides.history(image_id, arguments.limit(args), arguments.token(args))
    return serializers.connection(page, lambda change: change.to_item())


@router.resolver(type_name="Query", field_name="listImports")
def list_imports(**args: Any) -> Fields:
    """Return a page of imports, of one state or all."""
    identity.writer()
    imports, state = current().imports, args.get("state")
    limit, token = arguments.limit(args), arguments.token(args)
    if state is None:
        return serializers.connection(imports.list_all(limit, token), serializers.imported)
    if state not in list(ImportState):
        raise InvalidQueryError(f"state must be one of {', '.join(ImportState)}.")
    return serializers.connection(imports.by_state(ImportState(state), limit, token), serializers.imported)


@router.resolver(type_name="Query", field_name="listNotImported")
def list_not_imported(**_args: Any) -> list[Fields]:
    """Return what lies in the watched folders and is not imported."""
    identity.writer()
    return [serializers.not_imported(found) for found in not_imported.read(current().settings.data)]


@router.batch_resolver(type_name="Slide", field_name="LabelURL")
def label_urls(event: list[Any]) -> list[str | None]:
    """Return the address of each slide's label, null for callers who may not see labels."""
    if not identity.caller().may_write:
        return [None] * len(event)
    return [_label_url(current().files, resolved.source) for resolved in event]


def _label_url(files: SlideFiles, source: Any) -> str | None:
    image_id = (source or {}).get("ImageID")
    if not isinstance(image_id, str) or not is_image_id(image_id):
        return None
    return f"/DeepZoom/{image_id}_files/label.jpeg" if files.associated(image_id, "label").exists() else None
