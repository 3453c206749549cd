"""Plays one seat with a policy: what ``gym-p2p join`` does, without anything on the screen."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import attrs

from gym_p2p.cli.drawing import load_drawn
from gym_p2p.cli.reaching import require_service
from gym_p2p.cli.seat_options import Reactions
from gym_p2p.cli.status import Status, Summary, sync_in_words, without_samples
from gym_p2p.cli.surroundings import past_a_signal
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import P2PError
from gym_p2p.play.whole_match import play_whole_match

if TYPE_CHECKING:
    from gym_p2p.game.env.split import SeatsOption
    from gym_p2p.human.seat import HumanSeat
    from gym_p2p.policies.seat import PolicySeat
    from gym_p2p.wrapper import P2PEnv, P2POptions

__all__ = ["Part", "PersonsPart", "play"]

REPORT_INTERVAL_S = 0.2

RATE_WINDOW_S = 2.0
"""The step rate is that of the newest two seconds."""


@attrs.frozen(kw_only=True)
class PersonsPart:
    """A person plays, at a page."""

    keys: str | None = None
    """The file of the table of their keys; ``None`` takes what the environment offers."""
    browser: bool = True
    """Whether to open one."""


@attrs.frozen(kw_only=True)
class Part:
    """What to play."""

    env: str
    env_args: Mapping[str, Any]
    seat: SeatId | None
    watchers: int = 0
    seats: SeatsOption = None
    policy: str = "random"
    reactions: Reactions = attrs.field(factory=lambda: Reactions(reaction_ms=0.0, actions_per_s=None))
    """How fast the policy may react."""
    person: PersonsPart | None = None
    """Who plays instead of the policy."""
    stand_in: str | None = None
    """The policy that plays for players who are away, where one does."""
    seed: int | None = None
    frames: int | None = None
    episodes: int | None = None
    picture: bool = False
    """Whether reports hold the environment's ``ansi`` rendering."""
    options: P2POptions


def play(part: Part, report: Callable[[Status], None]) -> Summary:
    """Join, play to the end, close.

    Args:
        part: what to play.
        report: called a few times a second; while the place in a queue changes, from a thread of its own.

    Raises:
        P2PError: there was no match.
    """
    from gym_p2p.net.worker.backends import prepare_network  # noqa: PLC0415 - what --help does not need

    prepare_network(part.options.get("network", "process"))  # it loads beside what this process loads
    report(Status(seat=part.seat, state="loading"))
    env = _environment(part)
    player = _SeatedPlayer(env, part, report)
    ending, finished = play_whole_match(env.p2p, player.run, _unbroken)
    gone = env.p2p.ending
    return Summary(
        match_id=env.p2p.progress.match_id,
        status=player.status(),
        ending=ending,
        told=None if gone is None or gone.player is None else str(gone),
        exports={kind: str(path) for kind, path in finished.paths.items()} if finished else {},
        uploaded=bool(finished and finished.uploaded),
        problems=finished.problems if finished else (),
        lost=finished is not None and finished.lost,
        recording=None if env.p2p.recording is None else str(env.p2p.recording),
    )


def _unbroken(ending: str) -> contextlib.AbstractContextManager[None]:
    """A Ctrl-C that comes too late costs no document; after one that did not, another breaks it off."""
    return contextlib.nullcontext() if ending == "interrupted" else past_a_signal()


def _environment(part: Part) -> P2PEnv:
    """Return what a part is played in."""
    from gym_p2p.game.env.recipe import named_recipe  # noqa: PLC0415 - Gymnasium, which --help does not need
    from gym_p2p.wrapper import P2PEnv  # noqa: PLC0415 - the same

    drawn = _drawn(part)
    options = part.options
    paced = part.person is not None or any(part.reactions.values())
    if paced and options.get("fps") is None:
        from gym_p2p.game.drawing import own_rate  # noqa: PLC0415 - the same, which only a person needs

        options = {**options, "fps": own_rate(drawn)}
    if part.stand_in is not None:
        from gym_p2p.policies.stand_in import PolicyStandIn  # noqa: PLC0415 - the same

        options = {**options, "stand_in": PolicyStandIn(part.stand_in)}
    env = P2PEnv(drawn, seat=part.seat, watchers=part.watchers, seats=part.seats, **options)
    env.p2p.environment = named_recipe(part.env, part.env_args)
    return env


def _drawn(part: Part) -> Any:
    """Return the environment, which draws what somebody is to see of it."""
    if part.person is not None:
        return load_drawn(part.env, part.env_args, mode="rgb_array", option="--human")
    mode = "ansi" if part.picture else None
    return load_drawn(part.env, part.env_args, mode=mode, option="--picture")


