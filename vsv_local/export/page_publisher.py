"""Publish the page to a deployed stack: its files to the web bucket, its settings last.

Run by ``scripts/publish_page``. Only new or changed files are uploaded, CloudFront's cache drops the changed ones,
and running the program again finishes an interrupted publication.
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

from vsv_local import web_assets

OUTPUTS = (
    "WebBucketName", "DistributionId", "UserPoolIssuer", "PeopleClientId", "LoginDomain", "GraphqlDomain", "SiteUrl"
)  # fmt: skip
# Libraries' addresses change with their versions; browsers revalidate all other files by ETag.
IMMUTABLE, REVALIDATE = "public, max-age=31536000, immutable", "no-cache"
MAX_FOREIGN = 100  # more files than any earlier page had: then the bucket is not the page's
DIGEST = "digest"

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class WebFile:
    """One file of the page as it is stored in the bucket."""

    key: str
    body: bytes
    content_type: str
    cache_control: str

    @property
    def digest(self) -> str:
        """A checksum that changes with the content, and with the headers it is served with."""
        served = f"{self.content_type}\n{self.cache_control}\n".encode()
        return hashlib.sha256(served + self.body).hexdigest()


def publish(stack: str, session: Any, say: Say) -> None:
    """Bring the stack's page up to date; raises SettingsError or UnavailableError, which say what to do."""
    if not web_assets.libraries_installed():
        raise SettingsError(
            "The page's libraries are not installed: run scripts/web (it needs npm), then try again."
        )
    try:
        outputs = _outputs(session.client("cloudformation"), stack)
        changed = _upload(session.client("s3"), outputs["WebBucketName"], page_files(outputs), say)
        _invalidate(session.client("cloudfront"), outputs["DistributionId"], changed)
    except (BotoCoreError, ClientError) as error:
        raise UnavailableError(
            f"AWS refused, and the page may be half published: {error}. Run this again."
        ) from error
    say(f"The page is published: {outputs['SiteUrl']}")


def page_files(outputs: Mapping[str, str]) -> list[WebFile]:
    """Return the page's files in the order of their upload: a file comes before the files that name it."""
    addresses = sorted(
        web_assets.addresses(),
        key=lambda address: (address == "/index.html", address not in web_assets.LIBRARIES),
    )
    files = [_file(address) for address in addresses]
    settings = {
        "authority": outputs["UserPoolIssuer"],
        "clientId": outputs["PeopleClientId"],
        "loginDomain": outputs["LoginDomain"],
        "graphqlHost": outputs["GraphqlDomain"],
    }
    config = WebFile(web_assets.CONFIG[1:], json.dumps(settings).encode(), "application/json", REVALIDATE)
    return [*files, config]


def _file(address: str) -> WebFile:
    path = web_assets.find(address)
    assert path is not None
    caching = IMMUTABLE if address in web_assets.LIBRARIES else REVALIDATE
    return WebFile(address[1:], path.read_bytes(), web_assets.content_type(path), caching)


def _outputs(cloudformation: Any, stack: str) -> dict[str, str]:
    """Return the stack's outputs; raises SettingsError where the stack is not completely deployed."""
    try:
        (description,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        raise SettingsError(
            f"There is no stack {stack} in this account and region: run sam deploy first."
        ) from error
    status = description["StackStatus"]
    if not status.endswith("_COMPLETE") or status.startswith(("DELETE", "ROLLBACK")):
        raise SettingsError(f"The stack {stack} is {status}: wait for sam deploy to succeed, then try again.")
    outputs = {output["OutputKey"]: output["OutputValue"] for output in description.get("Outputs", ())}
    if missing := [name for name in OUTPUTS if not outputs.get(name)]:
        raise SettingsError(
            f"The stack {stack} has no {', '.join(missing)}: deploy this version's template first."
        )
    if not outputs["LoginDomain"].startswith("https://"):
        raise SettingsError(f"The stack {stack} gives a LoginDomain that is not an https address.")
    return outputs


def _upload(s3: Any, bucket: str, files: list[WebFile], say: Say) -> list[str]:
    """Upload new files, then remove old ones; return the keys that the edge's cache must drop."""
    present = _keys(s3, bucket)
    foreign = sorted(present - {file.key for file in files})
    if len(foreign) > MAX_FOREIGN:
        raise SettingsError(
            f"The bucket {bucket} holds {len(foreign)} files that are not the page's: nothing was done."
        )
    changed = []
    for file in files:
        if file.key in present and _digest(s3, bucket, file.key) == file.digest:
            continue
        _put(s3, bucket, file)
        say(f"uploaded {file.key}")
        changed.append(file.key)
    for key in foreign:
        s3.delete_object(Bucket=bucket, Key=key)
        say(f"removed {key}")
    # A page that was opened before still requests the old libraries: the edge may keep serving them.
    return [key for key in (*changed, *foreign) if not key.startswith("vendor/")]


def _keys(s3: Any, bucket: str) -> set[str]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return {entry["Key"] for page in pages for entry in page.get("Contents", ())}


def _digest(s3: Any, bucket: str, key: str) -> str | None:
    digest: str | None = s3.head_object(Bucket=bucket, Key=key)["Metadata"].get(DIGEST)
    return digest


def _put(s3: Any, bucket: str, file: WebFile) -> None:
    s3.put_object(
        Bucket=bucket,
        Key=file.key,
        Body=file.body,
        ContentType=file.content_type,
        CacheControl=file.cache_control,
        Metadata={DIGEST: file.digest},
    )


def _invalidate(cloudfront: Any, distribution: str, keys: list[str]) -> None:
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
