"""Services of an installation: types only, so that every package may import this module.

``vsv.runtime`` creates the services.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # cold start, and a package imports only from those below it
    from vsv.delivery.destinations import Destination
    from vsv.records.models import ImportRecord
    from vsv.records.stores import ImportStore, JobStore, SlideStore
    from vsv.settings import Settings
    from vsv.slides.slide_cache import SlideCache
    from vsv.storage.numeric_ids import NumericIds
    from vsv.storage.object_store import ObjectStore
    from vsv.storage.slide_files import SlideFiles


@dataclass(frozen=True, slots=True)
class Makers:
    """Constructors of the services that are the same on AWS and on one machine; each may raise SettingsError."""

    files: Callable[[Settings], SlideFiles]
    slide_cache: Callable[[SlideFiles], SlideCache]
    numeric_ids: Callable[[SlideFiles], NumericIds]
    destinations: Callable[[Settings], tuple[Destination, ...]]
    archive: Callable[[Settings], ObjectStore]
    published: Callable[[Settings], ObjectStore]


class ImportStarter(Protocol):
    """Starts imports, and describes a file's source as far as this machine can see the source."""

    def describe_source(self, filename: str, size: int) -> str | None:
        """Return where the file comes from, for the record; raise FileMissingError if the file is clearly missing."""

    def new_source(
        self, filename: str, size: int, known: Collection[str], run: ImportRecord | None
    ) -> str | None:
        """Return the folder that holds a file of that name and size whose checksum is not among ``known``.

        Return None where there is none or it cannot be seen. ``run`` is the latest run of that name and size.
        Raise FileChangingError where the folders hold the file in other sizes only.
        """

    def start(self, run: ImportRecord) -> None:
        """Start this run; idempotent."""

    def has_ended(self, run: ImportRecord) -> bool:
        """Return whether no process can still be working on this run, whatever the run's record says."""


@dataclass(frozen=True)
class Services:
    """The services of one installation, each created at its first use: a tile request needs no database.

    The stores and the starter differ between AWS and one machine.
    """

    settings: Settings
    make_slides: Callable[[], SlideStore]
    make_imports: Callable[[], ImportStore]
    make_starter: Callable[[], ImportStarter]
    make_jobs: Callable[[], JobStore]
    makers: Makers

    @cached_property
    def files(self) -> SlideFiles:
        """The data folder; raises SettingsError where none is set."""
        return self.makers.files(self.settings)

    @cached_property
    def slide_cache(self) -> SlideCache:
        """The cache of opened slides."""
        return self.makers.slide_cache(self.files)

    @cached_property
    def numeric_ids(self) -> NumericIds:
        """The slides by numeric ID."""
        return self.makers.numeric_ids(self.files)

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

    @cached_property
    def starter(self) -> ImportStarter:
        """The starter of imports."""
        return self.make_starter()

    @property
    def destinations(self) -> tuple[Destination, ...]:
        """The registries that slides' metadata is sent to, read on each access: the list may change at run time."""
        return self.makers.destinations(self.settings)

    @cached_property
    def archive(self) -> ObjectStore:
        """The store of archived originals; raises SettingsError where no archive is set."""
        return self.makers.archive(self.settings)

    @cached_property
    def published(self) -> ObjectStore:
        """The store of published copies outside the data folder; raises SettingsError where none is set."""
        return self.makers.published(self.settings)
