"""A service with pseudonyms: who is meant by which name, and what comes out of its machines."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from gym_p2p.core.api.replies import Accepted, Code, Emit, Refused
from gym_p2p.core.api.rooms import MatchFound, TurnedAway
from gym_p2p.core.matchmaking.strategy import GroupReunionMatchmaker
from gym_p2p.core.presence.pseudonyms import Assigned, Pseudonyms
from gym_p2p.core.probing.registry import ProbeEnded
from gym_p2p.core.service.machines import ServiceOutput
from tests.core.service.desk import Desk

NAMES = ("ann", "eve", "bob")


def make_desk() -> Desk:
    pseudonyms = Pseudonyms(lambda subject, attempt: f"p-{subject[0]}{attempt}")
    return Desk(pseudonyms=pseudonyms, matchmaker=GroupReunionMatchmaker(fallback_to_fifo=False))


def outputs(desk: Desk) -> list[ServiceOutput]:
    found = []
    while (output := desk.poll()) is not None:
        found.append(output)
    return found


@pytest.mark.parametrize("partner", ["bob", "p-b0"])
def test_former_partners_meet_again_by_own_ids_and_by_pseudonyms(partner: str) -> None:
    desk = make_desk()
    for name in NAMES:
        desk.connected(name)
        desk.register(name, name)
    desk.join_queue("ann", previous_partners=(partner,))
    desk.join_queue("eve")
    desk.join_queue("bob", previous_partners=("ann",))
    sent = [output.payload for output in outputs(desk) if isinstance(output, Emit)]
    found = [payload for payload in sent if isinstance(payload, MatchFound)]
    assert [[player.subject_id for player in match.players] for match in found] == [["p-a0", "p-b0"]] * 2


def test_whose_a_pseudonym_is_comes_out_before_anything_that_names_it() -> None:
    desk = make_desk()
    desk.connected("s")
    answer = desk.register("s", "ann")
    assert isinstance(answer, Accepted)
    assert isinstance(answer.value, Mapping)
    assert answer.value["subject_id"] == "p-a0"
    assert outputs(desk) == [Assigned("ann", "p-a0")]


def test_a_host_that_says_whose_a_socket_is_says_it_by_own_ids() -> None:
    desk = make_desk()
    desk.connected("s")
    desk.machines.identify("s", "ann", desk.now)
    assert desk.machines.presence.subject_on("s") == "p-a0"
    assert desk.machines.presence.own_id("p-a0") == "ann"


def test_who_waits_hears_of_a_duplicate_by_pseudonym() -> None:
    desk = make_desk()
    presence = desk.machines.presence
    assert presence.connected("s", desk.now, subject_id="ann") is None
    desk.register("s", "whatever")
    desk.join("s", room="r", seats=["a", "b"])
    refused = desk.machines.connected("t", desk.now, subject_id="ann")
    assert isinstance(refused, Refused)
    assert refused.code is Code.DUPLICATE_SESSION
    (told,) = (o.payload for o in outputs(desk) if isinstance(o, Emit) and isinstance(o.payload, TurnedAway))
    assert "'p-a0' is connected already" in told.message


def test_the_hosts_probe_is_told_in_the_names_that_it_used() -> None:
    desk = make_desk()
    desk.connected("s")
    desk.register("s", "ann")
    desk.machines.probe("p-a0", "bob", desk.now)
    (ended,) = (output for output in outputs(desk) if isinstance(output, ProbeEnded))
    assert ended.outcome.subjects == ("p-a0", "bob")
