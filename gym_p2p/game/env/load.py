"""Environments and functions by name, as people write them on a command line.

Knows where Gymnasium, PettingZoo and other packages keep what they make. A name that leads nowhere is a
:class:`~gym_p2p.errors.UsageError` that names what comes close.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
import traceback
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium
import pettingzoo

from gym_p2p.config.extras import how_to_install
from gym_p2p.config.names import did_you_mean
from gym_p2p.core.wire.foreign_text import printable
from gym_p2p.errors import P2PError, UsageError

__all__ = [
    "import_environment",
    "import_module",
    "import_namespace",
    "load_environment",
    "load_function",
    "own_words",
    "said_by_environment",
]


def load_environment(name: str, kwargs: Mapping[str, Any] | None = None) -> Any:
    """Make an environment from its name and its constructor's arguments.

    * ``CartPole-v1``, ``gym_p2p/Rally-v0``: a Gymnasium id, else one of PettingZoo's parallel registry
      (``atari/pong-v3``). A namespace that is a package is imported first.
    * ``lbforaging:Foraging-8x8-2p-2f-v3``: import the package, then as above; or what the package's own
      ``make`` knows (``cogrid:Overcooked-CrampedRoom-V0``).
    * ``mpe2.simple_spread_v3``: a module with ``parallel_env``, else ``env``. PettingZoo's Atari games find
      the ROMs that come with ``ale-py``.
    * ``my_module:make_env``: a function.

    Raises:
        UsageError: nothing goes by that name, or it does not take these arguments.
    """
    package, _, rest = name.rpartition(":")
    if package:
        module = import_module(package)
        if _is_identifier(rest):
            return _call(_attribute(module, rest), name, kwargs)
        return _by_id(rest, kwargs, name=name, module=module)
    if _is_identifier(name) and "." in name:
        return _from_module(name, kwargs)
    return _by_id(name, kwargs, name=name, module=None)


def import_environment(name: str) -> None:
    """Import the modules that an environment of that name comes from; make nothing of it.

    Raises:
        UsageError: there is no such module.
    """
    package, _, env_id = name.rpartition(":")
    if package:
        import_module(package)
    elif "." in name and _is_identifier(name):
        import_module(name)
    else:
        import_namespace(name)
    entry = None
    if env_id in gymnasium.registry:
        entry = gymnasium.registry[env_id].entry_point
    elif env_id in pettingzoo.parallel_registry:
        entry = pettingzoo.spec("parallel", env_id).entry_point
    if isinstance(entry, str):
        import_module(entry.partition(":")[0])


def load_function(module: str, function: str) -> Any:
    """Return what a module calls so, ``Class.method`` too.

    Raises:
        UsageError: there is no such module, nothing of that name in it, or it cannot be called.
    """
    return _attribute(import_module(module), function)


def import_namespace(env_id: str) -> None:
    """Import the package that an unregistered id names before its slash, for that may register it."""
    namespace, slash, _ = env_id.partition("/")
    if env_id in gymnasium.registry or not slash or not namespace.isidentifier():
        return
    for candidate in (namespace, f"{namespace}.envs"):
        if _exists(candidate):
            import_module(candidate)


def _by_id(env_id: str, kwargs: Mapping[str, Any] | None, *, name: str, module: ModuleType | None) -> Any:
    if module is None:
        import_namespace(env_id)
    if env_id in gymnasium.registry:
        # Its passive checker warns of every reward that is one number a player.
        quiet = {"disable_env_checker": True, **dict(kwargs or {})}
        return _call(lambda **arguments: gymnasium.make(env_id, **arguments), name, quiet)
    if env_id in pettingzoo.parallel_registry:
        spec = pettingzoo.spec("parallel", env_id)
        arguments = _with_roms(str(spec.entry_point), kwargs)
        return _call(lambda **a: pettingzoo.make("parallel", env_id, **a), name, arguments)
    own_make = getattr(module, "make", None)
    if callable(own_make):
        try:
            return own_make(env_id, **dict(kwargs or {}))
        except (P2PError, MemoryError):
            raise
        except Exception as error:
            raise UsageError(f"cannot make {name}: it raised {own_words(error)}") from error
    known = dict.fromkeys([*gymnasium.registry, *pettingzoo.parallel_registry])
    near = _near(env_id, known) or "."
    advice = f"If another package registers it, name that too: package:{env_id}"
    raise UsageError(f"no environment {env_id!r}{near} {advice}")


def _from_module(name: str, kwargs: Mapping[str, Any] | None) -> Any:
    module = import_module(name)
    for function in ("parallel_env", "env"):
        make = getattr(module, function, None)
        if callable(make):
            return _call(make, name, _with_roms(name, kwargs))
    raise UsageError(f"{name} has neither parallel_env nor env; write {name}:function for another one")


def _with_roms(module: str, kwargs: Mapping[str, Any] | None) -> dict[str, Any]:
    """Tell PettingZoo's Atari games where the ROMs are, unless the caller does."""
    arguments = dict(kwargs or {})
    if (
        module.startswith("pettingzoo.atari.")
        and (spec := importlib.util.find_spec("ale_py"))
        and spec.origin
    ):
        arguments.setdefault("auto_rom_install_path", str(Path(spec.origin).parent / "roms"))
    return arguments


