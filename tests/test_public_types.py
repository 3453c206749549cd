"""The types that a user's checker sees of the public names: mypy reads this, and pytest runs what is cheap.

A function whose name begins with an underscore is only read: it would need a service, or a file.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, assert_type

import pettingzoo
import pytest
from aiortc import RTCPeerConnection

import gym_p2p
from gym_p2p import (
    AiortcStats,
    ConfigurationError,
    ConnectFailed,
    DamagedReplay,
    ExportConfig,
    FIFOMatchmaker,
    GroupHistory,
    GroupReunionMatchmaker,
    HandshakeRefused,
    HumanSeat,
    IceServer,
    InvalidAction,
    LatencyFIFOMatchmaker,
    LatencyTelemetry,
    LimitedPolicy,
    LinkConfig,
    LinkEmulation,
    MatchCandidate,
    Matchmaker,
    MatchmakingConfig,
    MatchOver,
    MatchProposed,
    MatchRefused,
    NetworkEnded,
    NetworkError,
    NoMatch,
    NotWritten,
    P2PConfig,
    P2PEnv,
    P2PError,
    P2PParallelEnv,
    PeerError,
    PeerLost,
    PersonGone,
    PolicySeat,
    ProbeConnection,
    ProbeManager,
    ProbeResult,
    ProposedMatch,
    ProtocolError,
    QueuedCandidate,
    ReplayWriter,
    ReportCard,
    ServiceConfig,
    ServiceRefused,
    ServiceUnreachable,
    SignalingClient,
    Simulation,
    Spectator,
    Study,
    SyncConfig,
    TelemetryConfig,
    UnreadableReplay,
    UnsupportedEnvironment,
    UsageError,
    Verdict,
    WatchDiverged,
    WideningMatchmaker,
    __version__,
    check_env_determinism,
    load,
    read_replay,
    simulate,
    verify_replay,
    write_transitions,
)
from gym_p2p.envs.rally import RallyEnv

Seat = str | int


def test_a_configuration_is_typed_down_to_its_fields() -> None:
    config = assert_type(P2PConfig(sync=SyncConfig(fps=60.0)), P2PConfig)
    assert_type(config.room, str)
    assert_type(config.queue, str | None)
    assert_type(config.network, Literal["thread", "process"])
    assert_type(config.sync.mode, Literal["auto", "lockstep", "rollback"])
    assert_type(config.sync.input_delay, int | Literal["auto"])
    assert_type(config.sync.checked_every, int)
    assert_type(config.telemetry, TelemetryConfig)
    assert_type(config.exports, ExportConfig)
    assert_type(config.link, LinkConfig)
    assert_type(config.link.emulation, LinkEmulation)
    assert_type(config.link.ice_servers, tuple[IceServer, ...])
    assert config.sync.checked_every == 30


def test_the_service_has_a_configuration_of_its_own() -> None:
    config = assert_type(ServiceConfig(matchmaking=MatchmakingConfig(group_size=3)), ServiceConfig)
    assert_type(config.matchmaking.probe, Literal["threshold", "always", "never"])
    assert_type(config.on_loopback, bool)
    assert config.matchmaking.group_size == 3


@pytest.mark.parametrize(
    "matchmaker",
    [
        FIFOMatchmaker(),
        LatencyFIFOMatchmaker(200.0, max_p2p_rtt_ms=150.0),
        GroupReunionMatchmaker(fallback_to_fifo=False),
        WideningMatchmaker(),
    ],
)
def test_every_matchmaker_is_used_through_the_same_types(matchmaker: Matchmaker) -> None:
    ann = MatchCandidate("ann", rtt_ms=20.0, group_history=GroupHistory(["bob"]))
    bob = QueuedCandidate("bob", rtt_ms=30.0, wait_s=4.0)
    group = assert_type(matchmaker.find_match(ann, [bob], 2), list[MatchCandidate] | None)
    assert group is None or {one.subject_id for one in group} == {"ann", "bob"}
    assert_type(matchmaker.rank_candidates(ann, [bob], 2), list[MatchCandidate])
    assert_type(ann.previous_partners, Sequence[str])
    assert_type(bob.rejections, int)


def test_a_simulation_gives_every_players_frames_by_seat() -> None:
    result = assert_type(
        simulate(
            lambda: RallyEnv(points=1, max_frames=40),
            {"left": lambda _seen, frame: frame % 3, "right": lambda _seen, _frame: 0},
            frames=20,
            seed=1,
            one_way_ms={("left", "right"): 30.0},
        ),
        Simulation,
    )
    player = result.players["left"]
    assert_type(player.confirmed[0].reward, float)
    assert_type(player.exports, Mapping[str, Mapping[str, Any]])
    assert_type(player.counters.rollbacks, int)
    assert_type(result.seconds, float)
    assert len(player.confirmed) == 20


def test_errors_carry_typed_fields_on_three_branches() -> None:
    assert_type(ConfigurationError("fps", "wanted more").option, str)
    assert_type(InvalidAction("left", "wanted 0 to 2").seat, object)
    assert_type(MatchOver("normal").reason, str)
    assert_type(UnreadableReplay("m.p2preplay", "is empty").path, str)
    assert_type(DamagedReplay("m.p2preplay", "record 3", "was changed").where, str)
    assert_type(NotWritten("a.csv", "the disk is full").problem, str)
    assert_type(WatchDiverged(1, 5, "the state", theirs="aa", ours="bb").frame, int)
    assert_type(ProtocolError("malformed action").problem, str)
    assert_type(
        HandshakeRefused("right", [("fps", "30", "60")]).differences, tuple[tuple[str, str, str], ...]
    )
    assert_type(PeerLost("right", "silent").peer, str | int | None)
    assert_type(PersonGone("left", "they left").reason, str)
    assert_type(MatchRefused("duel", ["ann", "bob"], None).worst_rtt_ms, float | None)
    assert_type(ServiceUnreachable("http://127.0.0.1:1", "refused").url, str)
    assert_type(ServiceUnreachable("http://127.0.0.1:1", "refused").problem, str)
    assert_type(ServiceRefused("room_full", "it has two", retry_after_s=1.0).retry_after_s, float | None)
    assert_type(NoMatch("duel", "nobody_else", 60.0).waited_s, float)
    assert_type(ConnectFailed("the channel", waited_s=15.0, seen="nothing", advice="Use TURN.").seen, str)
    for branch, kinds in {
        UsageError: (ConfigurationError, InvalidAction, MatchOver, UnreadableReplay, UnsupportedEnvironment),
        PeerError: (ProtocolError, HandshakeRefused, PeerLost, MatchRefused),
        NetworkError: (NetworkEnded, ServiceUnreachable, ServiceRefused, NoMatch, ConnectFailed),
        P2PError: (UsageError, PeerError, NetworkError, DamagedReplay, NotWritten, WatchDiverged, PersonGone),
    }.items():
        assert all(issubclass(kind, branch) for kind in kinds)


def test_telemetry_without_a_connection_knows_nothing() -> None:
    telemetry = assert_type(LatencyTelemetry(None, poll_interval_ms=500), LatencyTelemetry)
    assert_type(telemetry.get_samples(), list[dict[str, Any]])
    assert assert_type(telemetry.get_stats(), dict[str, Any] | None) is None
    assert assert_type(telemetry.running, bool) is False


def test_a_verdict_is_an_enum_and_the_version_a_text() -> None:
    assert assert_type(Verdict("reject"), Verdict) is Verdict.REJECT
    assert assert_type(__version__, str)


def _a_player(env: P2PEnv) -> None:
    assert_type(env.reset(seed=1), tuple[Any, dict[str, Any]])
    assert_type(env.step(0), tuple[Any, float, bool, bool, dict[str, Any]])
    assert_type(env.export_session_metrics(), dict[str, Any])
    assert_type(env.export_validation_data(), dict[str, Any])
    assert_type(env.export_multiplayer_metrics(), dict[str, Any])


def _a_player_of_several_agents(env: pettingzoo.ParallelEnv[Any, Any, Any]) -> None:
    player = P2PParallelEnv(env, agents=["first_0"], sync="rollback", fps=60.0, stand_in="m:f")
    assert_type(player.reset(seed=1), tuple[dict[Any, Any], dict[Any, dict[str, Any]]])
    observations, rewards, terminations, truncations, infos = player.step({"first_0": 0})
    assert_type(rewards, dict[Any, float])
    assert_type(terminations, dict[Any, bool])
    assert_type(
        (observations, truncations, infos), tuple[dict[Any, Any], dict[Any, bool], dict[Any, dict[str, Any]]]
    )


def _a_user_who_errs(env: RallyEnv) -> None:
    P2PEnv(env, seat="left", input_dely=2)  # type: ignore[call-arg]  # no such option
    P2PEnv(env, seat="left", sync="lock")  # type: ignore[arg-type]  # none of the modes
    P2PEnv(env)  # type: ignore[call-arg]  # the seat has to be named, if only as None


def _a_person(env: P2PEnv) -> None:
    with HumanSeat(env, keys={"ArrowLeft": 1}, title="Rally", countdown_s=0.0) as person:
        assert_type(person, HumanSeat)
        assert_type(person.url, str)
        env.step(person.action(wait=True))
        person.show(text="well played")


def _a_policy(env: P2PEnv, agents: P2PParallelEnv) -> None:
    policy = PolicySeat(env, "sb3:PPO:partner.zip", seed=3, reaction_ms=200, actions_per_s=4)
    env.step(policy.action())
    PolicySeat(agents, lambda observation, frame: (observation, frame), agent="left")
    PolicySeat(env)  # type: ignore[call-arg]  # which policy?


def test_a_limited_policy_is_called_as_any_other() -> None:
    limited = LimitedPolicy(lambda seen, _frame: seen, fps=30, nothing=0, reaction_ms=1, actions_per_s=None)
    assert limited(7, 0) == 0
    assert_type(limited.reset(), None)


def _a_spectator(spectator: Spectator) -> None:
    assert_type(spectator.frame, int)
    assert_type(spectator.seed, int | None)
    observations, rewards, *_ = spectator.step()
    assert_type(rewards, dict[Seat, float])
    assert_type(observations, dict[Seat, Any])


def _a_check() -> None:
    card = assert_type(check_env_determinism("CartPole-v1", steps=50, seeds=[1]), ReportCard)
    assert_type(card.verdict, Literal["rollback", "lockstep", "unfit"])
    assert_type(card.check("same process").passed, bool | None)
    assert_type(card.rollback_depths, dict[int, int])


def _a_recording(writer: ReplayWriter, path: Path) -> None:
    assert_type(writer.fingerprint, str)
    replay = read_replay(path)
    assert_type(replay.frames, int)
    assert_type(verify_replay(replay).agreed, bool)
    assert_type(write_transitions(replay, "steps.parquet").ok, bool)


def _a_study(folder: Path) -> None:
    study = assert_type(load(folder), Study)
    assert_type(study.pandas(), dict[str, Any])


async def _a_client_that_is_probed(client: SignalingClient) -> None:
    assert_type(await client.connect("http://127.0.0.1:8765", "ann"), None)
    assert_type(client.subject_id, str)
    assert_type(client.connected, bool)
    results: list[ProbeResult] = []
    manager = ProbeManager(client, client.subject_id, on_result=results.append)
    await manager.wait_for_requests()
    assert_type(results[0].failure, str | None)
    assert_type(results[0].rtt_ms, float | None)


async def _an_aiortc_connection(connection: RTCPeerConnection) -> None:
    assert_type(await AiortcStats(connection).getStats(), dict[str, Any])
    LatencyTelemetry(connection).start()


async def _a_probe(connection: ProbeConnection, manager: ProbeManager) -> None:
    assert_type(await manager.request("bob"), str)
    assert_type(await connection.get_rtt(), float | None)
    assert_type(manager.active, ProbeConnection | None)


def _hooks(proposed: ProposedMatch, match: MatchProposed) -> None:
    assert_type(proposed.worst_rtt_ms, float | None)
    assert_type(match.subjects, tuple[str, ...])


def test_every_public_name_is_used_here() -> None:
    tree = ast.parse(Path(__file__).read_text(encoding="utf-8"))
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    used |= {name for node in ast.walk(tree) if isinstance(node, ast.arg) for name in _names(node.annotation)}
    assert set(gym_p2p.__all__) <= used


def _names(annotation: ast.expr | None) -> set[str]:
    return set() if annotation is None else {n.id for n in ast.walk(annotation) if isinstance(n, ast.Name)}
