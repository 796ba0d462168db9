"""Convert HTTP requests to the events that API Gateway would send, and handlers' results back to answers.

Source: "Working with AWS Lambda proxy integrations for HTTP APIs", payload format 2.0.
"""

import base64
import time
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote

Headers = Iterable[tuple[bytes, bytes]]


def http_event(
    method: str, path: str, query: str, headers: Headers, body: bytes = b"", request_id: str = "local"
) -> dict[str, Any]:
    """Return a request's event; ``path`` and ``query`` are as in the request line."""
    names: dict[str, str] = {}
    for key, value in headers:
        name, text = key.decode("latin-1").lower(), value.decode("latin-1")
        names[name] = f"{names[name]},{text}" if name in names else text
    decoded = unquote(path) if "%" in path else path
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": decoded,
        "rawQueryString": query,
        "headers": names,
        "requestContext": {
            "http": {"method": method, "path": decoded, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1"},
            "requestId": request_id,
            "stage": "$default",
            "timeEpoch": int(time.time() * 1000),
        },
        "isBase64Encoded": False,
    }
    if query:
        event["queryStringParameters"] = _parameters(query)
    if body:
        event.update(_body(body))
    return event


def _parameters(query: str) -> dict[str, str]:
    """Return the query's parameters; the values of a repeated key are joined with commas, as by API Gateway."""
    parameters: dict[str, str] = {}
    for key, value in parse_qsl(query, keep_blank_values=True, max_num_fields=50):
        parameters[key] = f"{parameters[key]},{value}" if key in parameters else value
    return parameters


def _body(body: bytes) -> dict[str, Any]:
    try:
        return {"body": body.decode("utf-8"), "isBase64Encoded": False}
    except UnicodeDecodeError:
        return {"body": base64.b64encode(body).decode("ascii"), "isBase64Encoded": True}


def http_answer(result: Mapping[str, Any]) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Return the status, headers and body of a handler's result."""
    text = result.get("body", "")
    body = base64.b64decode(text) if result.get("isBase64Encoded") else text.encode("utf-8")
    headers = [(k.encode("latin-1"), str(v).encode("latin-1")) for k, v in result.get("headers", {}).items()]
    headers += [(b"set-cookie", cookie.encode("latin-1")) for cookie in result.get("cookies", ())]
    if not any(name == b"content-length" for name, _ in headers) and result["statusCode"] != 304:
        headers.append((b"content-length", str(len(body)).encode()))
    return result["statusCode"], headers, body
