"""Uploading a file to S3 in parts, each with its SHA-256, which S3 compares with what it received.

Memory is bounded by a part. Sources: "Uploading and copying objects using multipart upload", "Amazon S3 multipart
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
# What one upload is named by, and its parts: bucket, key, the upload's ID.
Place = dict[str, str]


def part_size(size: int) -> int:
    """Give the size of a file's parts in bytes; raises BadRequestError for what no slide is."""
    wanted = max(SMALLEST_PART, -(-size // MOST_PARTS // MIB) * MIB)
    if wanted > LARGEST_PART:
        raise BadRequestError(f"a file of more than {LARGEST_PART * MOST_PARTS >> 30} GiB cannot be stored")
    return wanted


def upload(client: Any, made: dict[str, Any], source: Path, size: int, sha256: str) -> None:
    """Upload a file as the object that ``made`` describes, unless one has that key.

    Raises ConflictError where the file is not what ``sha256`` says: then there is no object.
    """
    step = part_size(size)
    if size <= step:
        data = source.read_bytes()
        _check(hashlib.sha256(data), sha256)
        client.put_object(**made, Body=data, IfNoneMatch="*", **_checksum(data))
        return
    place = {"Bucket": made["Bucket"], "Key": made["Key"]}
    begun = unfinished(client, place)
    if begun:
        place["UploadId"] = begun[-1]
    else:
        place["UploadId"] = client.create_multipart_upload(**made, ChecksumAlgorithm="SHA256")["UploadId"]
    parts = _parts(client, place, source, step, sha256)
    client.complete_multipart_upload(**place, MultipartUpload={"Parts": parts}, IfNoneMatch="*")


def _parts(client: Any, place: Place, source: Path, step: int, sha256: str) -> list[dict[str, Any]]:
    """Upload the parts that are not there yet, and give all."""
    there, digest, parts = _uploaded(client, place), hashlib.sha256(), []
    for number, data in enumerate(_pieces(source, step), start=1):
        digest.update(data)
        checksum, etag = _checksum(data), None
        if (found := there.get(number)) and found.get("ChecksumSHA256") == checksum["ChecksumSHA256"]:
            etag = found["ETag"]
        etag = etag or client.upload_part(**place, PartNumber=number, Body=data, **checksum)["ETag"]
        parts.append({"PartNumber": number, "ETag": etag, "ChecksumSHA256": checksum["ChecksumSHA256"]})
    try:
        _check(digest, sha256)
    except ConflictError:
        client.abort_multipart_upload(**place)
        raise
    return parts


def _uploaded(client: Any, place: Place) -> dict[int, dict[str, Any]]:
    pages = client.get_paginator("list_parts").paginate(**place)
    return {part["PartNumber"]: part for page in pages for part in page.get("Parts", ())}


def unfinished(client: Any, place: Place) -> list[str]:
    """Give the IDs of the uploads to a key that were begun in parts of known SHA-256, the latest one last."""
    told = client.list_multipart_uploads(Bucket=place["Bucket"], Prefix=place["Key"])
    uploads = [found for found in told.get("Uploads", ()) if found["Key"] == place["Key"]]
    uploads.sort(key=lambda found: found["Initiated"])
    return [found["UploadId"] for found in uploads if found.get("ChecksumAlgorithm") == "SHA256"]


def abandon(client: Any, place: Place) -> None:
    """Have S3 forget what was uploaded to a key and not finished."""
    for upload_id in unfinished(client, place):
        client.abort_multipart_upload(**place, UploadId=upload_id)


def _checksum(data: bytes) -> dict[str, str]:
    digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
    return {"ChecksumAlgorithm": "SHA256", "ChecksumSHA256": digest}


def _check(digest: "hashlib._Hash", sha256: str) -> None:
    if digest.hexdigest() != sha256:
        raise ConflictError("the file does not match its record: nothing was stored")


def _pieces(source: Path, step: int) -> Iterator[bytes]:
    with source.open("rb") as file:
        while data := file.read(step):
            yield data
