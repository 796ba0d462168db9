"""The data folder: whose an ImageID is, what is out of sight, what is swept away."""

import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from vsv.errors import (
    AlreadyExistsError,
    BadRequestError,
    FileMissingError,
    InvalidNameError,
    SlideNotFoundError,
    TransferError,
)
from vsv.storage import atomic_write
from vsv.storage.originals import link_original, store_original
from vsv.storage.slide_files import Claim, SlideFiles

from tests.support.slides.small import OLD, put, slide_bytes

MINE, OTHERS = Claim("a.svs", 1, "a" * 64), Claim("b.svs", 1, "b" * 64)


@pytest.fixture
def files(tmp_path: Path) -> SlideFiles:
    files = SlideFiles(tmp_path / "data")
    files.prepare()
    return files


def stored(files: SlideFiles, image_id: str = "1") -> None:
    files.claim(image_id, MINE)
    put(files.folder(image_id), "slide.svs")
    put(files.folder(image_id), "label.jpeg", b"a name")


def test_claim_is_repeatable_only_for_the_same_file(files: SlideFiles) -> None:
    files.claim("1", MINE)
    files.claim("1", MINE)
    with pytest.raises(AlreadyExistsError):
        files.claim("1", OTHERS)
    assert [path.name for path in (files.root / "slides").iterdir()] == ["1"]


def test_claim_succeeds_for_a_single_concurrent_caller(files: SlideFiles) -> None:
    def claim(number: int) -> bool:
        try:
            files.claim("1", Claim(f"{number}.svs", number, "0" * 64))
        except AlreadyExistsError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(claim, range(32))) == 1


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"filename": 1}', b"\xff"])
def test_claim_refuses_id_with_unreadable_claim_file(files: SlideFiles, content: bytes) -> None:
    put(files.folder("1"), "import.json", content)
    with pytest.raises(AlreadyExistsError):
        files.claim("1", MINE)


def test_claim_succeeds_again_after_a_disk_error(files: SlideFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    with monkeypatch.context() as patched, pytest.raises(OSError, match="Read-only"):
        patched.setattr(Path, "rename", refuse)
        files.claim("1", MINE)
    files.claim("1", MINE)


def test_claim_refuses_id_of_deleted_or_purged_slide(files: SlideFiles) -> None:
    stored(files)
    files.hide("1")
    for _ in range(2):
        for claim in (MINE, OTHERS):
            with pytest.raises(AlreadyExistsError):
                files.claim("1", claim)
        files.purge("1")
    assert not files.folder("1").exists()


def test_claim_during_a_deletion_keeps_the_deleted_files(
    files: SlideFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored(files)
    rename = Path.rename

    def hide_first(path: Path, target: Path) -> Path:
        monkeypatch.setattr(Path, "rename", rename)
        files.hide("1")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", hide_first)
    with pytest.raises(AlreadyExistsError):
        files.claim("1", OTHERS)
    files.unhide("1")
    assert files.slide("1").read_bytes() == slide_bytes()


def test_hide_and_unhide_move_all_files_and_are_repeatable(files: SlideFiles) -> None:
    stored(files)
    for _ in range(2):
        files.hide("1")
        assert not files.folder("1").exists()
        assert (files.is_hidden("1"), files.stored_size("1")) == (True, len(slide_bytes()))
    for _ in range(2):
        files.unhide("1")
        assert (files.is_hidden("1"), files.associated("1", "label").read_bytes()) == (False, b"a name")
    for move in (files.hide, files.unhide):
        with pytest.raises(SlideNotFoundError):
            move("2")


def test_killed_purge_leaves_no_slide_that_can_be_restored(
    files: SlideFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored(files)
    files.hide("1")
    unlink, left = Path.unlink, [1]

    def killed(path: Path, missing_ok: bool = False) -> None:
        if not left:
            raise KeyboardInterrupt
        left.pop()
        unlink(path, missing_ok=missing_ok)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Path, "unlink", killed)
        files.purge("1")
    assert files.stored_size("1") is None
    files.purge("1")
    assert [path.name for path in files.deleted_folder("1").iterdir()] == ["import.json"]


def test_purge_refuses_slide_that_is_not_deleted(files: SlideFiles) -> None:
    stored(files)
    with pytest.raises(SlideNotFoundError):
        files.purge("1")
    assert files.slide("1").exists()


def test_store_original_makes_file_read_only_and_is_repeatable(files: SlideFiles) -> None:
    files.claim("1", MINE)
    source = put(files.root / "incoming", "a.svs")
    for _ in range(2):
        store_original(source, files.slide("1"))
    assert stat.S_IMODE(files.slide("1").stat().st_mode) == 0o444
    assert not source.exists()


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "a\\b", "a\0", "-", "NUL", "a" * 65, "ä", "a ", "a."])
def test_slide_files_refuse_ids_that_lead_outside(files: SlideFiles, name: str) -> None:
    for give in (files.folder, files.slide, files.deleted_folder, files.hide, files.stored_size):
        with pytest.raises(InvalidNameError):
            give(name)


