"""Which documents wait: each marker is looked at a few times, whatever else waits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gym_p2p.server import outbox as under_test
from gym_p2p.server.outbox import Outbox
from tests.server.documents import store_documents


def test_to_hand_many_over_each_marker_is_read_a_few_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox, count = Outbox(tmp_path), 40
    store_documents(tmp_path, outbox, (f"player{number}" for number in range(count)))
    read, decoder = list[bytes](), under_test._MARKER

    class Counting:
        def decode(self, body: bytes) -> Any:
            read.append(body)
            return decoder.decode(body)

    monkeypatch.setattr(under_test, "_MARKER", Counting())
    handed_over = []
    while (waiting := outbox.next(0.0)) is not None:
        handed_over.append(waiting.marker.player_id)
        outbox.done(waiting)
    assert len(set(handed_over)) == len(handed_over) == count
    assert len(read) <= 2 * count


def test_what_another_process_has_handed_over_meanwhile_is_not_again(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    store_documents(tmp_path, outbox, "ab")
    first = outbox.next(0.0)
    assert first is not None
    other = Outbox(tmp_path)
    while (waiting := other.next(0.0)) is not None:
        other.done(waiting)
    assert outbox.next(0.0) is None


def test_what_comes_while_others_are_handed_over_is_not_forgotten(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    store_documents(tmp_path, outbox, "ab")
    handed_over = []
    while (waiting := outbox.next(0.0)) is not None:
        handed_over.append(waiting.marker.player_id)
        if len(handed_over) == 1:
            store_documents(tmp_path, outbox, "c")
        outbox.done(waiting)
    assert sorted(handed_over) == ["a", "b", "c"]
