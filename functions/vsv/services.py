"""Services of an installation: types only, so that every package may import this module.

``vsv.runtime`` creates the services.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # cold start, and a package imports only from those below it
    from collections.abc import Callable

    from vsv.delivery.destinations import Destination
    from vsv.records.stores import ImportStarter, ImportStore, JobStore, SlideStore
    from vsv.settings import Settings
    from vsv.slides.slide_cache import SlideCache
    from vsv.storage.numeric_ids import NumericIds
    from vsv.storage.object_store import ObjectStore
    from vsv.storage.slide_files import SlideFiles


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
    make_files: Callable[[Settings], SlideFiles]
    make_slide_cache: Callable[[SlideFiles], SlideCache]
    make_numeric_ids: Callable[[SlideFiles], NumericIds]
    make_destinations: Callable[[Settings], tuple[Destination, ...]]
    make_archive: Callable[[Settings], ObjectStore]
    make_published: Callable[[Settings], ObjectStore]

    @cached_property
    def files(self) -> SlideFiles:
        """The data folder; raises SettingsError where none is set."""
        return self.make_files(self.settings)

    @cached_property
    def slide_cache(self) -> SlideCache:
        """The cache of opened slides."""
        return self.make_slide_cache(self.files)

    @cached_property
    def numeric_ids(self) -> NumericIds:
        """The slides by numeric ID."""
        return self.make_numeric_ids(self.files)

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
        return self.make_destinations(self.settings)

    @cached_property
    def archive(self) -> ObjectStore:
        """The store of archived originals; raises SettingsError where no archive is set."""
        return self.make_archive(self.settings)

    @cached_property
    def published(self) -> ObjectStore:
        """The store of published copies outside the data folder; raises SettingsError where none is set."""
        return self.make_published(self.settings)
