"""The parts that one running installation is made of; handlers ask here for theirs.

On AWS they are made of the environment at first use. The standalone server and the command line hand in their own
with ``use``; then everything else runs the same code.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Protocol

from vsv.errors import SettingsError
from vsv.settings import Settings, from_environment, required
from vsv.slides.slide_cache import SlideCache
from vsv.storage.slide_files import SlideFiles

if TYPE_CHECKING:  # cold start: a tile has no record
    from vsv.delivery.destinations import Destination
    from vsv.records.models import ImportRecord
    from vsv.records.stores import ImportStore, JobStore, SlideStore
    from vsv.storage.numeric_ids import NumericIds
    from vsv.storage.object_store import ObjectStore


class ImportStarter(Protocol):
    """Sets an import going, and knows what can be known of its source from here."""

    def describe_source(self, filename: str, size: int) -> str | None:
        """Tell where the file comes from, for the record; raises FileMissingError if it plainly is not there."""

    def new_source(
        self, filename: str, size: int, known: Collection[str], run: ImportRecord | None
    ) -> str | None:
        """Give the folder in which a file of that name and size has content of none of the ``known`` checksums.

        None where there is none or it cannot be seen. ``run`` is the latest one of that name and size.
        Raises FileChangingError where the file is there with other sizes only.
        """

    def start(self, run: ImportRecord) -> None:
        """Set this run going; starting it twice is the same as once."""

    def has_ended(self, run: ImportRecord) -> bool:
        """Tell whether nothing can be at work on this run any more, whatever its record says."""


@dataclass(frozen=True)
class Services:
    """One installation. Its parts are made when they are first needed: a tile needs no database."""

    settings: Settings
    make_slides: Callable[[], SlideStore]
    make_imports: Callable[[], ImportStore]
    make_starter: Callable[[], ImportStarter]
    make_jobs: Callable[[], JobStore]

    @cached_property
    def files(self) -> SlideFiles:
        """The data folder; raises SettingsError where there is none."""
        if self.settings.data is None:
            raise SettingsError("the setting VSV_DATA is missing: the folder where slides are stored")
        return SlideFiles(self.settings.data)

    @cached_property
    def library(self) -> SlideCache:
        """The opened slides."""
        return SlideCache(self.files)

    @cached_property
    def numbers(self) -> NumericIds:
        """The slides by number."""
        from vsv.storage.numeric_ids import NumericIds  # noqa: PLC0415  cold start

        return NumericIds(self.files)

    @cached_property
    def slides(self) -> SlideStore:
        """The slide records."""
        return self.make_slides()

    @cached_property
    def imports(self) -> ImportStore:
        """The import records."""
        return self.make_imports()

    @cached_property
    def jobs(self) -> JobStore:
        """The job records."""
        return self.make_jobs()

    @property
    def destinations(self) -> tuple[Destination, ...]:
        """Where slides' metadata is sent to, read anew each time: it may be changed while this runs."""
        from vsv.delivery.destinations import destinations_in  # noqa: PLC0415  cold start

        return destinations_in(required(self.settings.destinations, "VSV_DESTINATIONS"))

    @cached_property
    def archive(self) -> ObjectStore:
        """Where originals are kept that were archived; raises SettingsError where there is no archive."""
        from vsv.runtime import object_store_at
from vsv.storage.object_store import   # noqa: PLC0415  cold start: boto3, where it is a bucket

        settings = self.settings
        return object_store_at(required(settings.archive, "VSV_ARCHIVE"), settings.archive_class)

    @cached_property
    def published(self) -> ObjectStore:
        """Where published copies are kept besides here; raises SettingsError where that is nowhere."""
        from vsv.runtime import object_store_at
from vsv.storage.object_store import   # noqa: PLC0415  cold start: boto3, where it is a bucket

        return object_store_at(required(self.settings.published, "VSV_PUBLISHED"))

    @cached_property
    def starter(self) -> ImportStarter:
        """What sets imports going."""
        return self.make_starter()


_in_use: Services | None = None


def use(installation: Services | None) -> None:
    """Let this process be that installation; None forgets it."""
    global _in_use  # noqa: PLW0603  Lambda hands a handler nothing but its event
    _in_use = installation


def current() -> Services:
    """Give the installation that this process is; raises SettingsError where AWS's settings are missing."""
    if _in_use is None:
        use(on_aws(from_environment()))
    assert _in_use is not None
    return _in_use


def on_aws(settings: Settings) -> Services:
    """Put an installation together from AWS's services."""
    imports = cache(lambda: _import_store(settings))
    return Services(
        settings,
        make_slides=lambda: _slide_store(settings),
        make_imports=imports,
        make_starter=lambda: _stream_starter(imports()),
        make_jobs=lambda: _job_store(settings),
    )


def _slide_store(settings: Settings) -> SlideStore:
    # Named first: the tile function may have neither tables nor boto3.
    slides = required(settings.slides_table, "VSV_SLIDES_TABLE")
    review = required(settings.review_table, "VSV_REVIEW_TABLE")
    from vsv.aws.dynamodb.records import DynamoSlideStore  # noqa: PLC0415  cold start: boto3

    return DynamoSlideStore(slides, review_table=review)


def _import_store(settings: Settings) -> ImportStore:
    from vsv.aws.dynamodb.records import DynamoImportStore  # noqa: PLC0415  cold start: boto3

    return DynamoImportStore(required(settings.imports_table, "VSV_IMPORTS_TABLE"))


def _job_store(settings: Settings) -> JobStore:
    from vsv.aws.dynamodb.jobs import DynamoJobStore  # noqa: PLC0415  cold start: boto3

    return DynamoJobStore(required(settings.jobs_table, "VSV_JOBS_TABLE"))


def _stream_starter(imports: ImportStore) -> ImportStarter:
    from vsv.aws.stream_import_starter import StreamStarter  # noqa: PLC0415  cold start: records

    return StreamStarter(imports)