class _SeatedPlayer:
    """One player at a seat."""

    def __init__(self, env: P2PEnv, part: Part, report: Callable[[Status], None]) -> None:
        self._env = env
        self._part = part
        self._report = report
        self._has_played = False
        """Whether an episode was played, by this process."""
        self._reward = 0.0
        self._steps: deque[tuple[float, int]] = deque()
        self._reported_at = 0.0
        self._reported = Status(seat=part.seat, state="connecting")

    def run(self) -> str:
        """Play episode after episode; return how it ended."""
        with contextlib.ExitStack() as stack:
            person = self._part.person
            seat = self._policys() if person is None else stack.enter_context(self._persons(person))
            self._report(self._reported)
            stack.enter_context(self._reported_while_waiting())
            return self._play(seat)

    def _persons(self, person: PersonsPart) -> HumanSeat:
        """Return the seat of a person; entered, it waits until they are there."""
        from gym_p2p.human.seat import HumanSeat  # noqa: PLC0415 - its web server takes a program's start

        seat = HumanSeat(self._env, keys=person.keys, browser=person.browser)
        require_service(self._env.p2p.config)
        self._report(attrs.evolve(self._reported, state="waiting for the page to be opened"))
        return seat

    def _policys(self) -> PolicySeat:
        """Return the seat of a policy; an error of its name comes early."""
        from gym_p2p.policies.seat import PolicySeat  # noqa: PLC0415 - Gymnasium, which --help does not need

        return PolicySeat(self._env, self._part.policy, **self._part.reactions)

    def _play(self, seat: HumanSeat | PolicySeat) -> str:
        while True:
            ending = self._begin() or self._episode(seat)
            self._has_played = True
            if ending is not None:
                return ending
            if self._played_episodes() or self._played_all():
                return "done"

    def _begin(self) -> str | None:
        """Begin an episode; return how the match ended, where nobody is left to go on with after one."""
        try:
            self._env.reset(seed=self._part.seed)
        except P2PError:
            if not self._has_played or self._env.p2p.ending is None:
                raise
        else:
            if not self._has_played:
                self._reward = self._reward_before()
        return self._over()

    def _reward_before(self) -> float:
        """Return what the seat got in a match that it has come back to; 0 in one that has just begun."""
        recorder, seat = self._env.p2p.recorder, self._env.p2p.progress.player_id
        if recorder is None or seat is None:
            return 0.0
        number = list(self._env.p2p.game.seats).index(seat)
        episodes = recorder.record.episodes
        return sum((got for one in episodes for got in one.totals.returns[number : number + 1]), 0.0)

    def _over(self) -> str | None:
        """Return how the match ended, ``None`` if it goes on: also with who began anew."""
        ending = self._env.p2p.ending
        return None if ending is None or ending.reason == "peer_reset" else ending.reason

    @contextlib.contextmanager
    def _reported_while_waiting(self) -> Iterator[None]:
        """Report, while ``reset`` or ``step`` waits, where: in a queue, or for whom the match stands."""
        over = threading.Event()

        def report_waits() -> None:
            reported, reported_at = None, 0.0
            while not over.wait(REPORT_INTERVAL_S):
                progress, now = self._env.p2p.progress, time.monotonic()
                queue, paused = progress.queue_status, progress.paused
                if paused is not None:
                    self._report(attrs.evolve(self._reported, state="paused", paused=str(paused)))
                if queue is None:
                    continue
                if queue != reported:
                    reported, reported_at = queue, now
                waited = attrs.evolve(queue, wait_s=queue.wait_s + now - reported_at)
                self._report(Status(seat=self._part.seat, state=queue.state, queue=waited))

        reporter = threading.Thread(target=report_waits, name="gym_p2p report of waits", daemon=True)
        reporter.start()
        try:
            yield
        finally:
            over.set()
            reporter.join()

    def _played_episodes(self) -> bool:
        """Return whether the match has come as far as is wanted, also with a process before this one."""
        wanted = self._part.episodes
        return wanted is not None and self._env.p2p.progress.episode >= wanted

    def _played_all(self) -> bool:
        return self._env.p2p.progress.frames_total == self._part.frames

    def _episode(self, seat: HumanSeat | PolicySeat) -> str | None:
        """Play one episode; return how the match ended, ``None`` if it goes on."""
        over = False
        while not over:
            if self._played_all():
                return "done"
            _, reward, terminated, truncated, _ = self._env.step(seat.action())
            self._reward += reward
            over = terminated or truncated
            self._tick()
            if (ending := self._over()) is not None:
                return ending
        return None

    def _tick(self) -> None:
        now = time.monotonic()
        if now < self._reported_at + REPORT_INTERVAL_S:
            return
        self._reported_at = now
        self._steps.append((now, self._env.p2p.progress.frames_total))
        while self._steps[0][0] < now - RATE_WINDOW_S:
            self._steps.popleft()
        self._reported = self.status()
        self._report(self._reported)

    def status(self) -> Status:
        """Return where the player is."""
        progress = self._env.p2p.progress
        return Status(
            seat=progress.player_id,
            state=progress.state.value,
            episode=progress.episode,
            frame=progress.frame,
            frames_total=progress.frames_total,
            steps_per_s=self._rate(),
            reward=round(self._reward, 6) + 0.0,  # -0.0 becomes 0.0
            checksums_agreed=progress.checksums_agreed,
            desyncs=progress.desyncs,
            state_desyncs=progress.state_desyncs,
            latency={str(peer): without_samples(s) for peer, s in self._env.p2p.latency().items()},
            picture=self._picture(),
            sync=sync_in_words(progress),
            away=tuple(map(str, progress.away)),
            relayed=tuple(map(str, progress.relayed)),
        )

    def _rate(self) -> float | None:
        if len(self._steps) < 2:
            return None
        (began, first), (ended, last) = self._steps[0], self._steps[-1]
        return (last - first) / (ended - began)

    def _picture(self) -> str | None:
        if not self._part.picture or self._env.p2p.state.value == "closed":
            return None
        picture = self._env.render()
        return picture if isinstance(picture, str) else None
