"""Which versions of which packages an environment's classes come from.

An installation that was broken off, a hand-made folder: whatever lies beside the packages in question, and
cannot be read, is passed over.
"""

from __future__ import annotations

import functools
import importlib.metadata
import inspect
import logging
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath

__all__ = ["package_versions"]

_log = logging.getLogger(__name__)


def package_versions(modules: Iterable[str], *, without: frozenset[str]) -> dict[str, str]:
    """Return the versions of the packages that these modules belong to, by name, in its order.

    What was installed by no package (a file of one's own) has none. One whose version cannot be read has the
    module's own ``__version__``, or is ``"unknown"``.
    """
    found = {
        (distribution, top) for top in _tops(modules) for distribution in _by_module().get(top, frozenset())
    }
    return {name: _version(name, module) for name, module in sorted(found) if name not in without}


def _tops(modules: Iterable[str]) -> set[str]:
    return {module.partition(".")[0] for module in modules}


def _version(name: str, module: str) -> str:
    try:
        version = importlib.metadata.version(name)
    except Exception as error:  # noqa: BLE001 - whatever is broken about another package
        _log.debug("the version of %s cannot be read: %r", name, error)
        version = ""
    # No version is None in some Pythons, against what is declared.
    return version or str(getattr(sys.modules.get(module), "__version__", "unknown"))


@functools.cache
def _by_module() -> Mapping[str, frozenset[str]]:
    """Return the names of the installed packages by their modules; reads all of them, in 0.1 s.

    ``importlib.metadata.packages_distributions`` does the same, and fails where one of them is broken.
    """
    found: dict[str, set[str]] = {}
    for distribution in importlib.metadata.distributions():
        try:
            name, modules = distribution.metadata["Name"], set(_modules(distribution))
        except Exception as error:  # noqa: BLE001 - whatever is broken about another package
            _log.debug("an installed package cannot be read: %r", error)
            continue
        if name:
            for module in modules:
                found.setdefault(module, set()).add(name)
    return {module: frozenset(names) for module, names in found.items()}


def _modules(distribution: importlib.metadata.Distribution) -> Iterator[str]:
    """Yield a package's top-level modules: as it declares them, or those of its files."""
    declared = (distribution.read_text("top_level.txt") or "").split()
    yield from declared
    for file in () if declared else distribution.files or ():
        path = PurePosixPath(file)
        module = path.parts[0] if len(path.parts) > 1 else inspect.getmodulename(path.name)
        if module:
            yield module
