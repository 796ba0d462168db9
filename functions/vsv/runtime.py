"""Creation of an installation's services, and the services of this process.

On AWS the services are created from the environment at first use. The standalone server and the command line pass
their own services to ``use``; everything else runs the same code.

Each ``make_…`` function imports the class that it creates: a cold start loads only what it uses, and a function's
package includes what a maker imports only where its modules use that service (``package_function.py``).
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from vsv.errors import SettingsError
from vsv.services import Services
from vsv.settings import Settings, from_environment, required

if TYPE_CHECKING:  # cold start: a tile needs no record
    from collections.abc import Callable

    from vsv.delivery.destinations import Destination
    from vsv.records.stores import ImportStarter, ImportStore, JobStore, SlideStore
    from vsv.slides.slide_cache import SlideCache
    from vsv.storage.numeric_ids import NumericIds
    from vsv.storage.object_store import ObjectStore
    from vsv.storage.slide_files import SlideFiles

_BUCKET = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*))?\Z", re.ASCII)

_in_use: Services | None = None


def use(services: Services | None) -> None:
    """Set the services of this process; None removes them."""
    global _in_use  # noqa: PLW0603  Lambda passes a handler nothing but its event
    _in_use = services


def current() -> Services:
    """Return the services of this process; raise SettingsError where settings of AWS are missing."""
    if _in_use is None:
        use(on_aws(from_environment()))
    assert _in_use is not None
    return _in_use


def on_aws(settings: Settings) -> Services:
    """Return the services of an installation on AWS."""
    imports = cache(lambda: make_imports(settings))
    return assemble(
        settings,
        slides=lambda: make_slides(settings),
        imports=imports,
        starter=lambda: make_starter(imports()),
        jobs=lambda: make_jobs(settings),
    )


def assemble(
    settings: Settings,
    *,
    slides: Callable[[], SlideStore],
    imports: Callable[[], ImportStore],
    starter: Callable[[], ImportStarter],
    jobs: Callable[[], JobStore],
) -> Services:
    """Return services with these stores and this starter; the other services are the same in every installation."""
    return Services(
        settings,
        make_slides=slides,
        make_imports=imports,
        make_starter=starter,
        make_jobs=jobs,
        make_files=make_files,
        make_slide_cache=make_slide_cache,
        make_numeric_ids=make_numeric_ids,
        make_destinations=make_destinations,
        make_archive=make_archive,
        make_published=make_published,
    )


def make_slides(settings: Settings) -> SlideStore:
    """Return the slide records in DynamoDB; raise SettingsError that names a missing table."""
    # The settings are read first: the tile function may have neither tables nor boto3.
    slides = required(settings.slides_table, "VSV_SLIDES_TABLE")
    review = required(settings.review_table, "VSV_REVIEW_TABLE")
    from vsv.aws.dynamodb.slides_and_imports import DynamoSlideStore  # noqa: PLC0415  cold start: boto3

    return DynamoSlideStore(slides, review_table=review)


def make_imports(settings: Settings) -> ImportStore:
    """Return the import records in DynamoDB; raise SettingsError that names a missing table."""
    from vsv.aws.dynamodb.slides_and_imports import DynamoImportStore  # noqa: PLC0415  cold start: boto3

    return DynamoImportStore(required(settings.imports_table, "VSV_IMPORTS_TABLE"))


def make_jobs(settings: Settings) -> JobStore:
    """Return the job records in DynamoDB; raise SettingsError that names a missing table."""
    from vsv.aws.dynamodb.jobs import DynamoJobStore  # noqa: PLC0415  cold start: boto3

    jobs = required(settings.jobs_table, "VSV_JOBS_TABLE")
    return DynamoJobStore(jobs, review_table=settings.review_table)


def make_starter(imports: ImportStore) -> ImportStarter:
    """Return the starter of imports on AWS, which works by a record in the imports table's stream."""
    from vsv.aws.stream_import_starter import StreamStarter  # noqa: PLC0415  cold start: records

    return StreamStarter(imports)


def make_files(settings: Settings) -> SlideFiles:
    """Return the data folder; raise SettingsError where none is set."""
    from vsv.storage.slide_files import SlideFiles  # noqa: PLC0415  cold start: sessions need no files

    if settings.data is None:
        raise SettingsError("the setting VSV_DATA is missing: the folder where slides are stored")
    return SlideFiles(settings.data)


def make_slide_cache(files: SlideFiles) -> SlideCache:
    """Return the cache of opened slides."""
    from vsv.slides.slide_cache import SlideCache  # noqa: PLC0415  cold start: labels need no slide

    return SlideCache(files)


def make_numeric_ids(files: SlideFiles) -> NumericIds:
    """Return the slides by numeric ID."""
    from vsv.storage.numeric_ids import NumericIds  # noqa: PLC0415  cold start

    return NumericIds(files)


def make_destinations(settings: Settings) -> tuple[Destination, ...]:
    """Return the registries; raise SettingsError where none are set."""
    from vsv.delivery.destinations import destinations_in  # noqa: PLC0415  cold start

    return destinations_in(required(settings.destinations, "VSV_DESTINATIONS"))


def make_archive(settings: Settings) -> ObjectStore:
    """Return the archive; raise SettingsError where none is set."""
    return make_object_store(required(settings.archive, "VSV_ARCHIVE"), settings.archive_class)


def make_published(settings: Settings) -> ObjectStore:
    """Return the store of published copies; raise SettingsError where none is set."""
    return make_object_store(required(settings.published, "VSV_PUBLISHED"))


def make_object_store(location: str, storage_class: str = "STANDARD") -> ObjectStore:
    """Return the store that a setting names, a folder or ``s3://bucket/prefix``; raise SettingsError."""
    if not location.startswith("s3:"):
        from vsv.storage.folder_object_store import FolderObjectStore  # noqa: PLC0415  cold start: AWS uses buckets

        return FolderObjectStore(Path(location))
    from vsv.storage.object_store import is_key  # noqa: PLC0415  cold start

    bucket = _BUCKET.match(location)
    prefix = (bucket[2] or "").strip("/") if bucket else ""
    if bucket is None or (prefix and not is_key(prefix)):
        raise SettingsError("a bucket for copies is named as s3://bucket or s3://bucket/prefix")
    from vsv.aws.boto3_extra import require_boto3  # noqa: PLC0415  cold start

    require_boto3()
    from vsv.aws.s3_object_store import S3ObjectStore  # noqa: PLC0415  cold start: boto3

    return S3ObjectStore(bucket[1], prefix, storage_class)
