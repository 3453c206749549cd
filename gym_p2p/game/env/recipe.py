"""How an environment was made, as plain data that makes it again in another process, years later.

Knows names as :func:`~gym_p2p.game.env.load.load_environment` takes them, and Gymnasium's ``env.spec``.
Refuses to call whatever a file names: a recipe that came from a file makes environments, and no other
function is called with arguments from there.
"""

from __future__ import annotations

import contextlib
import json
import pkgutil
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import gymnasium
import pettingzoo
from gymnasium.envs.registration import EnvSpec

from gym_p2p.errors import UsageError
from gym_p2p.game.env.describe import LOCAL_ARGUMENTS
from gym_p2p.game.env.load import import_namespace, load_environment

__all__ = ["Recipe", "named_recipe", "recipe_of"]

_ENVIRONMENTS = (gymnasium.Env, pettingzoo.ParallelEnv, pettingzoo.AECEnv)


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
            spec = EnvSpec.from_json(json.dumps(self.spec))
            return gymnasium.make(spec, **shown)
        except (gymnasium.error.Error, ImportError, TypeError, ValueError, KeyError, AttributeError) as error:
            raise UsageError(f"cannot make {self.name} again: {error}") from error

    def refuse_foreign_calls(self) -> None:
        """Refuse what would call anything but an environment's constructor, or a module's ``env``.

        Raises:
            UsageError: it would; the message says what.
        """
        for name, harmless in self._calls():
            found = _found(name)
            if not (isinstance(found, type) and issubclass(found, harmless)):
                raise UsageError(
                    f"the file would call {name!r} to make its environment. A file may come from anyone, so "
                    "only environments are made from what it says; if you trust this one, name the function "
                    "yourself (--env, or make_env)"
                )

    def _calls(self) -> Iterator[tuple[Any, tuple[type, ...]]]:
        """Yield the names, but the well-known ones, of what is going to be called, and what it has to be."""
        if self.spec is None:
            if _is_function(self.name):
                yield self.name, _ENVIRONMENTS
            return
        wrappers = self.spec.get("additional_wrappers") or ()
        for wrapper in wrappers if isinstance(wrappers, list | tuple) else (None,):
            yield wrapper.get("entry_point") if isinstance(wrapper, Mapping) else None, (gymnasium.Wrapper,)
        if not _is_registered(self.spec):
            yield self.spec.get("entry_point"), _ENVIRONMENTS


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


def _is_function(name: str) -> bool:
    package, _, rest = name.rpartition(":")
    return bool(package) and all(part.isidentifier() for part in rest.split("."))


def _is_registered(spec: Mapping[str, Any]) -> bool:
    """Whether this very entry point belongs to the id, by what is installed here."""
    env_id = str(spec.get("id"))
    with contextlib.suppress(ImportError):
        import_namespace(env_id)
    known = gymnasium.registry.get(env_id)
    return known is not None and known.entry_point == spec.get("entry_point")


def _found(name: Any) -> Any:
    """Return what ``module:path`` names, None if there is no such thing. The module is imported."""
    try:
        return pkgutil.resolve_name(str(name))
    except (ImportError, AttributeError, ValueError):
        return None
