"""Every event that the service sends, to the byte: browsers and other people's programs read these."""

from __future__ import annotations

import itertools
import json
from typing import Any

from gym_p2p.config import IceServer, MatchmakingConfig
from gym_p2p.core.api.matches import QueueTicket
from gym_p2p.core.api.payloads import decode, encode
from gym_p2p.core.api.probes import ProbePath, ProbeReport
from gym_p2p.core.api.queues import MatchProbe, PairMeasured, Verdict
from gym_p2p.core.api.replies import Accepted, Answer, Candidate, Description, Emit, Notify
from gym_p2p.core.api.requests import ProbeReady, SendProbeSignal
from gym_p2p.core.matchmaking.commands import RequestProbe, TicketRow
from gym_p2p.core.matchmaking.queues import Queues
from gym_p2p.core.matchmaking.report import QueueReport
from gym_p2p.core.matchmaking.strategy import FIFOMatchmaker
from gym_p2p.core.presence.presence import Presence
from gym_p2p.core.probing.outcome import ProbeOutcome, Reason
from gym_p2p.core.probing.registry import ProbeRegistry
from tests.core.service.desk import Desk

OFFER = Description("offer", "v=0")
STUN = IceServer(urls="stun:stun.example")


def turn(subject: str) -> IceServer:
    return IceServer(urls=["turn:a.example", "turns:b.example"], username=f"9:{subject}", credential="secret")


def text(data: Any) -> str:
    return json.dumps(data, separators=(",", ":"))


def on_wire(output: Emit | Notify) -> tuple[str, str]:
    payload, written = output.payload, text(encode(output.payload))
    assert decode(type(payload), json.loads(written)) == payload
    return payload.event, written


def answered(answer: Answer) -> str:
    assert isinstance(answer, Accepted), answer
    return text(encode(answer.value))


