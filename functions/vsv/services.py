"""What an installation is made of: types only, so that every package may import this module.

``vsv.runtime`` says how each service is made.
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
    """How the services are made that are the same on AWS and on one machine; each may raise SettingsError."""

    files: Callable[[Settings], SlideFiles]
    slide_cache: Callable[[SlideFiles], SlideCache]
    numeric_ids: Callable[[SlideFiles], NumericIds]
    destinations: Callable[[Settings], tuple[Destination, ...]]
    archive: Callable[[Settings], ObjectStore]
    published: Callable[[Settings], ObjectStore]


class ImportStarter(Protocol):
    """Starts imports, and knows what can be known of a file's source from here."""

    def describe_source(self, filename: str, size: int) -> str | None:
        """Return where the file comes from, for the record; raise FileMissingError if it plainly is not there."""

    def new_source(
        self, filename: str, size: int, known: Collection[str], run: ImportRecord | None
    ) -> str | None:
        """Return the folder in which a file of that name and size has content of none of the ``known`` checksums.

        None where there is none or it cannot be seen. ``run`` is the latest one of that name and size.
        Raises FileChangingError where the file is there with other sizes only.
        """

    def start(self, run: ImportRecord) -> None:
        """Start this run; idempotent."""

    def has_ended(self, run: ImportRecord) -> bool:
        """Return whether nothing can be at work on this run any more, whatever its record says."""


@dataclass(frozen=True)
class Services:
    """The services of one installation. Each is made when it is first used: a tile needs no database.

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
        """The data folder; raises SettingsError where there is none."""
        return self.makers.files(self.settings)

    @cached_property
    def slide_cache(self) -> SlideCache:
        """The opened slides."""
        return self.makers.slide_cache(self.files)

    @cached_property
    def numeric_ids(self) -> NumericIds:
        """The slides by number."""
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
        """What starts imports."""
        return self.make_starter()

    @property
    def destinations(self) -> tuple[Destination, ...]:
        """The registries that slides' metadata is sent to, read each time: the list may change while this runs."""
        return self.makers.destinations(self.settings)

    @cached_property
    def archive(self) -> ObjectStore:
        """Where archived originals are stored; raises SettingsError where there is no archive."""
        return self.makers.archive(self.settings)

    @cached_property
    def published(self) -> ObjectStore:
        """Where published copies are stored besides here; raises SettingsError where that is nowhere."""
        return self.makers.published(self.settings)
