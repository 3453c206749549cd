"""Which versions of which packages an environment's classes come from.

An installation that was broken off, a hand-made folder: whatever lies beside the packages in question, and
cannot be read, is passed over.
"""

from __future__ import annotations

import csv
import functools
import importlib.metadata
import inspect
import logging
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath

__all__ = ["package_versions", "top_level_modules"]

_log = logging.getLogger(__name__)


def package_versions(modules: Iterable[str], *, without: frozenset[str]) -> dict[str, str]:
    """Return the versions of the packages that these modules belong to, by name, in its order.

    What was installed by no package (a file of one's own) has none. One whose version cannot be read has the
    module's own ``__version__``, or is ``"unknown"``.
    """
    found: dict[str, str] = {}
    for module in sorted({module.partition(".")[0] for module in modules}):
        for name, version in _packages_of(module).items():
            own = getattr(sys.modules.get(module), "__version__", "unknown")
            found.setdefault(name, version or str(own))
    return {name: found[name] for name in sorted(found) if name not in without}


@functools.cache
def _packages_of(module: str) -> Mapping[str, str | None]:
    """Return the names and versions of the installed packages that a module is in.

    What is said of a package is read of these alone: that takes ten times as long as to find its modules.
    """
    found: dict[str, str | None] = {}
    for distribution in _by_module().get(module, ()):
        try:
            metadata = distribution.metadata
            known = set(metadata)  # what a missing key gives depends on the version of Python
            name, version = (metadata[key] if key in known else None for key in ("Name", "Version"))
        except Exception as error:  # noqa: BLE001 - whatever is broken about it
            _log.debug("an installed package cannot be read: %r", error)
            continue
        if name:
            found.setdefault(str(name), version)  # the first on the path is imported
    return found


@functools.cache
def _by_module() -> Mapping[str, Sequence[importlib.metadata.Distribution]]:
    """Return installed packages by their modules, in the order of the path.

    ``importlib.metadata.packages_distributions`` does about the same, and fails where one of them is broken.
    """
    found: dict[str, list[importlib.metadata.Distribution]] = {}
    for distribution in importlib.metadata.distributions():
        try:
            modules = set(top_level_modules(distribution))
        except Exception as error:  # noqa: BLE001 - whatever is broken about another package
            _log.debug("an installed package cannot be read: %r", error)
            continue
        for module in modules:
            found.setdefault(module, []).append(distribution)
    return found


def top_level_modules(distribution: importlib.metadata.Distribution) -> Iterator[str]:
    """Yield a package's top-level modules: as it declares them, or those of its files."""
    declared = (distribution.read_text("top_level.txt") or "").split()
    yield from declared
    for first, slash in set() if declared else {path.partition("/")[:2] for path in _files(distribution)}:
        module = first if slash else inspect.getmodulename(first)
        if module:
            yield module


def _files(distribution: importlib.metadata.Distribution) -> Iterable[str]:
    """Return a distribution's files, as quickly as can be: there may be tens of thousands of them."""
    record = distribution.read_text("RECORD")
    if record is None:
        return [str(PurePosixPath(file)) for file in distribution.files or ()]
    return [row[0] for row in csv.reader(record.splitlines()) if row]
