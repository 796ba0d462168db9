"""Publishes the page to a deployed stack: its files to the web bucket, its settings last.

Run by ``scripts/publish_page``. Nothing is uploaded that is there already, the edge is told to forget what has
changed, and running it again finishes what was interrupted.
"""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import boto3
import click
from botocore.exceptions import BotoCoreError, ClientError
from vsv.errors import SettingsError, UnavailableError

from vsv_local.server import static

OUTPUTS = (
    "WebBucketName", "DistributionId", "UserPoolIssuer", "PeopleClientId", "LoginDomain", "GraphqlDomain", "SiteUrl"
)  # fmt: skip
# Libraries' addresses change with their versions, everything else is asked for again by its ETag.
FOR_EVER, ASK_AGAIN = "public, max-age=31536000, immutable", "no-cache"
MAX_FOREIGN = 100  # more files than any earlier page had: then the bucket is not the page's
DIGEST = "digest"

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class WebFile:
    """One file of the page as it lies in the bucket."""

    key: str
    body: bytes
    content_type: str
    cache_control: str

    @property
    def digest(self) -> str:
        """Change with the content, and with how it is served."""
        served = f"{self.content_type}\n{self.cache_control}\n".encode()
        return hashlib.sha256(served + self.body).hexdigest()


def publish(stack: str, session: Any, say: Say) -> None:
    """Bring the stack's page up to date; raises SettingsError or UnavailableError, which say what to do."""
    if not static.libraries_installed():
        raise SettingsError(
            "The page's libraries are not installed: run scripts/web (it needs npm), then try again."
        )
    try:
        outputs = _outputs(session.client("cloudformation"), stack)
        changed = _upload(session.client("s3"), outputs["WebBucketName"], page_files(outputs), say)
        _forget(session.client("cloudfront"), outputs["DistributionId"], changed)
    except (BotoCoreError, ClientError) as error:
        raise UnavailableError(
            f"AWS refused, and the page may be half published: {error}. Run this again."
        ) from error
    say(f"The page is published: {outputs['SiteUrl']}")


def page_files(outputs: Mapping[str, str]) -> list[WebFile]:
    """Give the page's files in the order of their upload: what is named by others comes before them."""
    addresses = sorted(
        static.addresses(), key=lambda one: (one == "/index.html", one not in static.LIBRARIES)
    )
    files = [_file(address) for address in addresses]
    settings = {
        "authority": outputs["UserPoolIssuer"],
        "clientId": outputs["PeopleClientId"],
        "loginDomain": outputs["LoginDomain"],
        "graphqlHost": outputs["GraphqlDomain"],
    }
    config = WebFile(static.CONFIG[1:], json.dumps(settings).encode(), "application/json", ASK_AGAIN)
    return [*files, config]


def _file(address: str) -> WebFile:
    path = static.find(address)
    assert path is not None
    caching = FOR_EVER if address in static.LIBRARIES else ASK_AGAIN
    return WebFile(address[1:], path.read_bytes(), static.content_type(path), caching)


def _outputs(cloudformation: Any, stack: str) -> dict[str, str]:
    """Read the stack's outputs; raises SettingsError where it is not deployed as a whole."""
    try:
        (found,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        raise SettingsError(
            f"There is no stack {stack} in this account and region: run sam deploy first."
        ) from error
    status = found["StackStatus"]
    if not status.endswith("_COMPLETE") or status.startswith(("DELETE", "ROLLBACK")):
        raise SettingsError(f"The stack {stack} is {status}: wait for sam deploy to succeed, then try again.")
    outputs = {one["OutputKey"]: one["OutputValue"] for one in found.get("Outputs", ())}
    if missing := [name for name in OUTPUTS if not outputs.get(name)]:
        raise SettingsError(
            f"The stack {stack} has no {', '.join(missing)}: deploy this version's template first."
        )
    if not outputs["LoginDomain"].startswith("https://"):
        raise SettingsError(f"The stack {stack} gives a LoginDomain that is not an https address.")
    return outputs


def _upload(s3: Any, bucket: str, files: list[WebFile], say: Say) -> list[str]:
    """Upload what is new, then remove what is no longer part; give the keys that the edge has to forget."""
    there = _keys(s3, bucket)
    foreign = sorted(there - {file.key for file in files})
    if len(foreign) > MAX_FOREIGN:
        raise SettingsError(
            f"The bucket {bucket} holds {len(foreign)} files that are not the page's: nothing was done."
        )
    changed = []
    for file in files:
        if file.key in there and _digest(s3, bucket, file.key) == file.digest:
            continue
        _put(s3, bucket, file)
        say(f"uploaded {file.key}")
        changed.append(file.key)
    for key in foreign:
        s3.delete_object(Bucket=bucket, Key=key)
        say(f"removed {key}")
    # A page that was opened before still asks for the libraries that it knows: the edge may go on giving them.
    return [key for key in (*changed, *foreign) if not key.startswith("vendor/")]


def _keys(s3: Any, bucket: str) -> set[str]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return {one["Key"] for page in pages for one in page.get("Contents", ())}


def _digest(s3: Any, bucket: str, key: str) -> str | None:
    found: str | None = s3.head_object(Bucket=bucket, Key=key)["Metadata"].get(DIGEST)
    return found


def _put(s3: Any, bucket: str, file: WebFile) -> None:
    s3.put_object(
        Bucket=bucket,
        Key=file.key,
        Body=file.body,
        ContentType=file.content_type,
        CacheControl=file.cache_control,
        Metadata={DIGEST: file.digest},
    )


def _forget(cloudfront: Any, distribution: str, keys: list[str]) -> None:
    if not keys:
        return
    paths = [f"/{key}" for key in keys] + (["/"] if "index.html" in keys else [])
    batch = {"Paths": {"Quantity": len(paths), "Items": paths}, "CallerReference": f"page-{time.time_ns()}"}
    cloudfront.create_invalidation(DistributionId=distribution, InvalidationBatch=batch)


@click.command()
@click.argument("stack")
@click.option("--region", help="the stack's region, where it is not your profile's")
@click.option("--profile", help="a profile of your AWS configuration")
def main(stack: str, region: str | None, profile: str | None) -> None:
    """Publish the page to STACK, after sam deploy. Only what has changed is uploaded."""
    try:
        publish(stack, boto3.Session(profile_name=profile, region_name=region), click.echo)
    except (SettingsError, UnavailableError) as error:
        raise click.ClickException(str(error)) from error
    except BotoCoreError as error:  # no such profile, no region
        raise click.ClickException(f"AWS cannot be asked: {error}") from error


if __name__ == "__main__":
    main()