@pytest.mark.parametrize("folder", ["incoming", "taken/a.svs", "slides/1", "deleted/1"])
def test_link_original_refuses_files_of_the_data_folder(files: SlideFiles, folder: str) -> None:
    path = put(files.root / folder, "a.svs")
    with pytest.raises(BadRequestError):
        link_original(files, "a.svs", path)
    assert not path.is_symlink()


def test_take_moves_file_away_from_later_transfers(files: SlideFiles) -> None:
    put(files.root / "incoming", "a.SVS")
    for _ in range(2):
        path = files.take("a.SVS", "run-1", len(slide_bytes()))
        assert (path, path.read_bytes()) == (files.taken("a.SVS", "run-1"), slide_bytes())
    assert path.suffix == ".svs"  # OpenSlide goes by it
    put(files.root / "incoming", "a.SVS", b"the next transfer")
    assert files.take("a.SVS", "run-1", len(slide_bytes())).read_bytes() == slide_bytes()
    assert files.incoming("a.SVS").read_bytes() == b"the next transfer"


def test_take_removes_files_of_earlier_runs(files: SlideFiles) -> None:
    for run_id in ("run-1", "run-2"):
        put(files.root / "incoming", "a.svs")
        files.take("a.svs", run_id, len(slide_bytes()))
        put(files.taken("a.svs", run_id).parent, f"{run_id}.svs.part", b"half of a copy")
    other = put(files.root / "taken/b.svs", "run-3.svs")
    files.take("a.svs", "run-2", len(slide_bytes()))
    assert [path.name for path in (files.root / "taken/a.svs").iterdir()] == ["run-2.svs"]
    assert other.exists()


@pytest.mark.parametrize("size", [0, len(slide_bytes()) - 1, len(slide_bytes()) + 1])
def test_take_leaves_file_of_another_size_in_incoming(files: SlideFiles, size: int) -> None:
    path = put(files.root / "incoming", "a.svs")
    kept = put(files.root / "taken/a.svs", "run-0.svs", b"what failed before")
    with pytest.raises(TransferError, match=f"{len(slide_bytes())} of {size} bytes"):
        files.take("a.svs", "run-1", size)
    assert (path.read_bytes(), kept.exists()) == (slide_bytes(), True)


def test_take_raises_file_missing_before_arrival(files: SlideFiles) -> None:
    with pytest.raises(FileMissingError, match="scanner's folder"):
        files.take("a.svs", "run-1", 5)


def test_take_keeps_link_to_original(files: SlideFiles, tmp_path: Path) -> None:
    original = put(tmp_path / "scanner", "a.svs")
    link_original(files, "a.svs", original)
    assert files.take("a.svs", "run-1", len(slide_bytes())).readlink() == original


@pytest.mark.parametrize("run_id", ["", "..", "../x", "a/b", "x" * 65, "a\0"])
def test_taken_refuses_run_ids_that_lead_outside(files: SlideFiles, run_id: str) -> None:
    with pytest.raises(InvalidNameError):
        files.taken("a.svs", run_id)


