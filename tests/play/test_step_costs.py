"""What a step in lockstep costs, in what can be counted: calls, system calls, messages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gym_p2p import P2PEnv
from gym_p2p.bench.table import WINDOW, Table
from gym_p2p.envs.rally import RallyEnv
from gym_p2p.game.env.seats import make_game
from gym_p2p.game.state.snapshot import snapshots_named
from tests.play.by_hand import Calls, NetworkByHand, network_by_hand

FRAMES = 200


class Match:
    """A match that has begun, of which the calls of steps are counted."""

    def __init__(self, env: P2PEnv, network: NetworkByHand) -> None:
        self.env, self.network = env, network
        self.users, self.given, self.arrived = Calls(), Calls(), Calls()

    def play(self) -> None:
        """Play some frames, and count."""
        for _ in range(20):
            self.env.step(1)
        self.network.given, self.network.arrived, self.network.messages = self.given, self.arrived, [0, 0]
        for _ in range(FRAMES):
            with self.users:
                self.env.step(1)

    def per_step(self, calls: Calls) -> float:
        """Return how many functions of Python were called a step."""
        return calls.python.total() / FRAMES


@pytest.fixture
def match(monkeypatch: pytest.MonkeyPatch) -> Iterator[Match]:
    with network_by_hand(monkeypatch) as network:
        env = P2PEnv(
            RallyEnv(points=1000),
            seat="left",
            room="by-hand",
            sync="lockstep",
            network="process",
            exports=None,
        )
        env.reset()
        yield Match(env, network)
        env.close()


def test_a_step_is_few_calls_of_the_users_half(match: Match) -> None:
    match.play()
    bare, env = Calls(), RallyEnv(points=1000)
    env.reset(seed=1)
    for _ in range(FRAMES):
        with bare:
            env.step({"left": 1, "right": 1})
    assert match.per_step(match.users) - match.per_step(bare) <= 95


def test_a_step_is_few_calls_of_the_networks_half(match: Match) -> None:
    match.play()
    assert match.per_step(match.given) <= 24
    assert match.per_step(match.arrived) <= 39


def test_a_step_is_one_message_each_way_and_two_system_calls_of_the_users_half(match: Match) -> None:
    match.play()
    assert match.network.messages == [FRAMES, FRAMES]
    native = match.users.native
    checksums = FRAMES // match.env.p2p.config.sync.checked_every + 1
    assert FRAMES <= native["socket.send"] <= FRAMES + checksums
    assert FRAMES <= native["socket.recv"] <= 2 * (FRAMES + checksums), "twice where a machine is slow"
    assert native["poll.poll"] == 0, "reading is waiting, too"


def test_a_frame_that_is_played_again_is_few_calls_beside_the_environments() -> None:
    calls, played_again = zip(*map(_played_at_a_table, (1 << 30, 16)), strict=True)
    assert played_again == (0, 320 // 16 * WINDOW)
    assert (calls[1] - calls[0]) / played_again[1] <= 36


def _played_at_a_table(held: int) -> tuple[int, int]:
    """Return how many of our functions 320 ticks call, and how many frames they play again.

    Args:
        held: for how many ticks the other player does the same, who is as late as can be.
    """
    games = [make_game(RallyEnv(points=1000)) for _ in range(2)]
    snapshots = [snapshots_named(game, "get_state/set_state") for game in games]
    table = Table(games, snapshots, plans=(lambda _frame: 0, lambda frame: frame // held % 2), late=WINDOW)
    table.play(100)
    calls = Calls()
    with calls:
        again = sum(cost.played_again for cost in table.play(320))
    ours = [n for (path, _), n in calls.python.items() if "gym_p2p" in path and "/envs/" not in path]
    return sum(ours), again


def test_the_input_is_given_before_anything_is_looked_for(match: Match) -> None:
    match.play()
    of_the_pipe = {"socket.send", "socket.recv"}
    in_order = [name for name in match.users.native if name in of_the_pipe]
    assert in_order[0] == "socket.send"


def test_an_action_is_encoded_once_and_a_frame_planned_when_something_is_new(match: Match) -> None:
    match.play()
    assert match.users.of("game/spaces/codec.py", "encode") == FRAMES
    assert match.users.of("core/sync/session.py", "_plan") == FRAMES, "with theirs"
