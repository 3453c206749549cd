from __future__ import annotations

from gym_p2p.core.matchmaking.pairs import PairMemory, pair_of


def test_a_pair_has_one_name() -> None:
    assert pair_of("bob", "ann") == pair_of("ann", "bob") == ("ann", "bob")


def test_a_note_is_found_whichever_of_the_two_is_named_first() -> None:
    memory = PairMemory(keep_s=10.0)
    note = memory.touch(pair_of("bob", "ann"), 0.0)
    assert memory.get("ann", "bob") is memory.get("bob", "ann") is note
    assert memory.get("ann", "eve") is None


def test_a_note_is_kept_for_as_long_as_it_is_written_to() -> None:
    memory = PairMemory(keep_s=10.0)
    old = memory.touch(("ann", "bob"), 0.0)
    memory.touch(("ann", "eve"), 1.0)
    assert memory.touch(("ann", "bob"), 9.0) is old
    memory.touch(("bob", "eve"), 11.0)
    assert memory.get("ann", "eve") is None
    assert len(memory) == 2
