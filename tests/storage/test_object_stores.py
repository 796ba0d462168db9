"""Vaults, whichever kind: what is put is found, comes back as it was, and is never overwritten."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from vsv import runtime
from vsv.aws.s3_object_store import S3ObjectStore
from vsv.errors import (
    ConflictError,
    FileMissingError,
    InvalidNameError,
    SettingsError,
    UnavailableError,
)
from vsv.runtime import make_object_store
from vsv.settings import from_environment
from vsv.storage import atomic_write, folder_object_store
from vsv.storage.folder_object_store import FolderObjectStore
from vsv.storage.object_store import ObjectStore, Stored

from tests.support.aws.like_s3 import BUCKET, KEY, PART, LikeS3, written

pytest_plugins = ["tests.support.stores.object_store_fixtures"]


@pytest.mark.parametrize("size", [0, 1, PART, PART + 1, 5 * PART])
def test_store_finds_and_fetches_what_was_put(vault: ObjectStore, tmp_path: Path, size: int) -> None:
    source, sha256 = written(tmp_path / "a", size)
    assert vault.find(KEY) is None
    vault.put(source, KEY, sha256)
    assert vault.find(KEY) == Stored(size, sha256)
    vault.fetch(KEY, tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == source.read_bytes()
    assert sorted(path.name for path in tmp_path.glob("*.part")) == []


def test_put_of_stored_content_is_repeatable(vault: ObjectStore, tmp_path: Path) -> None:
    source, sha256 = written(tmp_path / "a")
    vault.put(source, KEY, sha256)
    vault.put(source, KEY, sha256)
    assert vault.find(KEY) == Stored(source.stat().st_size, sha256)


def test_put_refuses_to_confirm_a_corrupted_stored_copy(tmp_path: Path) -> None:
    """Who is told that a file is stored removes its own."""
    (tmp_path / "vault").mkdir()
    vault, (source, sha256) = FolderObjectStore(tmp_path / "vault"), written(tmp_path / "a")
    vault.put(source, KEY, sha256)
    stored = tmp_path / "vault" / KEY
    stored.write_bytes(stored.read_bytes()[:-1] + b"?")
    with pytest.raises(ConflictError, match="check that disk"):
        vault.put(source, KEY, sha256)


def test_put_refuses_other_content_and_keeps_the_first(vault: ObjectStore, tmp_path: Path) -> None:
    source, sha256 = written(tmp_path / "a")
    other, other_sha256 = written(tmp_path / "b", seed=2)
    vault.put(source, KEY, sha256)
    with pytest.raises(ConflictError, match="nothing was overwritten"):
        vault.put(other, KEY, other_sha256)
    vault.fetch(KEY, tmp_path / "c")
    assert (tmp_path / "c").read_bytes() == source.read_bytes()


@pytest.mark.parametrize("size", [100, 3 * PART])
def test_put_refuses_file_that_does_not_match_its_checksum(
    vault: ObjectStore, tmp_path: Path, size: int
) -> None:
    source, _ = written(tmp_path / "a", size)
    with pytest.raises(ConflictError, match="does not match its record"):
        vault.put(source, KEY, "0" * 64)
    assert vault.find(KEY) is None
    source, sha256 = written(tmp_path / "a", size)
    vault.put(source, KEY, sha256)
    assert vault.find(KEY) == Stored(size, sha256)


def test_remove_deletes_object_and_is_repeatable(vault: ObjectStore, tmp_path: Path) -> None:
    source, sha256 = written(tmp_path / "a")
    vault.put(source, KEY, sha256)
    vault.remove(KEY)
    assert vault.find(KEY) is None
    vault.remove(KEY)
    with pytest.raises(FileMissingError):
        vault.fetch(KEY, tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_find_and_remove_match_only_the_exact_key(vault: ObjectStore, tmp_path: Path) -> None:
    source, sha256 = written(tmp_path / "a")
    vault.put(source, "1/slide.svs", sha256)
    assert vault.find("1/slide.sv") is None
    assert vault.find("1") is None
    vault.remove("1/slide.sv")
    assert vault.find("1/slide.svs") is not None


def test_first_claim_marks_a_key_until_it_is_released(vault: ObjectStore, tmp_path: Path) -> None:
    assert vault.owner(KEY) is None
    assert vault.claim(KEY, "first") == "first"
    assert vault.claim(KEY, "second") == "first"
    assert vault.claim(KEY, "first") == "first"
    assert vault.owner(KEY) == "first"
    assert vault.owner("1004487/slide.svs") is None
    assert vault.find(KEY) is None
    vault.release(KEY)
    vault.release(KEY)
    assert vault.owner(KEY) is None
    assert vault.claim(KEY, "second") == "second"


def test_mark_stays_when_its_file_is_removed_and_file_when_its_mark_is(
    vault: ObjectStore, tmp_path: Path
) -> None:
    source, sha256 = written(tmp_path / "a")
    vault.claim(KEY, "first")
    vault.put(source, KEY, sha256)
    vault.remove(KEY)
    assert (vault.find(KEY), vault.owner(KEY)) == (None, "first")
    vault.put(source, KEY, sha256)
    vault.release(KEY)
    assert (vault.find(KEY), vault.owner(KEY)) == (Stored(source.stat().st_size, sha256), None)


def test_discard_removes_the_content_alone_that_it_names(vault: ObjectStore, tmp_path: Path) -> None:
    source, sha256 = written(tmp_path / "a")
    vault.discard(KEY, sha256)
    vault.put(source, KEY, sha256)
    vault.discard(KEY, "0" * 64)
    assert vault.find(KEY) == Stored(source.stat().st_size, sha256)
    vault.discard(KEY, sha256)
    assert vault.find(KEY) is None


@pytest.mark.parametrize(
    "key",
    ["", "/a", "a/", "../a", "a/../b", "a//b", ".a", "a b", "a\n", "a\\b", "é", "a.part", "a.sha256", "a.owner", "a.",
     "/".join("a" * 9), "x" * 600],
)  # fmt: skip
def test_store_refuses_keys_that_could_leave_its_folder(vault: ObjectStore, tmp_path: Path, key: str) -> None:
    for attempt in (
        lambda: vault.find(key),
        lambda: vault.remove(key),
        lambda: vault.fetch(key, tmp_path / "b"),
        lambda: vault.put(tmp_path, key, "0" * 64),
        lambda: vault.owner(key),
        lambda: vault.claim(key, "first"),
        lambda: vault.release(key),
    ):
        with pytest.raises(InvalidNameError):
            attempt()


def test_fetch_to_full_disk_raises_unavailable_and_keeps_the_stored_copy(
    vault: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, sha256 = written(tmp_path / "a")
    vault.put(source, KEY, sha256)
    with monkeypatch.context() as patched:
        patched.setattr(atomic_write, "flush", _refuse(errno.ENOSPC))
        with pytest.raises(UnavailableError, match="data folder is full"):
            vault.fetch(KEY, tmp_path / "b")
    assert not (tmp_path / "b").exists()
    vault.fetch(KEY, tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == source.read_bytes()


def _refuse(number: int) -> object:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return refuse


# A folder


def folder(tmp_path: Path) -> FolderObjectStore:
    (tmp_path / "copies").mkdir()
    return FolderObjectStore(tmp_path / "copies")


def test_folder_store_writes_note_that_sha256sum_can_check(tmp_path: Path) -> None:
    vault, (source, sha256) = folder(tmp_path), written(tmp_path / "a")
    vault.put(source, KEY, sha256)
    note = tmp_path / "copies/1004486/slide.svs.sha256"
    assert note.read_text() == f"{sha256}  slide.svs\n"


def test_folder_store_ignores_file_without_note_until_content_is_verified(tmp_path: Path) -> None:
    vault, (source, sha256) = folder(tmp_path), written(tmp_path / "a")
    vault.put(source, KEY, sha256)
    (tmp_path / "copies/1004486/slide.svs.sha256").unlink()
    assert vault.find(KEY) is None
    vault.put(source, KEY, sha256)
    assert vault.find(KEY) == Stored(source.stat().st_size, sha256)
    (tmp_path / "copies/1004486/slide.svs.sha256").unlink()
    (tmp_path / "copies/1004486/slide.svs").write_bytes(b"somebody else's")
    with pytest.raises(ConflictError, match="nothing was overwritten"):
        vault.put(source, KEY, sha256)


@pytest.mark.parametrize("has_links", [True, False])
def test_folder_store_names_one_owner_of_many_claims_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_links: bool
) -> None:
    vault, owners = folder(tmp_path), [f"owner-{number}" for number in range(8 if has_links else 1)]
    if not has_links:
        monkeypatch.setattr(os, "link", _refuse(errno.EOPNOTSUPP))
    for number in range(20):
        with ThreadPoolExecutor(8) as threads:
            told = set(threads.map(lambda owner, key=f"{number}/slide.svs": vault.claim(key, owner), owners))
        assert told == {vault.owner(f"{number}/slide.svs")}
    assert {path.suffix for path in (tmp_path / "copies").rglob("*") if path.is_file()} == {".owner"}


def test_folder_store_discards_what_a_killed_put_has_left(tmp_path: Path) -> None:
    vault, (source, sha256) = folder(tmp_path), written(tmp_path / "a")
    place = tmp_path / "copies/1004486"
    place.mkdir()
    left = ("slide.svs.0123abcd.part", "slide.svs.sha256.0123abcd.part")
    for name in (*left, "slide.svs.svs.0123abcd.part", "other.svs.0123abcd.part"):
        (place / name).write_bytes(b"x")
    (place / "slide.svs").write_bytes(source.read_bytes())  # killed before its checksum was written
    vault.discard(KEY, "0" * 64)
    assert sorted(path.name for path in place.iterdir()) == [
        "other.svs.0123abcd.part", "slide.svs", "slide.svs.svs.0123abcd.part",
    ]  # fmt: skip
    vault.discard(KEY, sha256)
    assert sorted(path.name for path in place.iterdir()) == [
        "other.svs.0123abcd.part", "slide.svs.svs.0123abcd.part",
    ]  # fmt: skip


def test_folder_store_put_removes_temporary_files_of_killed_puts_of_its_key(tmp_path: Path) -> None:
    vault, (source, sha256) = folder(tmp_path), written(tmp_path / "a")
    (tmp_path / "copies/1004486").mkdir()
    (tmp_path / "copies/1004486/slide.svs.0123abcd.part").write_bytes(b"half")
    vault.put(source, KEY, sha256)
    names = sorted(path.name for path in (tmp_path / "copies/1004486").iterdir())
    assert names == ["slide.svs", "slide.svs.sha256"]


def test_folder_store_completes_a_mark_whose_writer_was_killed(tmp_path: Path) -> None:
    vault = folder(tmp_path)
    mark = tmp_path / "copies" / f"{KEY}.owner"
    mark.parent.mkdir()
    mark.write_text("fir")
    assert vault.owner(KEY) is None
    assert vault.claim(KEY, "second") == "second"
    assert mark.read_text() == "second\n"
    vault.release(KEY)
    assert list((tmp_path / "copies").iterdir()) == []


def test_folder_store_fetch_refuses_damaged_copy(tmp_path: Path) -> None:
    vault, (source, sha256) = folder(tmp_path), written(tmp_path / "a")
    vault.put(source, KEY, sha256)
    stored = tmp_path / "copies" / KEY
    stored.write_bytes(b"x" + stored.read_bytes()[1:])
    with pytest.raises(UnavailableError, match="stored copy cannot be read"):
        vault.fetch(KEY, tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_folder_store_put_refuses_content_that_reads_back_differently(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault, (source, sha256) = folder(tmp_path), written(tmp_path / "a")
    monkeypatch.setattr(folder_object_store, "_hash_from_disk", lambda path: "0" * 64)
    with pytest.raises(UnavailableError, match="cannot be read back"):
        vault.put(source, KEY, sha256)
    assert vault.find(KEY) is None
    assert list((tmp_path / "copies/1004486").iterdir()) == []


def test_folder_store_writes_no_file_when_disk_is_not_mounted(tmp_path: Path) -> None:
    vault, (source, sha256) = FolderObjectStore(tmp_path / "mnt/copies"), written(tmp_path / "a")
    (tmp_path / "mnt").mkdir()
    for attempt in (
        lambda: vault.put(source, KEY, sha256),
        lambda: vault.find(KEY),
        lambda: vault.remove(KEY),
        lambda: vault.fetch(KEY, tmp_path / "b"),
        lambda: vault.owner(KEY),
        lambda: vault.claim(KEY, "first"),
        lambda: vault.release(KEY),
    ):
        with pytest.raises(UnavailableError, match="mounted"):
            attempt()
    assert list((tmp_path / "mnt").iterdir()) == []


@pytest.mark.parametrize(
    ("number", "told"),
    [(errno.ENOSPC, "full"), (errno.EROFS, "read only"), (errno.EACCES, "read only"), (errno.EIO, "not answer")],
)  # fmt: skip
def test_folder_store_put_names_disk_error_and_leaves_no_partial_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, told: str
) -> None:
    vault, (source, sha256) = folder(tmp_path), written(tmp_path / "a")
    for name in ("folder_object_store._copy", "atomic_write.flush", "atomic_write.write"):
        with monkeypatch.context() as patched:
            patched.setattr(f"vsv.storage.{name}", _refuse(number))
            with pytest.raises(UnavailableError, match=told):
                vault.put(source, KEY, sha256)
        assert vault.find(KEY) is None
    vault.put(source, KEY, sha256)
    assert vault.find(KEY) is not None


@pytest.mark.skipif(not hasattr(os, "geteuid") or not Path("/dev/full").exists(), reason="needs /dev/full")
def test_folder_store_copy_to_dev_full_raises_unavailable(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="full"), folder_object_store.plain_errors("it"):
        folder_object_store._copy(written(tmp_path / "a")[0], Path("/dev/full"))


# What a setting names


def test_make_object_store_returns_folder_or_s3_store_for_its_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    assert isinstance(make_object_store(str(tmp_path)), FolderObjectStore)
    for where in ("s3://my-bucket", "s3://my-bucket/", "s3://my.bucket/a/b", "s3://my-bucket/a/"):
        assert isinstance(make_object_store(where), S3ObjectStore)


@pytest.mark.parametrize(
    "where", ["s3://", "s3:/bucket", "s3://B", "s3://bucket/a b", "s3://bucket/../a", "s3://a_b/c", "s3://bucket/a//b"]
)  # fmt: skip
def test_make_object_store_refuses_invalid_bucket_addresses(where: str) -> None:
    with pytest.raises(SettingsError):
        make_object_store(where)


def test_installation_without_archive_names_the_missing_setting(tmp_path: Path) -> None:
    services = runtime.on_aws(from_environment({"VSV_DATA": str(tmp_path)}))
    with pytest.raises(SettingsError, match="VSV_ARCHIVE"):
        _ = services.archive
    with pytest.raises(SettingsError, match="VSV_PUBLISHED"):
        _ = services.published


def test_installation_archive_uses_bucket_and_storage_class_of_settings(s3: LikeS3, tmp_path: Path) -> None:
    environment = {"VSV_ARCHIVE": f"s3://{BUCKET}/originals", "VSV_ARCHIVE_CLASS": "GLACIER_IR"}
    services = runtime.on_aws(from_environment(environment))
    source, sha256 = written(tmp_path / "a", 100)
    services.archive.put(source, KEY, sha256)
    told = s3.head_object(Bucket=BUCKET, Key=f"originals/{KEY}")
    assert (told["StorageClass"], told["Metadata"]) == ("GLACIER_IR", {"sha256": sha256})
    assert services.settings.archive_after_days == 180


@pytest.mark.parametrize("changes", [{"VSV_ARCHIVE_CLASS": "CHEAP"}, {"VSV_ARCHIVE_AFTER_DAYS": "0"}])
def test_settings_refuse_impossible_archive_values(changes: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=next(iter(changes))):
        from_environment(changes)
