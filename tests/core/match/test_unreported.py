"""What a peer was not told of, since when: what a look at all peers at every arrival gives."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.core.match.unreported import Unreported

PEERS = (1, 2, 5)


@given(st.lists(st.sampled_from((None, *PEERS))))
def test_it_is_the_first_arrival_since_the_last_message(happens: list[int | None]) -> None:
    unreported = Unreported(PEERS)
    naive: dict[int, float | None] = dict.fromkeys(PEERS)
    for now, told in enumerate(happens):
        if told is None:
            unreported.arrived(float(now))
            naive = {peer: float(now) if since is None else since for peer, since in naive.items()}
        else:
            unreported.told(told)
            naive[told] = None
        assert {peer: unreported.since(peer) for peer in PEERS} == naive


def test_an_arrival_moves_only_those_who_knew_everything() -> None:
    unreported = Unreported(PEERS)
    unreported.arrived(1.0)
    assert unreported._informed == []
    unreported.told(2)
    assert unreported._informed == [2]
