from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from app.storage.pictures import PictureFolder

FULL_DISK = """
import resource, sys
from pathlib import Path
from app.errors import Unavailable
from app.storage.pictures import PictureFolder
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    PictureFolder(Path(sys.argv[1])).save(bytes(5000))
except Unavailable as problem:
    print(problem.message)
"""


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_picture_is_found_by_its_hash(tmp_path: Path):
    pictures = PictureFolder(tmp_path)

    picture_hash = pictures.save(b"pixels")

    assert picture_hash == hashlib.sha256(b"pixels").hexdigest()
    assert pictures.read(picture_hash) == b"pixels"
    assert pictures.path(picture_hash).read_bytes() == b"pixels"
    assert pictures.holds(b"pixels")
    assert not pictures.holds(b"other pixels")


def test_the_same_picture_is_stored_once_by_many_at_once(tmp_path: Path):
    pictures = PictureFolder(tmp_path / "not yet there")
    writers = [threading.Thread(target=pictures.save, args=(b"pixels",)) for _ in range(8)]

    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert [path.read_bytes() for path in files_in(tmp_path)] == [b"pixels"]


def test_a_full_disk_is_said_and_leaves_nothing_behind(tmp_path: Path):
    run = subprocess.run([sys.executable, "-c", FULL_DISK, tmp_path], capture_output=True, text=True, check=True)

    assert "cannot store a picture" in run.stdout
    assert "make room" in run.stdout
    assert files_in(tmp_path) == []


def test_a_lost_picture_is_not_found(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        PictureFolder(tmp_path).read("0" * 64)
