from __future__ import annotations

from gym_p2p.core.match.checksums import ChecksumHistory
from gym_p2p.core.match.events import ChecksumsAgreed, Desynced, Disagreement
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


_SAME, _OTHER = b"outcomes", b"OUTCOMES"


def test_whether_outcomes_or_states_differ_is_told_apart() -> None:
    states = Desynced(1, 9, 1, _SAME + b"state", _SAME + b"STATE")
    outcomes = Desynced(1, 9, 1, _SAME + b"state", _OTHER + b"STATE")
    without_states = Desynced(1, 9, 1, _SAME, _OTHER)
    assert states.of is Disagreement.STATE
    assert outcomes.of is without_states.of is Disagreement.OUTCOMES


def test_a_state_that_only_one_player_can_read_is_not_compared() -> None:
    digests = ChecksumHistory(local=0, players=2)
    digests.add(0, Checksum(1, 9, _SAME + b"state"))
    assert digests.add(1, Checksum(1, 9, _SAME)) == [ChecksumsAgreed(1, 9)]
    digests.add(0, Checksum(1, 19, _SAME + b"state"))
    (found,) = digests.add(1, Checksum(1, 19, _OTHER))
    assert isinstance(found, Desynced)


def test_two_who_differ_in_state_do_not_agree_because_a_third_cannot_read_it() -> None:
    digests = _three()
    digests.add(0, Checksum(1, 9, _SAME))
    digests.add(1, Checksum(1, 9, _SAME + b"state"))
    assert digests.add(2, Checksum(1, 9, _SAME + b"STATE")) == []
