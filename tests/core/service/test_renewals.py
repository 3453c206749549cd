"""Players of a running match get ICE servers anew, now and then, and nobody else does."""

from __future__ import annotations

import itertools

from gym_p2p.config import IceServer, Secret
from gym_p2p.core.api.replies import Accepted, Answer, Code, Refused
from gym_p2p.core.api.requests import RenewIceServers
from gym_p2p.core.api.rooms import IceServers
from gym_p2p.core.service.rooms import RENEWALS_BURST, RENEWALS_PER_S
from tests.core.service.desk import Desk


def played() -> Desk:
    """Return a service at which ann and bob play, and eve waits."""
    numbers = itertools.count(1)

    def fresh(subject: str) -> list[IceServer]:
        credential = Secret(f"{subject} {next(numbers)}")
        return [IceServer(urls=("turn:192.0.2.1",), username=subject, credential=credential)]

    desk = Desk(ice_servers=fresh)
    for name in ("ann", "bob", "eve"):
        desk.connected(name)
        desk.register(name, name)
        desk.join(name, room="other" if name == "eve" else "r", seats=("left", "right"))
    return desk


def renew(desk: Desk, name: str, match_id: str = "match-1") -> Answer:
    return desk.rooms.renew_ice_servers(name, RenewIceServers(match_id), desk.now)


def credentials(answer: Answer) -> list[str]:
    assert isinstance(answer, Accepted)
    assert isinstance(answer.value, IceServers)
    return [one.credential.reveal() for one in answer.value.ice_servers if one.credential is not None]


def test_a_player_of_a_running_match_gets_credentials_of_their_own_anew() -> None:
    desk = played()
    (first,), (second,) = credentials(renew(desk, "ann")), credentials(renew(desk, "ann"))
    assert first.startswith("ann ")
    assert first != second


def test_who_plays_no_such_match_gets_none() -> None:
    desk = played()
    for name, match_id in (("eve", "match-1"), ("ann", "match-2"), ("ann", ""), ("nobody", "match-1")):
        answer = renew(desk, name, match_id)
        assert isinstance(answer, Refused)
        assert answer.code is Code.NO_SUCH_MATCH


def test_who_asks_too_often_has_to_wait_and_others_have_not() -> None:
    desk = played()
    answers = [renew(desk, "ann") for _ in range(1_000)]
    assert sum(isinstance(answer, Accepted) for answer in answers) == RENEWALS_BURST
    refused = answers[-1]
    assert isinstance(refused, Refused)
    assert refused.code is Code.RATE_LIMITED
    assert credentials(renew(desk, "bob"))
    desk.now += 1 / RENEWALS_PER_S
    assert credentials(renew(desk, "ann"))