def test_sweep_removes_old_empty_taken_folders_and_keeps_full_folders(files: SlideFiles) -> None:
    kept = put(files.root / "taken/a.svs", "run-1.svs")
    part = put(files.root / "taken/b.svs", "run-2.svs.part")
    for name in ("new.svs", "old.svs"):
        (files.root / "taken" / name).mkdir()
    os.utime(files.root / "taken/old.svs", ns=(OLD, OLD))
    files.sweep()
    assert kept.exists()
    assert not part.exists()
    assert sorted(path.name for path in (files.root / "taken").iterdir()) == ["a.svs", "b.svs", "new.svs"]


def test_sweep_removes_only_old_partial_files(files: SlideFiles) -> None:
    stored(files)
    kept = [files.incoming("kept.svs"), files.slide("1"), files.associated("1", "label")]
    put(kept[0].parent, kept[0].name)
    new = [files.incoming("x.svs").with_suffix(".part"), files.folder("1") / "pyramid.tif.0.part"]
    old = [path.with_suffix(".old.part") for path in new]
    for path in new:
        path.write_bytes(b"being written")
    for path in old:
        put(path.parent, path.name, b"left behind")
    files.sweep()
    assert all(path.exists() for path in [*kept, *new])
    assert not any(path.exists() for path in old)


def test_sweep_keeps_recent_unfinished_claim(files: SlideFiles) -> None:
    making, left = (files.root / "slides" / name for name in (".new.part", ".left.part"))
    for folder in (making, left):
        put(folder, "import.json", json.dumps({}).encode())
    os.utime(left, ns=(OLD, OLD))
    files.sweep()
    assert (making / "import.json").exists()
    assert not left.exists()


def test_atomic_write_keeps_old_file_when_writing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = put(tmp_path, "a.json", b"before")

    def refuse(_path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic_write, "flush", refuse)
    with pytest.raises(OSError, match="No space"):
        atomic_write.write(target, b"after")
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert target.read_bytes() == b"before"


class Remembering:
    """What an NFS client remembers of paths until their folders are opened: that they are there, or are not."""

    def __init__(self, patched: pytest.MonkeyPatch, **remembered: bool) -> None:
        self._left = remembered
        exists, look = Path.exists, os.scandir

        def from_memory(path: Path, **more: bool) -> bool:
            return self._left.get(f"{path.parent.name}_{path.name}", exists(path, **more))

        def forget(folder: Path) -> object:
            self._left = {k: v for k, v in self._left.items() if not k.startswith(f"{folder.name}_")}
            return look(folder)

        patched.setattr(Path, "exists", from_memory)
        patched.setattr(os, "scandir", forget)


def test_hide_works_when_nfs_cache_still_shows_slide_as_deleted(
    files: SlideFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored(files)
    Remembering(monkeypatch, deleted_1=True, slides_1=False)
    files.hide("1")
    monkeypatch.undo()
    assert not files.folder("1").exists()
    assert files.is_hidden("1")


def test_hide_raises_not_found_when_only_nfs_cache_shows_deleted_slide(
    files: SlideFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    Remembering(monkeypatch, deleted_1=True)
    with pytest.raises(SlideNotFoundError):
        files.hide("1")


def test_take_finds_file_taken_by_another_machine_despite_nfs_cache(
    files: SlideFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = put(files.taken("a.svs", "run-1").parent, "run-1.svs")
    Remembering(monkeypatch, **{"a.svs_run-1.svs": False})
    assert files.take("a.svs", "run-1", len(slide_bytes())) == taken
    assert files.has_taken("a.svs", "run-1")


def test_take_checks_size_again_when_cached_size_differs(
    files: SlideFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(files.root / "incoming", "a.svs")
    monkeypatch.setattr("vsv.storage.nfs.size_of", lambda _path: 5)
    assert files.take("a.svs", "run-1", len(slide_bytes())).exists()


def test_store_original_accepts_file_of_another_user(
    files: SlideFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    files.claim("1", MINE)
    source = put(files.root / "incoming", "a.svs")
    monkeypatch.setattr(Path, "chmod", refuse)
    store_original(source, files.slide("1"))
    assert files.slide("1").read_bytes() == slide_bytes()