def _call(make: Callable[..., Any], name: str, kwargs: Mapping[str, Any] | None) -> Any:
    try:
        return make(**dict(kwargs or {}))
    except (P2PError, MemoryError):
        raise
    except ModuleNotFoundError as error:
        raise UsageError(_missing(name, error.name)) from error
    except gymnasium.error.Error as error:
        raise UsageError(f"cannot make {name}: {error}") from error
    except (Exception, SystemExit) as error:
        if isinstance(error, TypeError) and _is_refused_call(make, dict(kwargs or {}), error):
            raise UsageError(f"cannot make {name} with these arguments: {error}") from error
        raise UsageError(f"cannot make {name}: it raised {own_words(error)}") from error


def _missing(name: str, module: str | None) -> str:
    advice = "" if module is None else f": {how_to_install(module)}"
    return f"{name} needs the package {module!r}, which is not installed{advice}"


def own_words(error: BaseException) -> str:
    """Return in one line what an error of an environment says, and where it was raised.

    >>> try:
    ...     compile("1 +", "game.py", "exec")
    ... except SyntaxError as error:
    ...     own_words(error)
    'SyntaxError: invalid syntax (game.py, line 1)'
    """
    said = printable(" ".join(f"{type(error).__name__}: {error}".split()))
    frames = traceback.extract_tb(error.__traceback__)
    if isinstance(error, SyntaxError) or not frames:
        return said
    return f"{said} ({Path(frames[-1].filename).name}, line {frames[-1].lineno}, in {frames[-1].name})"


_OURS = Path(__file__).parents[2]
_CALLERS = (Path(__file__).parent, _OURS / "game" / "state")


def said_by_environment(error: BaseException) -> str | None:
    """Return in one line what an environment raised while it was played; ``None`` if it raised nothing.

    It is the environment's where its own code was called by ours that plays it, and called nothing of ours.
    """
    files = [Path(frame.filename) for frame in traceback.extract_tb(error.__traceback__)]
    ours = [file.is_relative_to(_OURS) and not file.is_relative_to(_OURS / "envs") for file in files]
    if not any(ours) or ours[-1]:
        return None
    last = len(ours) - 1 - ours[::-1].index(True)
    return own_words(error) if files[last].parent in _CALLERS else None


def _is_refused_call(make: Callable[..., Any], kwargs: Mapping[str, Any], error: TypeError) -> bool:
    """Whether it is about these arguments, and not about those of a call further inside."""
    try:
        inspect.signature(make).bind(**kwargs)
    except TypeError:
        return True
    except ValueError:  # it has no signature to ask
        return False
    return any(f"unexpected keyword argument {key!r}" in str(error) for key in kwargs)


def import_module(name: str) -> ModuleType:
    """Import a module; raises :class:`~gym_p2p.errors.UsageError` in its own words where that fails."""
    if not _is_identifier(name):
        raise UsageError(f"{name!r} is no name of a module")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and not f"{name}.".startswith(f"{error.name}."):
            raise UsageError(_missing(name, error.name)) from error
        raise UsageError(f"no module {name!r}{_near(name, _siblings(name))}") from error
    except (P2PError, MemoryError):
        raise
    except (Exception, SystemExit) as error:
        raise UsageError(f"cannot import {name}: it raised {own_words(error)}") from error


def _siblings(name: str) -> list[str]:
    """Return the full names of the modules beside the one that was not found."""
    parent, _, _ = name.rpartition(".")
    if not parent:
        return [module.name for module in pkgutil.iter_modules()]
    if not _exists(parent):
        return _siblings(parent)
    paths = getattr(importlib.import_module(parent), "__path__", [])
    return [f"{parent}.{module.name}" for module in pkgutil.iter_modules(paths)]


def _attribute(module: ModuleType, name: str) -> Any:
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        public = [n for n, value in vars(module).items() if callable(value) and not n.startswith("_")]
        raise UsageError(f"{module.__name__} has no function {name!r}{_near(name, public)}")
    return found


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ModuleNotFoundError, ValueError):  # the latter for modules that know of no file
        return False


def _is_identifier(name: str) -> bool:
    return all(part.isidentifier() for part in name.split("."))


def _near(name: str, known: Iterable[str]) -> str:
    return did_you_mean(name, known, most=3, list_all=False)
