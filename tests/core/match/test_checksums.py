from __future__ import annotations

from gym_p2p.core.match.checksums import ChecksumHistory
from gym_p2p.core.match.events import ChecksumsAgreed, Desynced
from gym_p2p.core.wire.messages import Checksum


def _three() -> ChecksumHistory:
    return ChecksumHistory(local=0, players=3)


def test_all_who_play_have_to_agree() -> None:
    digests = _three()
    assert digests.add(0, Checksum(1, 9, b"x")) == []
    assert digests.add(2, Checksum(1, 9, b"x")) == []
    assert digests.add(1, Checksum(1, 9, b"x")) == [ChecksumsAgreed(1, 9)]


def test_after_a_player_is_gone_those_who_are_left_agree_without_them() -> None:
    digests = _three()
    digests.add(0, Checksum(1, 9, b"x"))
    digests.add(1, Checksum(1, 9, b"x"))
    assert digests.leave(2) == [ChecksumsAgreed(1, 9)]
    assert digests.leave(2) == []
    assert digests.add(0, Checksum(1, 19, b"y")) == []
    assert digests.add(1, Checksum(1, 19, b"y")) == [ChecksumsAgreed(1, 19)]


def test_what_they_had_sent_still_counts() -> None:
    digests = _three()
    digests.add(2, Checksum(1, 9, b"other"))
    assert digests.leave(2) == []
    assert digests.add(0, Checksum(1, 9, b"x")) == [Desynced(1, 9, 2, b"x", b"other")]
    assert digests.add(1, Checksum(1, 9, b"x")) == []


def test_one_who_is_left_alone_agrees_with_nobody() -> None:
    digests = _three()
    digests.add(0, Checksum(1, 9, b"x"))
    assert digests.leave(1) == []
    assert digests.leave(2) == []
    assert digests.add(0, Checksum(1, 19, b"x")) == []
