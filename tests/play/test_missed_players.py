"""Players who are missed: by the episode that runs, and by the next one."""

from __future__ import annotations

import time
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from gym_p2p import MatchOver, P2PEnv, PeerLost
from gym_p2p.core.match.events import EXCLUDED, PlayerGone
from gym_p2p.core.match.return_events import SUPERSEDED
from gym_p2p.play.ending import SUPERSEDED_WORDS, gone_in_words
from gym_p2p.play.live_match import LiveMatch
from tests.play.blends import WELL_BEFORE_S, assert_partial, begun, blends
from tests.players import Lobby, act, together
from tests.waiting import in_time


def test_a_lost_peer_is_raised_where_that_is_wanted(lobby: Lobby) -> None:
    a, b = blends(lobby, on_peer_loss="raise")
    begun([a, b])
    name = a.p2p.progress.player_id
    a.close()
    with pytest.raises(PeerLost) as lost:
        b.step(act(b.action_space, 0))
    assert (lost.value.peer, lost.value.match_over) == (name, True)
    assert str(lost.value).endswith("; the match is over: make a new wrapper to play another one")
    b.close()
    assert_partial(b, "peer_left", name)


def _waits(_seat: Any, _observation: Any, _frame: int) -> int:
    return 0


@pytest.mark.parametrize("stand_in", [None, _waits])
def test_an_episode_that_was_played_on_without_somebody_is_the_last_one_and_reset_says_what_to_do(
    lobby: Lobby, stand_in: Any
) -> None:
    how = "default_action" if stand_in is None else "stand_in"
    changes = {"on_peer_loss": how, "stand_in": stand_in}
    gone, *left = blends(lobby, kind="three", seats=(0, 1, 2), **changes)
    begun([gone, *left])
    gone.close()

    def play_to_the_end(env: P2PEnv) -> tuple[int, Any]:
        for _ in range(100):
            _, _, terminated, truncated, info = env.step(act(env.action_space, 0))
            if terminated or truncated:
                assert "p2p" not in info, "the environment ended it"
                break
        told = env.reset()[1]["p2p"]
        with pytest.raises(PeerLost, match="no other episode begins without them, whatever") as lost:
            env.reset()
        assert (lost.value.peer, lost.value.match_over) == (0, True)
        with pytest.raises(MatchOver, match="make a new wrapper"):
            env.reset()
        env.close()
        return env.p2p.document("multiplayer")["validation"]["episodes"][0]["totalFrames"], told

    ends = together(*(partial(play_to_the_end, env) for env in left))
    assert ends == [(50, {"reason": "peer_left", "player": 0})] * 2


def _raised_at_barrier(gone: PlayerGone) -> PeerLost:
    """Return what the first reset of two players raises by a word of the other one's."""

    def wait_for(*_: Any, **__: Any) -> Any:
        raise PeerLost("b", gone_in_words(gone))

    client: Any = SimpleNamespace(gone=gone, command=lambda _: None, wait_for=wait_for)
    waits: Any = SimpleNamespace(reset_limit_s=1.0, last_s=1.0, for_resets=None, over=lambda: None)
    nobody: Any = SimpleNamespace(input_delay=2)
    match = LiveMatch(client=client, recorder=nobody, played=nobody, waits=waits)
    with pytest.raises(PeerLost) as raised:
        match.await_episode(None, None)
    return raised.value


def test_who_misses_the_first_episode_is_missed_by_no_other_one() -> None:
    lost = _raised_at_barrier(PlayerGone(1, "peer_left", 0, "normal"))
    assert lost.match_over
    assert str(lost) == (
        "player 'b' is gone: they have left the match; "
        "the match is over: make a new wrapper to play another one"
    )


def test_whom_the_others_count_as_gone_reads_that_and_not_that_the_others_are() -> None:
    lost = _raised_at_barrier(PlayerGone(1, EXCLUDED, 0, "peer_lost"))
    assert lost.match_over
    assert str(lost) == (
        "player 'b' counts this player as gone (peer_lost); "
        "the match is over here: make a new wrapper to play another one"
    )


def test_whose_seat_another_process_has_is_not_told_to_take_it_once_more() -> None:
    lost = _raised_at_barrier(PlayerGone(1, SUPERSEDED, 0, "peer_superseded"))
    assert lost.match_over
    assert str(lost) == f"{SUPERSEDED_WORDS}, says 'b': the match goes on there"


def test_who_left_between_two_episodes_is_missed_at_once_by_the_next_reset(lobby: Lobby) -> None:
    a, b = blends(lobby)
    begun([a, b], frames=50)
    a.close()
    time.sleep(0.2)
    assert b.p2p.latency() is not None  # folds the goodbye
    name = a.p2p.progress.player_id
    began = time.monotonic()
    assert b.reset()[1]["p2p"] == {"reason": "peer_left", "player": name}
    with in_time():
        assert time.monotonic() - began < WELL_BEFORE_S
    with pytest.raises(PeerLost):
        b.reset()
    b.close()


def test_a_goodbye_during_the_last_frame_is_not_forgotten_by_the_next_reset(lobby: Lobby) -> None:
    a, b, c = blends(lobby, kind="three", seats=(0, 1, 2), input_delay=1)
    begun([a, b, c], frames=49)
    # With a delay a's last input is there already. So b takes in a's goodbye while it waits for c.
    a.close()

    def last() -> None:
        b.step(act(b.action_space, 49))
        assert b.reset()[1]["p2p"] == {"reason": "peer_left", "player": 0}
        b.step(act(b.action_space, 50))

    def late() -> None:
        time.sleep(0.3)
        c.step(act(c.action_space, 49))

    began = time.monotonic()
    error, _ = together(last, late)
    assert isinstance(error, PeerLost), error
    assert error.peer == 0
    with in_time():
        assert time.monotonic() - began < WELL_BEFORE_S
    together(b.close, c.close)


def test_three_players_agree_on_who_it_was_that_left(lobby: Lobby) -> None:
    envs = blends(lobby, kind="three", seats=(0, 1, 2))
    begun(envs)
    name = envs[0].p2p.progress.player_id
    envs[0].close()
    infos = together(*(partial(_step_and_close, env) for env in envs[1:]))
    assert infos == [{"frame": 5, "p2p": {"reason": "peer_left", "player": name}}] * 2


def _step_and_close(env: P2PEnv) -> Any:
    info = env.step(act(env.action_space, 0))[4]
    env.close()
    return info
