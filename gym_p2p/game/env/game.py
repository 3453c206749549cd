"""What a game is to the session above: seats that act, and an outcome for each of them.

Knows nothing of what kind of environment is behind it; :mod:`gym_p2p.game.env.seats` makes the right
:class:`Game` for one.
"""

from __future__ import annotations

import abc
import contextlib
import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import gymnasium

from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import ConfigurationError, UsageError
from gym_p2p.game.env.describe import describe, files_of, made_of
from gym_p2p.game.env.screen import Screen
from gym_p2p.game.outcome import Outcome
from gym_p2p.game.spaces.codec import ActionCodec

__all__ = ["Game", "GameAround"]

_T = TypeVar("_T")


class Game(abc.ABC):
    """An environment as seats with joint steps; the same interface over every kind of environment.

    The order of ``seats`` is that of the environment and therefore the same on every player's machine.
    All that a game remembers between two steps, beyond the environment itself, is one immutable value,
    :attr:`progress`: whoever saves and restores the environment has to keep that with it.

    Attributes:
        env: the environment that is stepped (the parallel form, if the one given was converted), without
            wrappers that film.
        screen: whether it draws while it is played. It does so only inside of :meth:`shown`.
        seats: the seats' ids, in the order of every joint action and outcome.
        progress: opaque and immutable; save it with the environment's state and assign it back.
        watchers: how many of the seats only watch.
        split: which parts of the action are whose, where that was said, as plain JSON data; else ``None``.
        made_of: what the environment is: its ``id``, ``arguments`` and ``packages`` as plain JSON data.
        files: names, without folders, of files whose contents are compared, by :meth:`describe`'s topics.
        takes_turns: whether a step is one seat's turn, and what the others do in it is ignored.
    """

    watchers: int = 0
    split: Any = None
    takes_turns: bool = False

    def __init__(
        self,
        env: Any,
        spaces: Mapping[SeatId, tuple[gymnasium.Space[Any], gymnasium.Space[Any]]],
        default_actions: Any,
    ) -> None:
        self.screen = Screen(env)
        self.env = self.screen.dark
        self.seats: tuple[SeatId, ...] = tuple(spaces)
        self.progress: Any = None
        self._spaces = dict(spaces)
        self._users: dict[SeatId, tuple[gymnasium.Space[Any], gymnasium.Space[Any]]] = {}
        self._codecs = {seat: ActionCodec(action, seat=seat) for seat, (action, _) in spaces.items()}
        self._defaults = {seat: self._encoded_default(seat, default_actions) for seat in spaces}
        # Now and once: some environments change their own arguments while being played.
        self._description = describe(env, self._spaces)
        self.made_of: Mapping[str, Any] = made_of(env)
        self.files: Mapping[str, str] = files_of(env)
        self._closed = False

    def action_space(self, seat: SeatId) -> gymnasium.Space[Any]:
        """Return the seat's action space, the same object every time."""
        return self._of(self._spaces, seat)[0]

    def observation_space(self, seat: SeatId) -> gymnasium.Space[Any]:
        """Return the seat's observation space, the same object every time."""
        return self._of(self._spaces, seat)[1]

    def users_spaces(self, seat: SeatId) -> tuple[gymnasium.Space[Any], gymnasium.Space[Any]]:
        """Return copies of a seat's two spaces, the same every time, for a user to draw from.

        What is drawn from the environment's own moves its state, and is taken back with it.
        """
        if seat not in self._users:
            try:
                self._users[seat] = copy.deepcopy(self._of(self._spaces, seat))
            except Exception:  # noqa: BLE001 whatever a space of somebody's own may raise
                self._users[seat] = self._of(self._spaces, seat)
        return self._users[seat]

    def codec(self, seat: SeatId) -> ActionCodec:
        """Return what checks, encodes and decodes this seat's actions."""
        return self._of(self._codecs, seat)

    def default_action(self, seat: SeatId) -> Any:
        """Return the seat's no-op as a fresh object: what it does where no input of its player exists.

        Unless configured: the action nearest to zero (0 or the lowest value of a ``Discrete``, zeros
        clipped into a ``Box``, the shortest text or sequence, the first alternative).
        """
        return self.codec(seat).decode(self._of(self._defaults, seat))

    @abc.abstractmethod
    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> Outcome:
        """Begin an episode. Rewards are 0.0, and no seat has ended."""

    @abc.abstractmethod
    def step(self, actions: Sequence[Any]) -> Outcome:
        """Advance one frame with every seat's action, in seat order.

        The actions must be canonical (:meth:`ActionCodec.check` or ``decode``). Those of seats that are
        over are ignored.
        """

    def take_stage(self) -> None:  # noqa: B027 nothing is the default, not a gap
        """Make what this game keeps in places that all copies of a process share its own, as it left it.

        Whoever saves or restores the environment calls this before. There are no such places by default.
        """

    def comparable(self, progress: Any) -> Any:
        """Return what of a value of :attr:`progress` is state beyond the environment's own."""
        return progress

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """Let the environment draw what it is made to play inside."""
        with self.screen.shown():
            self.env = self.screen.light
            try:
                yield
            finally:
                self.env = self.screen.dark

    def render(self) -> Any:
        """Return what the environment renders."""
        with self.shown():
            return self.env.render()

    def close(self) -> None:
        """Close the environment. Idempotent."""
        if not self._closed:
            self._closed = True
            with self.shown():
                self.env.close()

    def describe(self) -> dict[str, str]:
        """Return what the players' sides have to agree on before they play, as readable text by topic."""
        shares = {} if self.split is None else {"shares of the action": repr(self.split)}
        return self._description | shares

    def _of(self, table: Mapping[SeatId, _T], seat: SeatId) -> _T:
        try:
            return table[seat]
        except (KeyError, TypeError):
            raise UsageError(
                f"no seat {seat!r} in this environment; its seats are {', '.join(map(repr, self.seats))}"
            ) from None

    def _encoded_default(self, seat: SeatId, configured: Any) -> bytes:
        codec = self._codecs[seat]
        if isinstance(configured, Mapping):
            unknown = [key for key in configured if str(key) not in map(str, self.seats)]
            if unknown:
                raise ConfigurationError("default_actions", f"{unknown[0]!r} is none of {list(self.seats)}")
            configured = configured.get(seat, configured.get(str(seat)))
        if configured is None:
            return codec.encode(codec.default())
        try:
            return codec.encode(codec.from_json(configured))
        except UsageError as error:
            raise ConfigurationError("default_actions", str(error)) from error


