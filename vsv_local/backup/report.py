"""The result of a backup."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Report:
    """The result of a backup.

    ``troubles`` names slides or files with their problems, ``in_place`` counts originals that lie elsewhere and are
    not in the backup, ``elsewhere`` names folders that are links. ``same_disk``: a backup on the file system of the
    data folder takes no room, and does not outlive that disk. ``verified`` counts the stored contents that were read
    again, ``healed`` names the files whose damaged content was written again, ``remade`` the pictures that were
    damaged in the data folder as well and were made again from their originals. ``backups`` counts the backups that
    are kept, this one included.
    """

    files: int = 0
    copied: int = 0
    bytes_copied: int = 0
    in_place: int = 0
    verified: int = 0
    backups: int = 1
    same_disk: bool = False
    elsewhere: list[str] = field(default_factory=list)
    healed: list[str] = field(default_factory=list)
    remade: list[str] = field(default_factory=list)
    troubles: dict[str, str] = field(default_factory=dict)
