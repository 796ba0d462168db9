"""POST /ImportSlide: report whether a file is safely stored here; if not, start its import or report its state.

A scanner's scheduled task deletes its local file when an answer names it: see ``docs/decisions/import.md``.
"""

from dataclasses import asdict
from typing import Any

from lambda_support.http import Request, Response, answer, json_response
from lambda_support.observability import observed
from vsv.ingest.deletion_rule import Safety
from vsv.ingest.receive import Receipt, receive
from vsv.records.models import ImportState
from vsv.runtime import current


@observed
def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer 200 with the request's body only when the file is safely stored and readable here.

    For a slide of several files the answer also lists them in ``files``: all are stored, and all may be deleted.
    """
    return answer(event, context, _import_slide)


def _import_slide(request: Request) -> Response:
    body = request.json_body()
    receipt = receive(current(), body.get("filename"), body.get("size"), body.get("sha256"), deletes=True)
    if receipt.safety is Safety.SAFE:
        return json_response(200, {**body, **_files(receipt)})
    if receipt.state is ImportState.FAILED:
        return json_response(422, {"state": receipt.state, "error": receipt.error})
    # Never "filename" in this answer: the deployed script deletes the file that an answer names.
    return json_response(202, {"state": receipt.state})


def _files(receipt: Receipt) -> dict[str, Any]:
    files = [{"name": name, **asdict(receipt.files[name])} for name in sorted(receipt.files)]
    return {"files": files} if files else {}
