"""Saving and restoring a game in the middle of an episode.

Three ways, in the order in which :mod:`gym_p2p.game.state.proof` tries them: what the user knows (hooks),
what the environment offers (``get_state`` and ``set_state``), and a copy of all that hangs on the environment
and its wrappers (:mod:`gym_p2p.game.state.graph`; it uses an emulator's own saving where it meets one). None
of them copies or pickles an environment itself: those that derive from ``EzPickle`` would come back in
another state.

What draws and wrappers that record stay outside: they are the same before and after. What the environment
keeps in its modules and classes belongs to it (:mod:`gym_p2p.game.state.outside`); it is saved and restored,
and not compared, for what a process keeps for all (a cache of pictures) may differ between players.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import msgspec
import pettingzoo

from gym_p2p.errors import UnsupportedEnvironment, UsageError
from gym_p2p.game.env.describe import RECORDERS, layers
from gym_p2p.game.env.game import Game
from gym_p2p.game.state import graph
from gym_p2p.game.state.compared import Word, word_for
from gym_p2p.game.state.digest import canonical_data, canonical_state, state_digest
from gym_p2p.game.state.fields import Fields, fields_checksum, fields_of
from gym_p2p.game.state.kinds import Entry, Unreachable
from gym_p2p.game.state.outside import Outside
from gym_p2p.game.state.rehearsal import without

__all__ = [
    "Hook",
    "Hooks",
    "Snapshot",
    "Snapshots",
    "Strategy",
    "require_hooks",
    "snapshots_named",
    "strategies_for",
]

Hook = str | Callable[..., Any]

Hooks = tuple[Hook, Hook]
"""How to save and how to load: names of methods of ``env.unwrapped``, or callables ``save(env) -> state`` and
``load(env, state)`` that get ``env.unwrapped``. Wrappers around it are kept by us."""

_OFFERED = (("get_state", "set_state"), ("save_state", "load_state"))

_PETTINGZOO_ATTRIBUTES = (
    *("agents", "agent_selection", "rewards", "_cumulative_rewards"),
    *("terminations", "truncations", "infos"),
)


class Strategy(Protocol):
    """One way to save and restore an environment with all its wrappers.

    Attributes:
        name: what it is called.
        kept_outside: what is saved beside the environment's objects.
    """

    name: str
    kept_outside: Outside

    def save(self) -> Any:
        """Return what :meth:`load` takes, any number of times."""

    def load(self, content: Any) -> None:
        """Go back."""

    def fields(self, content: Any, progress: Any, word: Word) -> Fields:
        """Return what was saved as plain data; raise ``Unreachable`` where it is no plain data."""

    def form(self, content: Any, progress: Any) -> list[bytes]:
        """Return the canonical form of what was saved, where :meth:`fields` are the same: for digests.

        Raises ``TypeError`` where something has none.
        """


class Snapshot:
    """A moment of a game: what :meth:`Snapshots.save` returns. Opaque, and only good for its own game."""

    __slots__ = ("content", "progress")

    def __init__(self, content: Any, progress: Any) -> None:
        self.content = content
        self.progress = progress


class Snapshots:
    """Saves and restores one game by one strategy.

    Attributes:
        name: the strategy's name: ``"hooks"``, ``"get_state/set_state"``, ``"layers"`` and the like.
        kept_outside: what is saved beside the environment's objects.
    """

    __slots__ = ("_game", "_strategy", "kept_outside", "name")

    def __init__(self, game: Game, strategy: Strategy) -> None:
        self._game = game
        self._strategy = strategy
        self.name = strategy.name
        self.kept_outside = strategy.kept_outside

    def save(self) -> Snapshot:
        """Return this moment. Whoever holds it should :meth:`free` it once it is needed no more.

        Raises:
            UnsupportedEnvironment: something came into the state that cannot be saved.
        """
        self._game.take_stage()
        try:
            return Snapshot(self._strategy.save(), self._game.progress)
        except Unreachable as problem:
            raise UnsupportedEnvironment(_located(problem, self._game)) from problem

    def load(self, snapshot: Snapshot) -> None:
        """Go back to a moment of the running episode; may be done any number of times.

        Raises:
            UsageError: it was freed.
        """
        if snapshot.content is _FREED:
            raise UsageError("this snapshot was freed")
        self._game.take_stage()
        self._strategy.load(snapshot.content)
        self._game.progress = snapshot.progress

    def another(self, snapshot: Snapshot) -> Snapshot:
        """Return the same moment once more, which stays where the first one is freed."""
        return Snapshot(snapshot.content, snapshot.progress)

    def free(self, snapshot: Snapshot) -> None:
        """Let go of what a snapshot holds. Idempotent."""
        snapshot.content = _FREED
        snapshot.progress = None

    def fields(self, snapshot: Snapshot, *, word: Word = word_for) -> Fields | None:
        """Return what was saved as plain data by path, or None where it cannot be read.

        Compare two players' with :func:`~gym_p2p.game.state.fields.differences`.

        Args:
            snapshot: the moment.
            word: returns the text that stands for an object of which nothing else is compared.

        Raises:
            UsageError: it was freed.
        """
        if snapshot.content is _FREED:
            raise UsageError("this snapshot was freed")
        try:
            return self._strategy.fields(snapshot.content, self._game.comparable(snapshot.progress), word)
        except Unreachable:
            return None

    def fields_now(self) -> Fields | None:
        """Save, and return what was saved as :meth:`fields` does."""
        snapshot = self.save()
        try:
            return self.fields(snapshot)
        finally:
            self.free(snapshot)

    def checksum(self, snapshot: Snapshot, *, left_out: Sequence[str] = ()) -> str | None:
        """Return 16 hex digits over the saved state, or None where it has no canonical form.

        Equal states have equal checksums in every process, if both players use the same strategy, and leave
        out the same.

        Args:
            snapshot: the moment.
            left_out: patterns of what is not compared; then it is a checksum of the fields, which takes
                several times as long.

        Raises:
            UsageError: it was freed.
        """
        if left_out:
            fields = self.fields(snapshot)
            return None if fields is None else fields_checksum(without(fields, left_out))
        if snapshot.content is _FREED:
            raise UsageError("this snapshot was freed")
        try:
            return state_digest(
                self._strategy.form(snapshot.content, self._game.comparable(snapshot.progress))
            )
        except (Unreachable, TypeError):
            return None


_FREED = object()
"""What is in a snapshot that was freed."""


class _Layers:
    """Everything that hangs on the environment and its wrappers, copied layer by layer."""

    def __init__(self, env: Any) -> None:
        self._outside = [layer for layer in layers(env) if isinstance(layer, RECORDERS)]
        self._roots = [layer for layer in layers(env) if layer not in self._outside]
        self._named = _named(self._roots, env)
        recorded = graph.record(self._roots, apart_from=self._outside)
        self.kept_outside = Outside(layers(env), recorded)
        emulated = graph.has_emulator(recorded)
        self.name = "layers and emulator" if emulated else "layers"

    def save(self) -> list[Entry]:
        return graph.record([*self._roots, *self.kept_outside.roots], apart_from=self._outside)

    def load(self, content: list[Entry]) -> None:
        graph.put_back(content)

    def fields(self, content: list[Entry], progress: Any, word: Word) -> Fields:
        return fields_of(*self._compared(content, progress), word=word)

    def form(self, content: list[Entry], progress: Any) -> list[bytes]:
        return canonical_state(*self._compared(content, progress))

    def _compared(self, content: list[Entry], progress: Any) -> tuple[dict[str, Any], list[Entry]]:
        return {**self._named, "progress": progress}, [*content, *graph.record([progress])]


class _Saved(msgspec.Struct, frozen=True, gc=False):
    """What the environment gave, and what was kept beside it."""

    given: Any
    attributes: dict[str, Any]
    entries: list[Entry]


# An environment that offers to save itself knows best what its state is, but not what stands around it. So
# a moment has three parts, and their order in ``load`` matters:
#
# 1. What the environment gave goes back through its own function, which may replace any object that it
#    owns.
# 2. The attributes of PettingZoo's interface, which such functions often forget, are written over that: if
#    the function did set them, to equal values, nothing changes.
# 3. The wrappers, recorded as a graph that ends at the environment (``apart_from``): what they hold is put
#    back last, into the same objects, together with what is in the attributes of 2.
#
# A wrapper that refers to an *inner* object of the environment would go stale in 1, if the environment
# replaces it. That is found out by proof, like everything that a strategy gets wrong.


class _Calls:
    """Two functions that save and load the environment itself; its wrappers are copied."""

    def __init__(self, name: str, env: Any, save: Callable[[], Any], load: Callable[[Any], Any]) -> None:
        self.name = name
        self._base = env.unwrapped
        self._save = save
        self._load = load
        self._outside = [
            layer for layer in layers(env) if layer is self._base or isinstance(layer, RECORDERS)
        ]
        self._roots = [layer for layer in layers(env) if layer not in self._outside]
        self._named = _named(self._roots, env)
        # Who plays, and what PettingZoo's interface says of them, is often forgotten.
        public = isinstance(self._base, pettingzoo.AECEnv | pettingzoo.ParallelEnv)
        self._names = _PETTINGZOO_ATTRIBUTES if public else ()
        self.kept_outside = Outside(layers(env), [])

    def save(self) -> _Saved:
        given = self._save()
        if not (self._roots or self._names or self.kept_outside.roots):
            return _Saved(given, {}, [])
        own = getattr(self._base, "__dict__", {})
        attributes = {name: own[name] for name in self._names if name in own}
        roots = [*self._roots, *attributes.values(), *self.kept_outside.roots]
        return _Saved(given, attributes, graph.record(roots, apart_from=self._outside))

    def load(self, content: _Saved) -> None:
        self._load(content.given)
        if content.attributes:
            self._base.__dict__.update(content.attributes)
        if content.entries:
            graph.put_back(content.entries)

    def fields(self, content: _Saved, progress: Any, word: Word) -> Fields:
        # The same data may or may not be shared after a return: that is no difference here.
        roots, recorded = {"state": content.given}, graph.record([content.given])
        given = fields_of(roots, recorded, sharing=False, word=word)
        return given | fields_of(*self._kept_beside(content, progress), word=word)

    def form(self, content: _Saved, progress: Any) -> list[bytes]:
        given = canonical_data("state", content.given)
        if progress is None and not (content.attributes or content.entries or self._named):
            return [*given, *_NOTHING_BESIDE]
        return [*given, *canonical_state(*self._kept_beside(content, progress))]

    def _kept_beside(self, content: _Saved, progress: Any) -> tuple[dict[str, Any], list[Entry]]:
        roots = {f"unwrapped.{name}": value for name, value in content.attributes.items()}
        kept = [*content.entries, *graph.record([progress])]
        return {**roots, **self._named, "progress": progress}, kept


_NOTHING_BESIDE = canonical_state({"progress": None}, [])


def strategies_for(game: Game, hooks: Hooks | None) -> Iterator[tuple[str, Strategy | str]]:
    """Yield the name of each strategy, and it or the reason why there is none, best first.

    Raises:
        UsageError: the hooks are no methods of this environment.
    """
    base = game.env.unwrapped
    if hooks is not None:
        save_hook, load_hook = (_bound(base, hook) for hook in hooks)
        yield "hooks", _Calls("hooks", game.env, save_hook, load_hook)
    for save, load in _OFFERED:
        if _callable_with(getattr(base, save, None), 0) and _callable_with(getattr(base, load, None), 1):
            name = f"{save}/{load}"
            yield name, _Calls(name, game.env, getattr(base, save), getattr(base, load))
    try:
        layered = _Layers(game.env)
    except Unreachable as problem:
        yield "layers", _located(problem, game)
    else:
        yield layered.name, layered


def require_hooks(hooks: Any) -> Hooks:
    """Return hooks if they are a pair.

    Raises:
        UsageError: they are not.
    """
    if isinstance(hooks, str) or not isinstance(hooks, Sequence) or len(hooks) != 2:
        raise UsageError(f"hooks: wanted a pair (save, load) of method names or callables, got {hooks!r}")
    return hooks[0], hooks[1]


def snapshots_named(game: Game, name: str, *, hooks: Hooks | None = None) -> Snapshots:
    """Return the strategy of that name for a game, without proof.

    For the other players of a match, who have to use the same one for their checksums to agree.

    Raises:
        UnsupportedEnvironment: this game has no strategy of that name.
        UsageError: the hooks are no methods of this environment.
    """
    for found, strategy in strategies_for(game, hooks):
        if found == name and not isinstance(strategy, str):
            return Snapshots(game, strategy)
    raise UnsupportedEnvironment(f"{type(game.env.unwrapped).__name__} cannot be saved by {name!r}")


def _bound(base: Any, hook: Hook) -> Callable[..., Any]:
    if callable(hook):
        return lambda *state: hook(base, *state)
    method = getattr(base, hook, None)
    if not callable(method):
        raise UsageError(f"{type(base).__name__} has no method {hook!r} to save or load its state with")
    return method  # type: ignore[no-any-return]  # an environment's attribute can be anything callable


def _callable_with(method: Any, arguments: int) -> bool:
    if not callable(method):
        return False
    try:
        inspect.signature(method).bind(*range(arguments))
    except (TypeError, ValueError):
        return False
    return True


def _named(found: Sequence[Any], env: Any) -> dict[str, Any]:
    """Name the layers: the environment is ``unwrapped``, wrappers go by their classes."""
    base = env.unwrapped
    roots = {"unwrapped": base} if any(layer is base for layer in found) else {}
    for layer in found:
        if layer is not base:
            name = type(layer).__name__
            roots[name if name not in roots else f"{name}({len(roots)})"] = layer
    return roots


def _located(problem: Unreachable, game: Game) -> str:
    """Say where it is that cannot be saved."""
    if problem.found is None:
        return str(problem)
    roots = _named(list(layers(game.env)), game.env)
    path = graph.path_to(problem.found, roots)
    return f"{problem} (at {path})" if path else str(problem)
