from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gym_p2p.errors import ConfigurationError, NotWritten
from gym_p2p.files.private import check_directory, check_place
from gym_p2p.files.problems import telling_the_disk
from gym_p2p.files.whole import replacing, write_bytes


def test_a_folder_that_cannot_be_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    for wrong in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / "nul\0"):
        for check in (check_directory, check_place):
            with pytest.raises(ConfigurationError, match="cannot write to"):
                check(wrong)
    check_place(tmp_path / "new" / "folder")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]  # of which nothing is made
    assert check_directory(tmp_path / "new" / "folder").is_dir()
    assert list((tmp_path / "new" / "folder").iterdir()) == []


def test_a_file_that_is_not_finished_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    with replacing(path) as file:
        file.write(b"old")
        assert not path.exists()
    with pytest.raises(ZeroDivisionError):
        write_bytes(path, _interrupted())
    assert path.read_bytes() == b"old"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]


def _interrupted() -> Iterator[bytes]:
    yield b"new" * 10_000
    raise ZeroDivisionError


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "the disk quota is used up"),
        (errno.EROFS, "the file system is read-only"),
        (errno.EACCES, "no permission to write there"),
        (errno.ENOTDIR, "a file stands where a folder was wanted"),
        (errno.EXDEV, os.strerror(errno.EXDEV)),
    ],
)
def test_what_a_disk_answers_is_told_in_words(tmp_path: Path, code: int, told: str) -> None:
    path = tmp_path / "a.json"
    path.write_text("before")
    with pytest.raises(NotWritten) as refused:
        _half_write(path, OSError(code, os.strerror(code)))
    assert (refused.value.path, refused.value.problem) == (str(path), told)
    assert str(refused.value) == f"{path} was not written: {told}"
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.json", "before")]


def _half_write(path: Path, answer: OSError) -> None:
    with telling_the_disk(path), replacing(path) as file:
        file.write(b"half of")
        raise answer


def test_a_folder_that_cannot_be_written_to_is_refused_by_the_option_that_named_it(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for option in ("exports", "record"):
        with pytest.raises(ConfigurationError, match="a file stands where a folder was wanted") as refused:
            check_directory(tmp_path / "file" / "folder", option=option)
        assert refused.value.option == option
