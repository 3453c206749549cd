"""Where a person plays: a seat of a match, or an environment of their own; what they see of it.

Knows environments and sessions; refuses to know pages and keys.
"""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections.abc import Callable
from typing import Any, Protocol

import gymnasium
from gymnasium import Space, spaces

from gym_p2p.config.checks import require_number
from gym_p2p.core.record.episode import EpisodeRecord
from gym_p2p.core.sync.pacing import Pacer
from gym_p2p.errors import ConfigurationError, UnsupportedEnvironment, UsageError
from gym_p2p.game.drawing import RATES, own_rate
from gym_p2p.game.spaces.composites import encoding_of
from gym_p2p.game.spaces.leaves import UnsupportedSpace
from gym_p2p.game.spaces.masks import Mask, mask_of
from gym_p2p.human.encoding import Picture, require_picture
from gym_p2p.human.measures import PageMeasures
from gym_p2p.human.standing import standing_in_match
from gym_p2p.play.episode import LiveEpisode
from gym_p2p.play.local_seat import local_seat, session_of
from gym_p2p.play.recording import check_places
from gym_p2p.play.session import Session

__all__ = ["Show", "Stage", "stage_of"]

_log = logging.getLogger(__name__)

_ANOTHER_ONE = "another HumanSeat shows this environment: it has a page for one person"

_shown_alone: set[int] = set()
"""The ids of the environments that people who are alone are shown, in this process: not all can be hashed."""

Show = Callable[[Picture, int], None]
"""``show(picture, frame)``: the person sees this now; frame -1 is what ``reset`` gave."""


class Stage(Protocol):
    """What a person plays.

    Attributes:
        env: the environment itself, without wrappers.
        space: their actions.
        nothing: the action when no key is held.
        fps: frames a second.
        patience_s: for how long at most others wait for an action.
    """

    env: Any
    space: Space[Any]
    nothing: Any
    fps: float
    patience_s: float

    @property
    def seat(self) -> Any:
        """The person's; ``None`` where there is only one, or while any free one is wanted."""

    def open(self, show: Show, wait: Callable[[], None]) -> None:
        """Begin to show.

        Args:
            show: is given the pictures.
            wait: is called now and then while others are waited for; raises to wait no longer.

        Raises:
            UsageError: somebody else is shown it.
        """

    def close(self) -> None:
        """Show nothing any more. Idempotent."""

    def taken(self, page_rtt_ms: float | None) -> None:
        """Note that the person is there, and how far their page is; ``None`` is not known."""

    def before_action(self) -> None:
        """Called when the next frame's action is asked for, before the keys are looked at."""

    @property
    def own_turn(self) -> bool | None:
        """Whether it is the person's turn; ``None`` where all act at once."""

    def look_around(self) -> bool:
        """Take note of what others did while an action is chosen; return whether there is no use in one."""

    def show_last(self) -> None:
        """Show what the last step gave, where nobody has been shown it yet."""

    @property
    def mask(self) -> Mask | None:
        """Which actions are legal, by what the person sees now; ``None`` where nobody says."""

    @property
    def episode(self) -> int:
        """Counts episodes from 1 on; 0 before the first."""

    @property
    def frame(self) -> int:
        """The frame whose action is asked for."""

    @property
    def input_delay(self) -> int:
        """In how many frames an action has its effect."""

    def standing(self) -> dict[str, Any]:
        """Return how it stands, for the page; callable from any thread."""

    def keep(self, measures: PageMeasures) -> None:
        """Have what is measured of the page in the documents."""

    def acted(self, *, focused: bool) -> None:
        """Note whether the action that was asked for was chosen in sight of the game."""


def stage_of(env: Any, agent: Any, fps: float | None) -> Stage:
    """Return the stage of an environment.

    Args:
        env: a ``P2PEnv`` or ``P2PParallelEnv``, perhaps wrapped; or any environment of Gymnasium.
        agent: whose seat, where there are several.
        fps: of an environment that is not P2P; ``None`` is its own rate.

    Raises:
        UnsupportedEnvironment: it shows no pictures.
        ConfigurationError: there is no such agent, or no such rate, or the environment has its own.
    """
    session = session_of(env)
    if session is not None:
        if fps is not None:
            raise ConfigurationError("fps", f"the match has its own: give fps={fps!r} to the environment")
        return MatchStage(session, agent)
    if agent is not None:
        raise ConfigurationError("agent", f"a person alone plays all there is, got {agent!r}")
    return LoneStage(env, fps)


