"""A file that grows goes on in another folder, whole, when its own takes no more of it."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from gym_p2p.files.growing import GrowingFile
from tests.files.small_disk import SmallDisk


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallDisk:
    disk = SmallDisk(tmp_path / "small", 100)
    monkeypatch.setattr("gym_p2p.files.growing.open_private", disk.open_private)
    return disk


def test_it_gets_its_name_once_it_is_whole(tmp_path: Path) -> None:
    file = GrowingFile(tmp_path / "a" / "f", ".part")
    file.append(b"one")
    assert (tmp_path / "a" / "f.part").read_bytes() == b"one"
    file.append(b"two")
    file.finish()
    assert (tmp_path / "a" / "f").read_bytes() == b"onetwo"
    assert names(tmp_path / "a") == ["f"]
    assert file.moved is None
    assert file.closed


def test_where_the_disk_is_full_it_goes_on_in_the_fallback_with_all_that_it_had(
    disk: SmallDisk, tmp_path: Path
) -> None:
    file = GrowingFile(disk.folder / "f", ".part", fallback=tmp_path / "large" / "m")
    pieces = [bytes([number]) * 30 for number in range(7)]
    for piece in pieces:
        file.append(piece)
    assert names(disk.folder) == []  # and it makes room
    file.finish()
    assert file.path == tmp_path / "large" / "m" / "f"
    assert file.path.read_bytes() == b"".join(pieces)
    assert file.moved == f"the disk is full: it goes on in {file.path.parent}"


def test_without_a_fallback_what_was_whole_before_stays(disk: SmallDisk) -> None:
    file = GrowingFile(disk.folder / "f", ".part")
    file.append(b"x" * 90)
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        file.append(b"y" * 90)
    file.cut()
    assert (disk.folder / "f.part").read_bytes() == b"x" * 90
    assert file.closed


def test_a_fallback_that_is_full_as_well_leaves_it_where_it_was(disk: SmallDisk) -> None:
    file = GrowingFile(disk.folder / "f", ".part", fallback=disk.folder / "deeper")
    file.append(b"x" * 60)
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        file.append(b"y" * 60)
    assert names(disk.folder / "deeper") == []
    file.append(b"z" * 10)  # for which there is room
    file.finish()
    assert (disk.folder / "f").read_bytes() == b"x" * 60 + b"z" * 10


def test_in_a_folder_that_was_deleted_it_is_made_again(tmp_path: Path) -> None:
    file = GrowingFile(tmp_path / "a" / "f", ".part")
    file.append(b"one")
    shutil.rmtree(tmp_path / "a")
    file.append(b"two")
    assert (tmp_path / "a" / "f.part").read_bytes() == b"onetwo"
    shutil.rmtree(tmp_path / "a")
    file.finish()
    assert (tmp_path / "a" / "f").read_bytes() == b"onetwo"


def test_where_its_folder_cannot_be_made_again_it_goes_to_the_fallback(tmp_path: Path) -> None:
    file = GrowingFile(tmp_path / "a" / "f", ".part", fallback=tmp_path / "b")
    file.append(b"one")
    shutil.rmtree(tmp_path / "a")
    (tmp_path / "a").write_text("a file in its place")
    file.append(b"two")
    file.finish()
    assert (tmp_path / "b" / "f").read_bytes() == b"onetwo"


def test_where_it_cannot_be_given_its_name_it_goes_to_the_fallback_as_late_as_that(tmp_path: Path) -> None:
    file = GrowingFile(tmp_path / "a" / "f", ".part", fallback=tmp_path / "b")
    file.append(b"one")
    (tmp_path / "a" / "f").mkdir()  # as in a folder that is read-only by now, what is open can be written on
    file.finish()
    assert (tmp_path / "b" / "f").read_bytes() == b"one"
    assert names(tmp_path / "a") == ["f"]
    assert file.moved is not None
    assert file.closed


def test_where_it_can_be_given_its_name_nowhere_it_stays_as_it_is(tmp_path: Path) -> None:
    file = GrowingFile(tmp_path / "f", ".part")
    file.append(b"one")
    (tmp_path / "f").mkdir()
    with pytest.raises(IsADirectoryError):
        file.finish()
    file.cut()
    assert (tmp_path / "f.part").read_bytes() == b"one"
    assert file.closed


def test_one_that_is_there_already_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "f.part").write_bytes(b"of somebody else")
    with pytest.raises(FileExistsError):
        GrowingFile(tmp_path / "f", ".part")


def test_a_disk_that_takes_a_part_leaves_nothing_cut(disk: SmallDisk) -> None:
    disk.takes_parts = True
    file = GrowingFile(disk.folder / "f", ".part")
    file.append(b"x" * 90)
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        file.append(b"y" * 90)
    assert (disk.folder / "f.part").read_bytes() == b"x" * 90
