"""Files that are held: by one at a time, for as long as they are open, and by the name that they have now."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from gym_p2p.files.held import hold, stands_for, write_held
from tests.files.small_disk import SmallDisk


def taken(path: Path) -> bool:
    """Return whether somebody else could hold it now, and let go of it again."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return hold(descriptor)
    finally:
        os.close(descriptor)


def test_a_file_is_held_until_its_descriptor_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "a" / "f"
    descriptor = write_held(path, b"one")
    assert path.read_bytes() == b"one"
    assert not taken(path)
    os.close(descriptor)
    assert taken(path)


def test_a_name_stands_for_the_file_that_has_it_now(tmp_path: Path) -> None:
    path = tmp_path / "f"
    first = write_held(path, b"one")
    assert stands_for(path, first)
    second = write_held(path, b"two")
    assert (stands_for(path, first), stands_for(path, second)) == (False, True)
    path.unlink()
    assert not stands_for(path, second)
    os.close(first)
    os.close(second)


def test_where_it_cannot_be_written_the_one_before_stays_and_nothing_is_left_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f"
    os.close(write_held(path, b"one"))
    monkeypatch.setattr("gym_p2p.files.whole.open_private", SmallDisk(tmp_path, 5).open_private)
    opened = psutil.Process().num_fds()
    with pytest.raises(OSError, match="No space left"):
        write_held(path, b"another")
    assert psutil.Process().num_fds() == opened
    assert [found.name for found in tmp_path.iterdir()] == ["f"]
    assert path.read_bytes() == b"one"
