"""One environment of the sweep: the card, a simulated match against the oracle, a real match, a drawn one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gym_p2p import P2PEnv, check_env_determinism, simulate
from gym_p2p.config import ServiceConfig
from gym_p2p.game.checksum import checksum
from gym_p2p.game.env.game import Game
from gym_p2p.game.env.load import load_environment
from gym_p2p.game.env.seats import make_game
from gym_p2p.policies.load import load_policy
from gym_p2p.server import serve_in_thread
from tests.players import Lobby, assert_all_played_the_same, together
from tests.sweep.cases import Case

__all__ = ["PARTS", "run"]

SEED = 3
MOST_SEATS = 8

FPS = 60
ONE_WAY_MS = 40
DELAY_FRAMES = 10
"""More frames than an action is on its way. An episode that is over by then may have had to guess none."""


def run(case: Case) -> Iterator[tuple[str, str]]:
    """Yield, for every part, its name and what came of it; an error is the part's."""
    verdict, why = _verdict(case)
    yield "verdict", verdict if verdict in case.right else f"WRONG: {verdict.upper()}, {why}"
    if verdict == "unfit":
        return
    for name, part in PARTS.items():
        if name == "drawn" and not case.human:
            continue
        try:
            yield name, part(case, verdict)
        except Exception as error:  # noqa: BLE001 it is told
            yield name, f"FAILED: {type(error).__name__}: {' '.join(str(error).split())[:300]}"


def _game(case: Case, args: dict[str, Any] | None = None) -> Game:
    env = load_environment(case.env, case.args if args is None else args)
    return make_game(env, watchers=case.watchers, seats=case.seats)


def _verdict(case: Case) -> tuple[str, str]:
    card = check_env_determinism(
        case.env, env_args=case.args, steps=case.frames, seeds=(1,), seats=case.seats
    )
    return card.verdict, card.why


def _policies(game: Game) -> dict[Any, Callable[[Any, int], Any]]:
    return {seat: load_policy("random", game, seat, seed=i) for i, seat in enumerate(game.seats)}


def _simulated(case: Case, verdict: str) -> str:
    """Play on virtual time over a bad network; compare with a plain environment, frame by frame."""
    oracle = _game(case)
    if len(oracle.seats) > MOST_SEATS:
        return f"not tried: {len(oracle.seats)} seats"
    match = simulate(
        lambda: load_environment(case.env, case.args),
        _policies(oracle),
        frames=case.frames,
        seed=SEED,
        one_way_ms=30,
        loss=0.02,
        sync=verdict,  # type: ignore[arg-type]  # it is one of the two
        seats=case.seats,
    )
    first = next(iter(match.players.values())).confirmed
    assert len(first) > 0
    oracle.reset(SEED)
    for row, frame in enumerate(first):
        outcome = oracle.step([oracle.codec(seat).from_json(frame.actions[seat]) for seat in oracle.seats])
        for index, seat in enumerate(oracle.seats):
            seen = match.players[seat].confirmed[row]
            assert checksum(seen.observation) == checksum(outcome.observations[index]), (row, seat)
            assert checksum(seen.reward) == checksum(outcome.rewards[index]), (row, seat)
    rollbacks = sum(player.counters.rollbacks for player in match.players.values())
    assert rollbacks > 0 or verdict == "lockstep", "nothing was rolled back"
    oracle.close()
    return f"{len(first)} frames, {rollbacks} rollbacks"


def _real(case: Case, verdict: str, *, args: dict[str, Any] | None = None) -> str:
    """Play over real channels; all players' documents have to agree."""
    if case.apart:
        return _by_command(case, verdict)
    probe = _game(case)
    seats, policies = probe.seats, _policies(probe)
    if len(seats) > MOST_SEATS:
        return f"not tried: {len(seats)} seats"
    with (
        tempfile.TemporaryDirectory() as folder,
        serve_in_thread(ServiceConfig(port=0, data_dir=folder)) as service,
    ):
        options = Lobby(service.url, Path(folder) / "exports").options(
            fps=FPS, sync=verdict, checksum_interval=10, emulation={"one_way_ms": ONE_WAY_MS}
        )
        envs = [
            P2PEnv(
                load_environment(case.env, args if args is not None and at == 0 else case.args),
                seat=seat,
                watchers=case.watchers,
                seats=case.seats,
                **options,
            )
            for at, seat in enumerate(seats)
        ]

        def play(env: P2PEnv, policy: Callable[[Any, int], Any]) -> int:
            observation, _ = env.reset(seed=SEED)
            for frame in range(case.frames):
                observation, _, terminated, truncated, info = env.step(policy(observation, frame))
                if terminated or truncated:
                    assert "p2p" not in info, info["p2p"]
                    return frame + 1
            return case.frames

        calls = [lambda e=env, s=seat: play(e, policies[s]) for env, seat in zip(envs, seats, strict=True)]
        played = together(*calls, timeout_s=120)
        totals = [env.p2p.progress.totals for env in envs]
        for env in envs:
            env.close()
        for one in played:
            if isinstance(one, BaseException):
                raise one
        assert_all_played_the_same([env.export_multiplayer_metrics() for env in envs])
    rollbacks = sum(one.rollbacks for one in totals if one is not None)
    frames = max(one for one in played if isinstance(one, int))
    return _told(frames, verdict, rollbacks)


def _told(frames: int, verdict: str, rollbacks: int) -> str:
    """Say what was played; in rollback something has to have been guessed wrong, if it took long enough."""
    if verdict == "rollback" and frames > DELAY_FRAMES:
        assert rollbacks > 0, f"nothing was rolled back in {frames} frames"
    return f"{frames} frames in {verdict}, {rollbacks} rollbacks"


def _by_command(case: Case, verdict: str) -> str:
    """Play a match of processes."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "gym_p2p", "demo", "--env", case.env, "--json", "--exports", folder]
        command += ["--frames", str(case.frames), "--fps", str(FPS), "--sync", verdict]
        command += ["--one-way-ms", str(ONE_WAY_MS)]
        for key, value in case.args.items():
            command += ["--env-arg", f"{key}={json.dumps(value)}"]
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert ended.returncode == 0, ended.stderr[-300:]
        rollbacks = sum(
            json.loads(path.read_text())["rollbacks"]["count"]
            for path in Path(folder).rglob("*.session.json")
        )
    return f"{_told(case.frames, verdict, rollbacks)}, in processes"


def _drawn(case: Case, verdict: str) -> str:
    """Play with one player's window open, on a screen that is not there; count its pictures."""
    os.environ["SDL_VIDEODRIVER"] = "dummy"
    import pygame  # noqa: PLC0415 only here

    pictures = 0

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            nonlocal pictures
            pictures += 1
            return real(*arguments)

        return call

    pygame.display.flip, pygame.display.update = counted(pygame.display.flip), counted(pygame.display.update)
    human = {**case.args, "render_mode": "human"}
    told = _real(case, verdict, args=human)
    played, pictures = pictures, 0
    plain = _game(case, human)
    actions = [plain.default_action(seat) for seat in plain.seats]
    with plain.shown():
        plain.reset(SEED)
        at_reset = pictures
        plain.step(actions)
    wanted = at_reset + (pictures - at_reset) * int(told.split()[0])
    plain.close()
    assert played == wanted, f"{played} pictures instead of {wanted}, {told}"
    return f"{played} pictures of {told}"


PARTS = {"simulated": _simulated, "real": _real, "drawn": _drawn}
