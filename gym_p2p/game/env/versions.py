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
from collections.abc import Iterable, Iterator, Mapping
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
        for name, version in _by_module().get(module, {}).items():
            own = getattr(sys.modules.get(module), "__version__", "unknown")
            found.setdefault(name, version or str(own))
    return {name: found[name] for name in sorted(found) if name not in without}


@functools.cache
def _by_module() -> Mapping[str, Mapping[str, str | None]]:
    """Return installed packages' names and versions by their modules; reads all of them, in 0.1 s.

    ``importlib.metadata.packages_distributions`` does about the same, and fails where one of them is broken.
    """
    found: dict[str, dict[str, str | None]] = {}
    for distribution in importlib.metadata.distributions():
        try:
            metadata, modules = distribution.metadata, set(top_level_modules(distribution))
            known = set(metadata)  # what a missing key gives depends on the version of Python
            name, version = (metadata[key] if key in known else None for key in ("Name", "Version"))
        except Exception as error:  # noqa: BLE001 - whatever is broken about another package
            _log.debug("an installed package cannot be read: %r", error)
            continue
        for module in modules if name else ():
            found.setdefault(module, {}).setdefault(str(name), version)  # the first on the path is imported
    return found


def top_level_modules(distribution: importlib.metadata.Distribution) -> Iterator[str]:
    """Yield a package's top-level modules: as it declares them, or those of its files."""
    declared = (distribution.read_text("top_level.txt") or "").split()
    yield from declared
    for first, is_folder in set() if declared else {_first_part(path) for path in _files(distribution)}:
        module = first if is_folder else inspect.getmodulename(first)
        if module:
            yield module


def _files(distribution: importlib.metadata.Distribution) -> Iterable[str]:
    """Return a distribution's files, as quickly as can be: there may be tens of thousands of them."""
    record = distribution.read_text("RECORD")
    if record is None:
        return [str(PurePosixPath(file)) for file in distribution.files or ()]
    return [row[0] for row in csv.reader(record.splitlines()) if row]


def _first_part(path: str) -> tuple[str, bool]:
    """Return what stands first in a path, and whether something is in it."""
    first, _, rest = path.partition("/")
    return first, bool(rest)