class Service(Desk):
    """Rooms and spectators; what they send is collected as text, by event."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            seeds=lambda: 7,
            issue_token=lambda _match, player, _everyone, _folder: f"token-{player}",
            ice_servers=lambda subject: (STUN, turn(subject)),
            spectators_ice_servers=lambda _subject: (STUN,),
            watch_ids=lambda: "w1",
            **options,
        )

    def sent(self) -> list[tuple[str, str, str]]:
        return [(o.socket, *on_wire(o)) for o in iter(self.poll, None) if isinstance(o, Emit)]

    def played(self) -> None:
        for name, seat in (("ann", 0), ("bob", "b")):
            self.register(name, name)
            self.join(name, room="r", seats=(0, "b"), take=(seat,), spectators=1)
        self.sent()


def test_joining_a_room_and_its_match() -> None:
    service = Service()
    service.register("ann", "ann")
    service.register("bob", "bob")
    joined = service.join("ann", room="r", seats=(0, "b", 2), client="gym_p2p/1", take=(0,))
    assert answered(joined) == '{"room":"r","player_id":0,"seats_taken":[0],"seats_free":["b",2]}'
    service.join("bob", room="r", seats=(0, "b", 2), take=("b",))
    assert service.sent() == [("ann", "room_status", '{"room":"r","seats_free":[2]}')]
    service.leave("bob", room="r")
    service.sent()
    service.join("bob", room="r", seats=(0, "b", 2), take=("b", 2))
    ann, bob = (told for told in service.sent() if told[1] == "match_found")
    players = (
        '"players":[{"player_id":0,"subject_id":"ann","seats":[0],"client":"gym_p2p/1"},'
        '{"player_id":"b","subject_id":"bob","seats":["b",2],"client":null}],"seed":7,'
        '"ice_servers":[{"urls":["stun:stun.example"]},{"urls":["turn:a.example","turns:b.example"],'
    )
    assert ann[2] == (
        '{"match_id":"match-1","room":"r","player_id":0,"seats_taken":[0],'
        + players
        + '"username":"9:ann","credential":"secret"}],"relay_only":false,"token":"token-0","queue":null,'
        '"probe":null,"made_at_ms":1800000000000,"uploads":true,"relays":true,"match_token":null}'
    )
    assert bob[2] == (
        '{"match_id":"match-1","room":"r","player_id":"b","seats_taken":["b",2],'
        + players
        + '"username":"9:bob","credential":"secret"}],"relay_only":false,"token":"token-b","queue":null,'
        '"probe":null,"made_at_ms":1800000000000,"uploads":true,"relays":true,"match_token":null}'
    )


def test_signals_departures_and_a_newer_socket() -> None:
    service = Service()
    service.played()
    signal = {"game_id": "match-1", "target_player_id": "b"}
    service.signal("ann", **signal, payload=OFFER)
    service.signal("ann", **signal, payload=Candidate("c", "0", 1, "u"))
    service.signal("ann", **signal, payload=Candidate("c"))
    service.signal("ann", **signal, payload=None)
    service.register("bob2", "bob")
    service.disconnected("ann")
    relayed = '"from_player_id":0,"game_id":"match-1","payload":'
    assert service.sent() == [
        ("bob", "webrtc_signal", f'{{"type":"offer",{relayed}{{"type":"offer","sdp":"v=0"}}}}'),
        (
            "bob",
            "webrtc_signal",
            (
                f'{{"type":"ice-candidate",{relayed}{{"candidate":"c","sdpMid":"0","sdpMLineIndex":1,'
                '"usernameFragment":"u"}}'
            ),
        ),
        (
            "bob",
            "webrtc_signal",
            (
                f'{{"type":"ice-candidate",{relayed}{{"candidate":"c","sdpMid":null,"sdpMLineIndex":null,'
                '"usernameFragment":null}}'
            ),
        ),
        ("bob", "webrtc_signal", f'{{"type":"ice-candidate",{relayed}null}}'),
        ("bob", "replaced", '{"subject_id":"bob"}'),
        ("bob2", "peer_left", '{"match_id":"match-1","player_id":0,"reason":"disconnected","why":null}'),
    ]


def test_spectators() -> None:
    service = Service(relay_only=True)
    service.played()
    service.register("eve", "eve")
    watched = service.watch("eve", room="r")
    assert answered(watched) == (
        '{"match_id":"match-1","spectator_id":"w1","source":0,"players":[{"player_id":0,"seats":[0]},'
        '{"player_id":"b","seats":["b"]}],"ice_servers":[{"urls":["stun:stun.example"]}],"relay_only":true}'
    )
    service.signal("eve", game_id="match-1", target_player_id=0, payload=OFFER)
    service.signal("ann", game_id="match-1", target_player_id="w1", payload=None)
    service.stop_watching("eve")
    service.watch("eve", match_id="match-1")
    service.drop_spectator("ann", "w1")
    spectator = '{"match_id":"match-1","spectator_id":"w1"}'
    joined = '{"match_id":"match-1","spectator_id":"w1",'
    joined += '"ice_servers":[{"urls":["stun:stun.example"]}]}'
    assert service.sent() == [
        ("ann", "spectator_joined", joined),
        (
            "ann",
            "webrtc_signal",
            (
                '{"type":"offer","from_player_id":"w1","game_id":"match-1",'
                '"payload":{"type":"offer","sdp":"v=0"}}'
            ),
        ),
        (
            "eve",
            "webrtc_signal",
            '{"type":"ice-candidate","from_player_id":0,"game_id":"match-1","payload":null}',
        ),
        ("ann", "spectator_left", spectator),
        ("ann", "spectator_joined", joined),
        ("eve", "watch_over", '{"match_id":"match-1","reason":"dropped"}'),
    ]


def registry() -> ProbeRegistry:
    ids, presence = itertools.count(1), Presence()
    presence.register("ann", "ann")
    presence.register("bob", "bob", "gym_p2p/1")
    return ProbeRegistry(
        presence,
        probe_ids=lambda: f"probe_{next(ids)}",
        ice_servers=lambda subject: (STUN, turn(subject)) if subject == "ann" else (),
    )


def probe_events(probes: ProbeRegistry) -> list[tuple[str, str, str]]:
    outputs = iter(probes.poll, None)
    return [(output.subject_id, *on_wire(output)) for output in outputs if isinstance(output, Notify)]


def test_a_probe() -> None:
    probes = registry()
    probe_id = probes.create("ann", "bob", 0.0, threshold_ms=80.0)
    assert probe_events(probes) == [
        (
            "ann",
            "probe_prepare",
            (
                '{"probe_session_id":"probe_1","peer_subject_id":"bob","turn_username":"9:ann",'
                '"turn_credential":"secret","ice_servers":[{"urls":["stun:stun.example"]},'
                '{"urls":["turn:a.example","turns:b.example"],"username":"9:ann","credential":"secret"}],'
                '"relay_only":false,"peer_client":"gym_p2p/1","threshold_ms":80.0,"deadline_ms":18000.0}'
            ),
        ),
        (
            "bob",
            "probe_prepare",
            (
                '{"probe_session_id":"probe_1","peer_subject_id":"ann","turn_username":null,'
                '"turn_credential":null,"ice_servers":[],"relay_only":false,"peer_client":null,'
                '"threshold_ms":80.0,"deadline_ms":18000.0}'
            ),
        ),
    ]
    for name in ("ann", "bob"):
        probes.ready(name, ProbeReady(probe_id), 0.0)
    start = '{"probe_session_id":"probe_1"}'
    assert probe_events(probes) == [("ann", "probe_start", start), ("bob", "probe_start", start)]
    probes.signal("ann", SendProbeSignal(probe_id, "bob", "offer", encode(OFFER)), 0.0)
    probes.signal("bob", SendProbeSignal(probe_id, "ann", "ice-candidate", None), 0.0)
    assert probe_events(probes) == [
        (
            "bob",
            "probe_signal",
            (
                '{"probe_session_id":"probe_1","type":"offer","from_subject_id":"ann",'
                '"payload":{"type":"offer","sdp":"v=0"}}'
            ),
        ),
        (
            "ann",
            "probe_signal",
            '{"probe_session_id":"probe_1","type":"ice-candidate","from_subject_id":"bob","payload":null}',
        ),
    ]
    probes.result("ann", probe_id, report(20.0), 1.0)
    probes.result("bob", probe_id, report(90.0), 1.0)
    again = '{"probe_session_id":"probe_1","reason":"again","rtt_ms":90.0,"marks":["disagreed"]}'
    assert probe_events(probes)[:2] == [("ann", "probe_cancel", again), ("bob", "probe_cancel", again)]
    for name in ("ann", "bob"):
        probes.ready(name, ProbeReady("probe_2"), 1.0)
    probe_events(probes)
    probes.result("ann", "probe_2", report(20.0), 1.0)
    probes.handle_timeout(3.0)
    verdict = '{"probe_session_id":"probe_2","reason":"measured","rtt_ms":20.0,"marks":["one_sided"]}'
    assert probe_events(probes) == [("ann", "probe_verdict", verdict), ("bob", "probe_verdict", verdict)]


def report(rtt_ms: float) -> ProbeReport:
    return ProbeReport(rtt_ms=rtt_ms, success=True)


def test_a_probes_report() -> None:
    path = ProbePath(local="host", remote="relay", protocol="udp")
    measured = ProbeReport(
        rtt_ms=5.5, success=True, samples_ms=(5.0, 6.0), jitter_ms=0.5, loss=0.0, path=path
    )
    assert text(encode(measured)) == (
        '{"rtt_ms":5.5,"success":true,"samples_ms":[5.0,6.0],"jitter_ms":0.5,"loss":0.0,"path":'
        '{"local":"host","remote":"relay","protocol":"udp","relay_protocol":null},"failure":null}'
    )
    assert text(encode(ProbeReport(success=False, failure="no_address"))) == (
        '{"rtt_ms":null,"success":false,"samples_ms":[],"jitter_ms":null,"loss":null,"path":null,'
        '"failure":"no_address"}'
    )


PAIR = '{"subjects":["ann","bob"],"rtt_ms":40.0,"reports":{"ann":{"rtt_ms":40.0},"bob":{"rtt_ms":null}}}'


class Lab:
    """A queue of two seats; what it sends is collected as text, by subject and event."""

    def __init__(self) -> None:
        self.queues = Queues(FIFOMatchmaker(100.0), config=MatchmakingConfig())

    def join(self, name: str, now: float, *, asks: bool = False) -> Answer:
        ticket = QueueTicket(queue="lab", seats=("left", "right"), asks=asks)
        return self.queues.join(name, ticket, now)

    def sent(self) -> dict[tuple[str, str], str]:
        found = {}
        for output in iter(self.queues.poll, None):
            if isinstance(output, Notify):
                event, data = on_wire(output)
                found[output.subject_id, event] = data
            elif isinstance(output, RequestProbe):
                self.request = output
        return found


def test_a_queue() -> None:
    lab = Lab()
    assert answered(lab.join("ann", 0.0, asks=True)) == '{"queue":"lab","group_size":2,"waiting":1}'
    lab.queues.handle_timeout(0.0)
    assert lab.sent()["ann", "queue_status"] == (
        '{"queue":"lab","state":"waiting","waiting":1,"wait_s":0.0,"threshold_ms":100.0,"probes":0}'
    )
    lab.join("bob", 2.0)
    lab.sent()
    assert lab.request is not None
    reports = {"ann": ProbeReport(rtt_ms=40.0, success=True, samples_ms=(39.0, 41.0)), "bob": None}
    outcome = ProbeOutcome(subjects=("ann", "bob"), reason=Reason.MEASURED, rtt_ms=40.0, reports=reports)
    lab.queues.measured(lab.request, outcome, 3.0)
    proposed = json.loads(lab.sent()["ann", "match_proposed"])
    assert text(proposed) == (
        f'{{"proposal_id":"{proposed["proposal_id"]}","queue":"lab","subjects":["ann","bob"],'
        '"probe":{"waited_s":3.0,"pairs":[{"subjects":["ann","bob"],"rtt_ms":40.0,"reports":{"ann":'
        '{"rtt_ms":40.0,"success":true,"samples_ms":[39.0,41.0],"jitter_ms":null,"loss":null,"path":null,'
        '"failure":null}}}]},"answer_within_s":5.0,"page_rtts_ms":{}}'
    )
    lab.queues.answer("ann", proposed["proposal_id"], Verdict.REJECT, 3.0)
    for now in (60.0, 62.0):
        lab.queues.handle_timeout(now)
    failed = lab.sent()
    assert failed["ann", "match_failed"] == '{"queue":"lab","reason":"declined","waited_s":60.0}'


def test_what_was_measured_before_a_match() -> None:
    pair = PairMeasured(
        subjects=("ann", "bob"), rtt_ms=40.0, reports={"ann": {"rtt_ms": 40.0}, "bob": {"rtt_ms": None}}
    )
    probe = MatchProbe(waited_s=1.5, pairs=(pair,))
    assert text(encode(probe)) == f'{{"waited_s":1.5,"pairs":[{PAIR}]}}'


def test_the_operators_view() -> None:
    row = TicketRow(
        subject_id="ann",
        state="waiting",
        wait_s=3.5,
        threshold_ms=None,
        best_estimate_ms=40.0,
        probes=2,
        rejections=1,
    )
    shown = QueueReport.of({"lab": (row,)}, matches=4, connections=11)
    assert text(encode(shown)) == (
        '{"queues":{"lab":[{"subject_id":"ann","state":"waiting","wait_s":3.5,"threshold_ms":null,'
        '"best_estimate_ms":40.0,"probes":2,"rejections":1}]},"totals":{"queues":1,"tickets":1,'
        '"states":{"waiting":1},"longest_wait_s":3.5,"matches":4,"connections":11}}'
    )
