"""Whose code the import of a name would run, found out without importing anything.

Knows what installers leave beside a package. Refuses to believe a working directory: what lies there may have
come with the very file that names it.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import logging
import re
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution
from pathlib import Path
from urllib.parse import urlsplit

from gym_p2p.game.env.versions import top_level_modules

__all__ = ["is_installed"]

_log = logging.getLogger(__name__)

_OURS = __name__.partition(".")[0]
_MAKERS = frozenset({"gymnasium", "pettingzoo"})
"""What a package of environments requires, if it is not one of them."""

_NAME = re.compile(r"[A-Za-z0-9._-]+")


def is_installed(module: str) -> bool:
    """Whether a module belongs to a package of environments that somebody has installed here.

    It does if the file that would be imported is one of a distribution that requires Gymnasium or PettingZoo,
    and that distribution does not lie in the working directory. An editable installation counts.
    """
    top, *rest = module.split(".")
    if "__main__" in (top, *rest):  # runs when it is imported
        return False
    if top == _OURS:
        return True
    places = _places(top)
    return bool(places) and any(
        all(_holds(distribution, place) for place in places) for distribution in _claiming(top)
    )


def _places(top: str) -> list[Path]:
    """Return where a top-level module is; nothing if there is no such module, or it is none of files."""
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return []
    if spec is None:
        return []
    found = list(spec.submodule_search_locations or ())
    if not found and spec.has_location and spec.origin is not None:
        found = [spec.origin]
    return [Path(place).resolve() for place in found]


def _claiming(top: str) -> Iterator[Distribution]:
    """Yield the distributions of environments that say this top-level module is theirs."""
    here = Path.cwd().resolve()
    path = [entry for entry in sys.path if entry and Path(entry).resolve() != here]
    for distribution in importlib.metadata.distributions(path=path):
        try:
            if top in top_level_modules(distribution) and _is_of_environments(distribution):
                yield distribution
        except Exception as error:  # noqa: BLE001 - whatever is broken about another package
            _log.debug("an installed package cannot be read: %r", error)


def _is_of_environments(distribution: Distribution) -> bool:
    required = (_NAME.match(line) for line in distribution.requires or ())
    names = {found.group().lower() for found in required if found is not None}
    return bool(_MAKERS & {str(distribution.metadata["Name"]).lower(), *names})


def _holds(distribution: Distribution, place: Path) -> bool:
    """Whether this file or folder was put there by, or is an editable installation of, a distribution."""
    if place.parent == Path(str(distribution.locate_file(""))).resolve():
        return True
    from urllib.request import url2pathname  # noqa: PLC0415 - brings http and ssl, and is hardly ever needed

    direct = json.loads(distribution.read_text("direct_url.json") or "{}")
    if not direct.get("dir_info", {}).get("editable"):
        return False
    return place.is_relative_to(Path(url2pathname(urlsplit(direct["url"]).path)).resolve())