def _require_pictures(mode: str | None, env: Any) -> None:
    if mode != "rgb_array":
        name = type(env).__name__
        raise UnsupportedEnvironment(
            f"{name} shows a person nothing: it was made with render_mode={mode!r}; make it with "
            'render_mode="rgb_array" (its metadata["render_modes"] say whether it can)'
        )


def _picture(env: Any, rendered: Any) -> Picture:
    try:
        return require_picture(rendered)
    except ValueError as error:
        raise UnsupportedEnvironment(f"{type(env).__name__} shows a person nothing: {error}") from error


class MatchStage:
    """A seat of a match. Frames are shown as soon as they are played, before their time is waited for."""

    def __init__(self, session: Session, agent: Any) -> None:
        game = session.game
        self._session = session
        self._named = local_seat(session, agent, who="the person")
        example = game.seats[0] if self._named is None else self._named
        self.env = game.env.unwrapped
        _require_pictures(game.screen.render_mode, self.env)
        self.space = game.users_spaces(example)[0]
        self.nothing = game.default_action(example)
        self.fps = session.config.sync.fps or own_rate(self.env)
        if session.config.sync.fps is None and not game.takes_turns:
            _log.warning("frames are not paced: faster than a person can see; give the environment fps=")
        self.patience_s = session.config.sync.input_limit_s(takes_turns=game.takes_turns)
        self._show: Show | None = None
        self.waits: Callable[[], None] = _wait_on
        """See :class:`~gym_p2p.play.episode.Viewer`."""
        self._live: LiveEpisode | None = None
        self._episodes = 0
        self._records: dict[int, EpisodeRecord] = {}

    @property
    def seat(self) -> Any:
        """The person's; ``None`` while any free one is wanted."""
        if self._named is None and self._session.seats:
            return self._session.seats[0]
        return self._named

    @property
    def own_turn(self) -> bool | None:
        """Whether it is the person's turn; ``None`` where all act at once."""
        game = self._session.game
        return game.env.aec_env.agent_selection == self.seat if game.takes_turns else None

    def look_around(self) -> bool:
        """Take note of what others did while an action is chosen; return whether there is no use in one."""
        return self._session.drain()

    def show_last(self) -> None:
        """Nothing: every step shows what it gave."""

    @property
    def mask(self) -> Mask | None:
        """Which actions are legal, by what the person sees now; ``None`` where nobody says."""
        if self._live is None:
            return None
        outcome, seat = self._live.outcome, self._session.game.seats.index(self.seat)
        return mask_of(self.space, outcome.observations[seat], outcome.infos[seat])

    @property
    def episode(self) -> int:
        """Counts episodes from 1 on."""
        return self._episodes

    @property
    def frame(self) -> int:
        """The frame whose action is asked for."""
        return 0 if self._live is None else self._live.runner.session.frame

    @property
    def input_delay(self) -> int:
        """In how many frames an action has its effect."""
        return 0 if self._live is None else self._live.runner.session.input_delay

    def open(self, show: Show, wait: Callable[[], None]) -> None:
        """Begin to show.

        Raises:
            UsageError: somebody else is shown it.
            ConfigurationError: there will be no match, or its documents or recording could not be written.
        """
        if self._session.viewer is not None:
            raise UsageError(_ANOTHER_ONE)
        self._session.look_ahead()  # before a person is asked to come
        check_places(self._session.config)
        self._session.seated = self._session.seated.with_person(self._named)
        self._session.viewer = self
        self._show, self.waits = show, wait

    def close(self) -> None:
        """Show nothing any more. Idempotent."""
        if self._show is not None:
            self._show = self._session.viewer = None
            self.waits = _wait_on

    def taken(self, page_rtt_ms: float | None) -> None:
        """Note that the person is there, and how far their page is; ``None`` is not known."""
        self._session.seated = self._session.seated.with_person(self._named, page_rtt_ms)

    def look(self, episode: LiveEpisode) -> None:
        """Show what is new."""
        if self._show is None:
            return  # the episode goes on without the person
        if episode is not self._live:
            self._live = episode
            self._episodes += 1
            if self._session.recorder is not None:
                self._records = {self._episodes: self._session.recorder.record.episode}
        self._show(_picture(self.env, episode.render()), episode.frame_shown)

    def before_action(self) -> None:
        """Nothing: the session shows and paces."""
        if self._live is None:
            raise UsageError("no episode has begun in the seat's with block: call reset() before action()")

    def standing(self) -> dict[str, Any]:
        """Return how the match stands."""
        return standing_in_match(self._session, self.seat)

    def keep(self, measures: PageMeasures) -> None:
        """Have what is measured of the page in the documents."""
        recorder = self._session.recorder
        if recorder is None:
            return
        measures.continue_in(recorder.record.human, time.monotonic())
        for shown in measures.take_shown():
            record = self._records.get(shown.episode)
            if record is not None:
                record.shown(shown.frame, shown.at_ms)

    def acted(self, *, focused: bool) -> None:
        """Note whether the action that was asked for was chosen in sight of the game."""
        recorder = self._session.recorder
        if recorder is not None and not focused:
            seat = self._session.game.seats.index(self.seat)
            recorder.record.episode.out_of_focus(self.frame + self.input_delay, seat)


