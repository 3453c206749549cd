from __future__ import annotations

import msgspec
import pytest

from gym_p2p.core.record.documents import build_document
from gym_p2p.core.record.index import index_entry, told_index_entry
from tests.core.record.records import START_MS, decode, new_record, played


@pytest.mark.parametrize("config", [{"room": "lab"}, {"room": "default", "queue": "fast"}, {}])
def test_a_line_is_the_same_by_the_record_and_by_its_document(config: dict[str, str]) -> None:
    record = played(new_record())
    record.config.update(config)
    record.terminate("peer_left", partial=True, now_ms=START_MS + 5)
    document = msgspec.json.encode(build_document("multiplayer", record, 0, decode))
    entry = index_entry(record, "folder")
    assert told_index_entry(document, "folder") == entry
    assert (entry.room is None) == ("room" not in config or "queue" in config)
    assert (entry.queue, entry.frames, entry.environment) == (config.get("queue"), 5, "CartPole-v1")


def test_a_match_that_goes_on_has_no_end() -> None:
    record = new_record()
    entry = index_entry(record, "folder")
    assert (entry.ended_at, entry.termination_reason, entry.frames) == (None, None, 0)
    document = msgspec.json.encode(build_document("multiplayer", record, START_MS, decode))
    assert told_index_entry(document, "folder") == entry


@pytest.mark.parametrize(
    "rest",
    [b"", b',"validation":null', b',"config":{"room":"' + b"x" * 1000 + b'"}', b',"environment":{"id":3}'],
)
def test_a_document_that_is_not_as_ours_says_at_least_whose_it_is(rest: bytes) -> None:
    entry = told_index_entry(b'{"gameId":"m","playerId":"a"' + rest + b"}", "folder")
    assert (entry.match_id, entry.player_id, entry.room, entry.environment) == ("m", "a", None, None)


def test_one_that_does_not_is_refused() -> None:
    with pytest.raises(msgspec.MsgspecError):
        told_index_entry(b'{"gameId":"m"}', "folder")
