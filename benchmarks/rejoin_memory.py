"""What coming back to a match of Rally takes by itself: what is kept, what is sent, what is played again.

``python -m benchmarks.rejoin_memory [--frames 30000]``. Everything but the network and the start of a
process: the messages are handed over in memory, and the frames are played again as by a player who has come
back, with their record. :mod:`benchmarks.rejoin` has all of it.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any, cast

import gymnasium
from rich.console import Console
from rich.table import Table

from gym_p2p.config import SyncConfig
from gym_p2p.core.match.events import EpisodeBegan
from gym_p2p.core.match.history import History
from gym_p2p.core.match.return_events import PastEpisode
from gym_p2p.core.record.match_record import MatchRecord
from gym_p2p.core.wire.messages import Ready, decode, encode
from gym_p2p.core.wire.past import Past, Recall
from gym_p2p.game.env.game import Game
from gym_p2p.game.env.seats import make_game
from gym_p2p.play.played_match import PlayedMatch
from gym_p2p.play.runner import EpisodeRunner
from gym_p2p.play.sync_mode import SyncChoice

__all__ = ["fetch", "main", "play", "play_again"]

_SEED = 7


def play(game: Game, frames: int) -> History:
    """Play so many frames with random actions, episode after episode; return what a player keeps of them."""
    drawn, history = random.Random(_SEED), History(len(game.seats))
    left = frames
    while left > 0:
        number = len(history.episodes) + 1
        history.begin({player: Ready(number, _SEED, None, 0, 0) for player in range(len(game.seats))})
        game.reset(_SEED + number, None)
        ended = False
        while left > 0 and not ended:
            actions = [drawn.randrange(3) for _ in game.seats]
            for player, action in enumerate(actions):
                history.add(player, (game.codec(game.seats[player]).encode(action),))
            ended = game.step(actions).ended
            left -= 1
    return history


def fetch(history: History) -> tuple[History, int, int]:
    """Ask for all of it, as a player does who comes back; return it, the messages and their bytes."""
    mine, messages, size = History(2), 0, 0
    for asked in _asked(mine):
        data = encode(history.past(asked, more=False))
        past = cast("Past", decode(data))
        messages, size = messages + 1, size + len(data)
        mine.merge(past)
        if mine.episodes[-1].held == past.held and past.episode == past.newest:
            break
    return mine, messages, size


def _asked(mine: History) -> Iterator[Recall]:
    number = 1
    while True:
        there = number <= len(mine.episodes)
        held = mine.episodes[number - 1].held if there else (0, 0)
        yield Recall(number, held, 0, claims=True)
        if mine.episodes[number - 1].held == held:
            number += 1


def play_again(game: Game, history: History) -> int:
    """Play it again with its record; return how many frames that were."""
    match = PlayedMatch(
        game=game,
        holders=range(len(game.seats)),
        local=0,
        config=SyncConfig(),
        choice=SyncChoice(mode="lockstep", why="to be measured"),
        record=MatchRecord(
            game_id="match",
            player_id=game.seats[0],
            players=game.seats,
            peers=game.seats[1:],
            session_start_ms=0,
            environment={},
            config={},
        ),
        command=lambda _command: None,
        now_ms=lambda: 0,
        monotonic_s=time.monotonic,
    )
    frames = 0
    for number, episode in enumerate(history.episodes, 1):
        runner = EpisodeRunner(match, EpisodeBegan(number, _SEED + number, {}, (0, 0)), again=True)
        inputs, none = tuple(map(tuple, episode.inputs)), (0,) * len(episode.inputs)
        actors = (b"",) * len(inputs)
        runner.play_again(
            PastEpisode(number, _SEED + number, {}, none, none, inputs, actors, None, left_first=False)
        )
        frames += runner.rollout.final_count
    return frames


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=30_000)
    frames = parser.parse_args(arguments).frames
    rows: list[tuple[str, Any]] = []
    game = make_game(gymnasium.make("gym_p2p.envs:gym_p2p/Rally-v0"))
    history = play(game, frames)
    rows.append(("frames, in so many episodes", f"{frames:,}, {len(history.episodes)}"))
    rows.append(("kept by every player, bytes a frame", f"{history.size_bytes / frames:.1f}"))
    began = time.process_time()
    mine, messages, size = fetch(history)
    rows.append(("fetched, messages and bytes", f"{messages}, {size:,}"))
    rows.append(("fetched, seconds of the processor", f"{time.process_time() - began:.2f}"))
    began = time.process_time()
    again = play_again(game, mine)
    took_s = time.process_time() - began
    rows.append(("played again, frames", f"{again:,}"))
    rows.append(("played again, seconds of the processor", f"{took_s:.2f}"))
    rows.append(("played again, microseconds a frame", f"{1e6 * took_s / again:.0f}"))
    table = Table("what", "figure", title="coming back to Rally")
    for row in rows:
        table.add_row(*row)
    Console().print(table)
    return 0 if again == frames else 1


if __name__ == "__main__":
    sys.exit(main())