class LoneStage:
    """An environment of one's own: shown, and paced, whenever an action is asked for."""

    seat = None
    own_turn = None
    mask = None
    input_delay = 0
    patience_s = math.inf

    def __init__(self, env: Any, fps: float | None) -> None:
        if fps is not None:
            require_number("fps", fps, *RATES)
        if not isinstance(env, gymnasium.Env):
            raise UnsupportedEnvironment(f"wanted {_WANTED}, got {env!r}")
        self._outer = env
        self.env = env.unwrapped
        _require_pictures(env.render_mode, self.env)
        self.space = env.action_space
        self.nothing = _nearest_to_nothing(self.space)
        self.fps = own_rate(env) if fps is None else float(fps)
        self._pacer = Pacer(self.fps)
        self._show: Show | None = None
        self.frame = -1
        self.episode = 0

    def open(self, show: Show, wait: Callable[[], None]) -> None:
        """Begin to show; nobody else is waited for.

        Raises:
            UsageError: somebody else is shown it.
        """
        del wait
        if id(self.env) in _shown_alone:
            raise UsageError(_ANOTHER_ONE)
        _shown_alone.add(id(self.env))
        self._show = show

    def close(self) -> None:
        """Show nothing any more. Idempotent."""
        if self._show is not None:
            self._show = None
            _shown_alone.discard(id(self.env))

    def taken(self, page_rtt_ms: float | None) -> None:
        """Nothing: nobody else is there."""

    def before_action(self) -> None:
        """Show what the step before gave; wait until the next frame is due."""
        self._look()  # raises where there is nothing to be played: then nothing has begun
        self.frame += 1
        self.episode = 1
        wait_s = self._pacer.wait_s(time.monotonic())
        if wait_s > 0:
            time.sleep(wait_s)

    def look_around(self) -> bool:
        """Nobody else is there."""
        return False

    def show_last(self) -> None:
        """Show what the step after the last action gave: no other action will be asked for, perhaps."""
        if self.episode and self._show is not None:
            with contextlib.suppress(Exception):  # it may have been closed before: then there is none
                self._look()

    def _look(self) -> None:
        if self._show is not None:
            self._show(self._picture(), self.frame)

    def _picture(self) -> Picture:
        try:
            rendered = self._outer.render()
        except gymnasium.error.ResetNeeded as error:
            raise UsageError("no episode has begun: call reset() before action()") from error
        if rendered is None and not self.episode:  # what of Gymnasium's own is not reset shows nothing
            raise UnsupportedEnvironment(
                f"{type(self.env).__name__} shows a person nothing: render() gave None; was it reset?"
            )
        return _picture(self.env, rendered)

    def standing(self) -> dict[str, Any]:
        """Return how it stands: nobody says."""
        return {"phase": "playing" if self.episode else "waiting", "seats": []}

    def keep(self, measures: PageMeasures) -> None:
        """Nothing: there are no documents."""

    def acted(self, *, focused: bool) -> None:
        """Nothing either."""


def _wait_on() -> None:
    """Wait for others as long as it takes."""


_WANTED = "a P2PEnv, a P2PParallelEnv or an environment of Gymnasium's that has been made"


def _nearest_to_nothing(space: Space[Any]) -> Any:
    """Return what a player of a match would do who does nothing."""
    try:
        found = encoding_of(space).default()
    except UnsupportedSpace as problem:
        raise UnsupportedEnvironment(f"a person cannot play {space}: it has {problem}") from None
    return int(found) if isinstance(space, spaces.Discrete) else found