class GameAround(Game):
    """A game around another one, which it owns from then on: the base of what changes one of its verbs."""

    def __init__(self, game: Game) -> None:
        self._game = game
        self.env = game.env
        self.screen = game.screen
        self.seats = game.seats
        self.made_of = game.made_of
        self.files = game.files
        self.watchers, self.split, self.takes_turns = game.watchers, game.split, game.takes_turns

    @property
    def progress(self) -> Any:
        """What the game remembers."""
        return self._game.progress

    @progress.setter
    def progress(self, value: Any) -> None:
        self._game.progress = value

    def action_space(self, seat: SeatId) -> gymnasium.Space[Any]:
        """See :class:`Game`."""
        return self._game.action_space(seat)

    def observation_space(self, seat: SeatId) -> gymnasium.Space[Any]:
        """See :class:`Game`."""
        return self._game.observation_space(seat)

    def users_spaces(self, seat: SeatId) -> tuple[gymnasium.Space[Any], gymnasium.Space[Any]]:
        """See :class:`Game`."""
        return self._game.users_spaces(seat)

    def codec(self, seat: SeatId) -> ActionCodec:
        """See :class:`Game`."""
        return self._game.codec(seat)

    def default_action(self, seat: SeatId) -> Any:
        """See :class:`Game`."""
        return self._game.default_action(seat)

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> Outcome:
        """See :class:`Game`."""
        return self._game.reset(seed, options)

    def step(self, actions: Sequence[Any]) -> Outcome:
        """See :class:`Game`."""
        return self._game.step(actions)

    def take_stage(self) -> None:
        """See :class:`Game`."""
        self._game.take_stage()

    def comparable(self, progress: Any) -> Any:
        """See :class:`Game`."""
        return self._game.comparable(progress)

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """See :class:`Game`."""
        with self._game.shown():
            yield

    def render(self) -> Any:
        """See :class:`Game`."""
        return self._game.render()

    def close(self) -> None:
        """See :class:`Game`."""
        self._game.close()

    def describe(self) -> dict[str, str]:
        """See :class:`Game`."""
        return self._game.describe()
