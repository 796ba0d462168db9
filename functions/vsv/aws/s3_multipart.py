"""Multipart upload of a file to S3: each part is sent with its SHA-256, which S3 verifies.

At most one part is in memory. Sources: "Uploading and copying objects using multipart upload", "Amazon S3 multipart
upload limits" (10,000 parts), Amazon S3 user guide.
"""

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vsv.errors import BadRequestError, ConflictError

MIB = 1 << 20
SMALLEST_PART, LARGEST_PART, MOST_PARTS = 16 * MIB, 64 * MIB, 10_000
# The parameters that name an upload and its parts: bucket, key, the upload's ID.
Place = dict[str, str]


def part_size(size: int) -> int:
    """Return the size of a file's parts in bytes; raise BadRequestError for a file larger than any slide."""
    wanted = max(SMALLEST_PART, -(-size // MOST_PARTS // MIB) * MIB)
    if wanted > LARGEST_PART:
        raise BadRequestError(f"a file of more than {LARGEST_PART * MOST_PARTS >> 30} GiB cannot be stored")
    return wanted


def upload(client: Any, parameters: dict[str, Any], source: Path, size: int, sha256: str) -> None:
    """Upload a file as the object that ``parameters`` describe, unless an object has that key.

    Raise ConflictError where the file does not have this ``sha256``: then no object is created.
    """
    step = part_size(size)
    if size <= step:
        data = source.read_bytes()
        _check(hashlib.sha256(data), sha256)
        put_small(client, parameters, data)
        return
    place = {"Bucket": parameters["Bucket"], "Key": parameters["Key"]}
    upload_ids = unfinished_uploads(client, place)
    if upload_ids:
        place["UploadId"] = upload_ids[-1]
    else:
        response = client.create_multipart_upload(**parameters, ChecksumAlgorithm="SHA256")
        place["UploadId"] = response["UploadId"]
    parts = _upload_parts(client, place, source, step, sha256)
    client.complete_multipart_upload(**place, MultipartUpload={"Parts": parts}, IfNoneMatch="*")


def put_small(client: Any, parameters: dict[str, Any], data: bytes) -> None:
    """Create an object of these bytes by one request, unless an object has that key: S3 then refuses."""
    client.put_object(**parameters, Body=data, IfNoneMatch="*", **_checksum(data))


def _upload_parts(client: Any, place: Place, source: Path, step: int, sha256: str) -> list[dict[str, Any]]:
    """Upload the missing parts; return all parts."""
    uploaded, digest, parts = _uploaded_parts(client, place), hashlib.sha256(), []
    for number, data in enumerate(_read_pieces(source, step), start=1):
        digest.update(data)
        checksum, etag = _checksum(data), None
        if (part := uploaded.get(number)) and part.get("ChecksumSHA256") == checksum["ChecksumSHA256"]:
            etag = part["ETag"]
        etag = etag or client.upload_part(**place, PartNumber=number, Body=data, **checksum)["ETag"]
        parts.append({"PartNumber": number, "ETag": etag, "ChecksumSHA256": checksum["ChecksumSHA256"]})
    try:
        _check(digest, sha256)
    except ConflictError:
        client.abort_multipart_upload(**place)
        raise
    return parts


def _uploaded_parts(client: Any, place: Place) -> dict[int, dict[str, Any]]:
    pages = client.get_paginator("list_parts").paginate(**place)
    return {part["PartNumber"]: part for page in pages for part in page.get("Parts", ())}


def unfinished_uploads(client: Any, place: Place) -> list[str]:
    """Return the IDs of the unfinished uploads to a key whose parts have a SHA-256, the latest last."""
    response = client.list_multipart_uploads(Bucket=place["Bucket"], Prefix=place["Key"])
    uploads = [entry for entry in response.get("Uploads", ()) if entry["Key"] == place["Key"]]
    uploads.sort(key=lambda entry: entry["Initiated"])
    return [entry["UploadId"] for entry in uploads if entry.get("ChecksumAlgorithm") == "SHA256"]


def abort_unfinished(client: Any, place: Place) -> None:
    """Abort the unfinished uploads to a key, so that S3 deletes their parts."""
    for upload_id in unfinished_uploads(client, place):
        client.abort_multipart_upload(**place, UploadId=upload_id)


def _checksum(data: bytes) -> dict[str, str]:
    digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
    return {"ChecksumAlgorithm": "SHA256", "ChecksumSHA256": digest}


def _check(digest: "hashlib._Hash", sha256: str) -> None:
    if digest.hexdigest() != sha256:
        raise ConflictError("the file does not match its record: nothing was stored")


def _read_pieces(source: Path, step: int) -> Iterator[bytes]:
    with source.open("rb") as file:
        while data := file.read(step):
            yield data
