"""What is kept on the disk is listed and cleared, and nothing else is touched."""

import logging
import os
import time
from pathlib import Path

import filelock
import pytest
from helpers import refused, write_files

from dcgan_tf.storage.__main__ import entries, main

PACK = {
    "manifest.json": b'{"pixels_sha256": "0", "shape": [2, 4, 4, 3], "where": "faces.zip"}',
    "pixels.npy": bytes(96),
    "labels.npy": bytes(2),
}
FEATURES = {"entry.json": b'{"recipe": {"count": 9}}', "features.npy": bytes(2_000_000)}
UNFINISHED = ".making-0123456789ab-celeba-64-2"


@pytest.fixture
def kept(here):
    """A pack, an old one, features, an unfinished one, and what others keep beside them."""
    packs = here / "data/packs"
    write_files(packs / "celeba-64-1", PACK)
    write_files(packs / "celeba-64-0", {"manifest.json": PACK["manifest.json"], "pixels.u8": b"x"})
    for path in (packs / "celeba-64-0").iterdir():
        os.utime(path, (0, time.time() - 40 * 86_400))
    write_files(packs / UNFINISHED, {"pixels.npy": b"half"})
    write_files(packs, {f"{UNFINISHED}.lock": b""})
    # By their names alone no folders are ours.
    write_files(packs / ".making-models", {"manifest.json": b"mine"})
    (packs / ".making-empty").mkdir()
    write_files(here / "data/features/ab12", FEATURES)
    write_files(packs / "holiday", {"pixels.npy": b"mine"})
    write_files(packs / "celeba-64-3", PACK | {"notes.txt": b"mine"})
    write_files(here / "elsewhere", PACK)
    (packs / "link").symlink_to(here / "elsewhere")
    write_files(packs, {"celeba-64-1.lock": b"", "notes.txt": b"mine"})
    return packs


def test_all_is_listed_with_size_and_content_and_cleared_and_nothing_else(
    kept, caplog, monkeypatch
):
    caplog.set_level(logging.INFO, "dcgan_tf")
    iterdir = Path.iterdir

    def private(path):
        if path.name == "holiday":  # of another user
            raise PermissionError(13, "Permission denied", str(path))
        return iterdir(path)

    monkeypatch.setattr(Path, "iterdir", private)
    assert main([]) is None
    text = caplog.text
    assert "celeba-64-1" in text and "images [2, 4, 4, 3], faces.zip" in text
    for words in ("2.0 MB", "9 images", "unfinished", "4 folders"):
        assert words in text
    assert "holiday" not in text and "link" not in text and "celeba-64-3" not in text
    assert len(list(kept.iterdir())) == 11
    main(["--clear"])
    left = {".making-models", ".making-empty", "holiday", "celeba-64-3", "link", "notes.txt"}
    assert {path.name for path in kept.iterdir()} == left  # a lock goes with what it was for
    assert (kept / ".making-models/manifest.json").read_bytes() == b"mine"
    assert {path.name for path in (kept / "celeba-64-3").iterdir()} == {*PACK, "notes.txt"}
    assert len(list((kept / "link").iterdir())) == len(PACK)
    assert "deleted 4 folders" in caplog.text
    main(["data/features"])
    assert "0 folders" in caplog.text


def test_only_what_was_not_used_for_long_or_is_named_goes_unless_it_is_being_made(kept):
    main(["--unused", "30", "--clear"])
    assert not (kept / "celeba-64-0").exists() and (kept / "celeba-64-1").exists()
    main([str(kept / "celeba-64-1"), "--clear"])
    assert not (kept / "celeba-64-1").exists()
    with filelock.FileLock(kept / f"{UNFINISHED}.lock"), refused("another program is making it"):
        main([str(kept / UNFINISHED), "--clear"])
    assert (kept / UNFINISHED / "pixels.npy").exists()


def test_a_stray_file_is_in_nobody_s_way_and_what_is_half_deleted_is_still_listed(
    kept, here, monkeypatch, caplog
):
    caplog.set_level(logging.INFO, "dcgan_tf")
    write_files(here / "empty", {".DS_Store": b""})
    main([str(here / "empty")])
    assert "0 folders" in caplog.text
    unlink = Path.unlink

    def busy(path, *args, **named):
        if path.name == "pixels.npy":  # as on Windows, where a training has it open
            raise PermissionError(13, "Permission denied", str(path))
        unlink(path, *args, **named)

    monkeypatch.setattr(Path, "unlink", busy)
    with pytest.raises(PermissionError):
        main([str(kept / "celeba-64-1"), "--clear"])
    assert [entry.kind for entry in entries(kept / "celeba-64-1")] == ["pack"]


def test_a_place_may_be_a_link_what_is_in_it_may_not(kept, here):
    (here / "disk").symlink_to(kept, target_is_directory=True)
    main([str(here / "disk"), "--clear"])
    assert not (kept / "celeba-64-1").exists() and (here / "elsewhere/pixels.npy").exists()
    with refused("neither packs nor features"):
        main([str(kept / "link"), "--clear"])


@pytest.mark.parametrize(
    ("place", "words"),
    [
        *(("holiday", "neither packs nor"), ("nowhere", "no such folder"), ("..", "neither")),
        *(("notes.txt", "no such folder"), ("", "got an empty text"), ("a\0b", "PLACE: got")),
        ("~nobody-here/packs", "PLACE: got"),
    ],
)
def test_other_places_and_what_is_no_path_clear_nothing(place, words, kept, monkeypatch):
    monkeypatch.chdir(kept)  # where "" would be all packs
    before = sorted(kept.rglob("*"))
    with refused(words):
        main([place, "--clear"])
    assert sorted(kept.rglob("*")) == before


def test_a_record_of_another_kind_is_not_ours_and_a_line_break_in_a_name_is_escaped(here, caplog):
    caplog.set_level(logging.INFO, "dcgan_tf")
    where = PACK["manifest.json"].replace(b"faces.zip", b"f\\nEVIL")
    write_files(here / "packs/b\nEVIL", PACK | {"manifest.json": where})
    for record in (b"[]", b"{", b"{}", b"\xff", b"[" * 100_000):
        write_files(here / "packs/a", {"manifest.json": record, "pixels.npy": b""})
        assert [entry.path.name for entry in entries(here / "packs")] == ["b\nEVIL"]
    main([str(here / "packs")])
    assert "b\\nEVIL" in caplog.text and "f\\nEVIL" in caplog.text
    assert "\nEVIL" not in caplog.text
