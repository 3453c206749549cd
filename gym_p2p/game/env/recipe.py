"""How an environment was made, as plain data that makes it again in another process, years later.

Knows names as :func:`~gym_p2p.game.env.load.load_environment` takes them, and Gymnasium's ``env.spec``.
Refuses to run whatever a file names: a recipe that came from a file makes environments of installed packages,
and nothing else is imported or called because of it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import gymnasium
import pettingzoo
from gymnasium.envs.registration import EnvSpec

from gym_p2p.core.wire.foreign_text import printable
from gym_p2p.errors import UsageError
from gym_p2p.game.env.describe import LOCAL_ARGUMENTS, RECORDERS
from gym_p2p.game.env.installed import is_installed
from gym_p2p.game.env.load import import_module, import_namespace, load_environment

__all__ = ["Recipe", "named_recipe", "recipe_of"]

_ENVIRONMENTS = (gymnasium.Env, pettingzoo.ParallelEnv, pettingzoo.AECEnv)


@attrs.frozen
class _Called:
    """Something that would be called, as a recipe names it, and the classes of which it has to be one."""

    name: str
    kinds: tuple[type, ...]


@attrs.frozen
class Recipe:
    """How to make an environment.

    Attributes:
        name: what :func:`~gym_p2p.game.env.load.load_environment` takes; of a spec the environment's id.
        kwargs: the constructor's arguments.
        spec: Gymnasium's own description, with its wrappers, where the environment had one.
    """

    name: str
    kwargs: dict[str, Any] = attrs.field(factory=dict)
    spec: dict[str, Any] | None = None

    def make(self, *, render_mode: str | None = None) -> Any:
        """Make the environment without minding where the recipe came from.

        Raises:
            UsageError: it cannot be made here.
        """
        shown: dict[str, Any] = {} if render_mode is None else {"render_mode": render_mode}
        if self.spec is None:
            return load_environment(self.name, {**self.kwargs, **shown})
        try:
            return gymnasium.make(EnvSpec.from_json(json.dumps(_without_recorders(self.spec))), **shown)
        except (gymnasium.error.Error, ImportError, TypeError, ValueError, KeyError, AttributeError) as error:
            raise UsageError(f"cannot make {self.name} again: {error}") from error

    def refuse_untrusted(self) -> None:
        """Refuse what an installed package does not offer as an environment; nothing of it is imported.

        Raises:
            UsageError: to make it would run, or call, something else; the message says what, with which
                arguments.
        """
        for name in self._called():
            problem = _problem_of(name)
            if problem is not None:
                raise UsageError(
                    f"the file makes its environment by {self}, and {problem}. A file may come from anyone, "
                    "so only environments of installed packages are made from what it says. If you trust "
                    "this one, say so (--trust, or trust=True), or name what makes the environment (--env, "
                    "or make_env)"
                )

    def __str__(self) -> str:
        """Show the name and the arguments, in one line that a terminal can show."""
        given = ", ".join(f"{key}={value!r}" for key, value in self.kwargs.items())
        return printable(f"{self.name}({given})")

    def _called(self) -> Iterator[_Called]:
        """Yield what is going to be called, and what it has to be."""
        if self.spec is None:
            yield _Called(self.name, _ENVIRONMENTS)
            return
        if not _is_registered(str(self.spec.get("id")), self.spec.get("entry_point")):
            yield _Called(str(self.spec.get("entry_point")), _ENVIRONMENTS)
        wrappers = self.spec.get("additional_wrappers") or ()
        for wrapper in wrappers if isinstance(wrappers, list | tuple) else (None,):
            entry_point = wrapper.get("entry_point") if isinstance(wrapper, Mapping) else None
            yield _Called(str(entry_point), (gymnasium.Wrapper,))


def named_recipe(name: str, kwargs: Mapping[str, Any]) -> Recipe | None:
    """Return the recipe of a name and its arguments; None if these are no plain data."""
    ours = {key: value for key, value in kwargs.items() if key not in LOCAL_ARGUMENTS}
    try:
        return Recipe(name, json.loads(json.dumps(ours, allow_nan=False)))
    except (TypeError, ValueError):
        return None


def recipe_of(env: Any) -> Recipe | None:
    """Return the recipe of an environment that knows it itself; None of any other.

    Gymnasium's know theirs if made by ``gymnasium.make`` from plain data, and if every wrapper around them
    records its arguments.
    """
    spec = getattr(env, "spec", None) if isinstance(env, gymnasium.Env) else None
    if spec is None:
        return None
    try:
        data: dict[str, Any] = json.loads(spec.to_json())
    except (TypeError, ValueError):
        return None
    wrappers = data.get("additional_wrappers") or ()
    if not isinstance(data.get("entry_point"), str) or any(one.get("kwargs") is None for one in wrappers):
        return None
    kwargs = {key: value for key, value in data.get("kwargs", {}).items() if key not in LOCAL_ARGUMENTS}
    return Recipe(str(data["id"]), kwargs, {**data, "kwargs": kwargs})


def _without_recorders(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return a spec without the wrappers that write or show what is played: a replay has its own outputs."""
    wrappers = spec.get("additional_wrappers") or ()
    recorders = {kind.__name__ for kind in RECORDERS}
    kept = [one for one in wrappers if str(one.get("entry_point")).rpartition(":")[2] not in recorders]
    return {**spec, "additional_wrappers": kept}


def _problem_of(called: _Called) -> str | None:
    """Say why this is not called because a file says so; None if it may be."""
    package, colon, rest = called.name.rpartition(":")
    module = package if colon else called.name
    if not colon and not _is_module(called.name):  # an id
        if _is_known(called.name):
            return None
        module = called.name.partition("/")[0]
        if "/" not in called.name or _is_missing(module):
            return None  # it leads nowhere, and whoever makes it says so
    if not is_installed(module):
        return f"{module} is not an installed package of environments"
    found: Any = import_module(module)
    if colon and all(part.isidentifier() for part in rest.split(".")):
        for part in rest.split("."):
            found = getattr(found, part, None)
        if not (isinstance(found, type) and issubclass(found, called.kinds)):
            return f"{rest} is no environment" if called.kinds == _ENVIRONMENTS else f"{rest} is no wrapper"
    elif colon and not _is_known(rest):
        return f"{module} registers no {rest}"
    return None


def _is_module(name: str) -> bool:
    return "." in name and all(part.isidentifier() for part in name.split("."))


def _is_known(env_id: str) -> bool:
    return env_id in gymnasium.registry or env_id in pettingzoo.parallel_registry


def _is_registered(env_id: str, entry_point: object) -> bool:
    """Whether this very entry point belongs to the id, by what is installed here."""
    if is_installed(env_id.partition("/")[0]):
        with contextlib.suppress(UsageError):
            import_namespace(env_id)
    known = gymnasium.registry.get(env_id)
    return known is not None and known.entry_point == entry_point


def _is_missing(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is None
    except (ImportError, ValueError):
        return True
