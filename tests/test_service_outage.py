"""A service that dies in the middle of a match and comes back: the match does not notice, and is heard of."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path

import gymnasium

from gym_p2p import P2PEnv, P2PError
from gym_p2p.config import ServiceConfig
from gym_p2p.server import serve_in_thread
from tests.players import Lobby, act, assert_all_played_the_same, together
from tests.toys import BLEND
from tests.waiting import PATIENCE_S, lasting_port, until


def _play_on(env: P2PEnv, stop: threading.Event, problems: list[BaseException]) -> None:
    try:
        env.reset()
        frame = 0
        while not stop.is_set():
            env.step(act(env.action_space, frame))
            frame += 1
    except P2PError as error:
        problems.append(error)


def test_a_match_does_not_notice_that_its_service_is_restarted_and_the_service_learns_of_it(
    tmp_path: Path,
) -> None:
    config = ServiceConfig(port=lasting_port(), data_dir=str(tmp_path / "data"))
    lobby = Lobby(f"http://127.0.0.1:{config.port}", tmp_path / "exports")
    stop = threading.Event()
    problems: list[BaseException] = []
    with contextlib.ExitStack() as first:
        first.enter_context(serve_in_thread(config))
        envs = [
            P2PEnv(gymnasium.make(BLEND, length=100_000), seat=seat, **lobby.options(fps=60)) for seat in "ab"
        ]
        threads = [threading.Thread(target=_play_on, args=(env, stop, problems), daemon=True) for env in envs]
        for thread in threads:
            thread.start()

        def play_further(frames: int = 30, meanwhile: Callable[[], bool] = lambda: True) -> None:
            goal = min(env.p2p.progress.frame for env in envs) + frames
            until(lambda: min(env.p2p.progress.frame for env in envs) >= goal and meanwhile())

        play_further()
        first.close()
        play_further()
        away = [env.p2p.recorder.record.service_away_ms for env in envs if env.p2p.recorder is not None]
        assert all(away), "noticed by both"
        with serve_in_thread(config) as again:
            until(lambda: lobby.count("matches") == 1 and lobby.count("connections") == 2)
            play_further()
            stop.set()
            for thread in threads:
                thread.join(PATIENCE_S)
            assert problems == []
            together(*(env.close for env in envs))
            finished = [env.p2p.recorder.finished for env in envs if env.p2p.recorder is not None]
            assert [one is not None and one.uploaded for one in finished] == [True, True]
            assert again.url == lobby.url
    documents = [env.export_multiplayer_metrics() for env in envs]
    assert_all_played_the_same(documents)
    for document in documents:
        (outage,) = document["serviceOutages"]
        assert outage["start"] + outage["durationMs"] - outage["end"] < 50.0
        assert not [pause for pause in document["pauses"] if pause["reason"] == "silent"]
        assert {gone["reason"] for gone in document["departures"]} <= {"peer_left"}
