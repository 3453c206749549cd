"""Where an environment comes from, so that "the same environment" can be checked years later.

Knows how Python packages lie on a disk: of the source it reads text, and imports and runs nothing. Which
files count is said in the schema of the documents (``environment.sourceHash``).
"""

from __future__ import annotations

import functools
import hashlib
import re
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

from gym_p2p.game.env.describe import game_layers
from gym_p2p.game.env.game import Game
from gym_p2p.version import __version__

__all__ = ["origin", "source_hash"]

_FRAMEWORKS = frozenset({"gymnasium", "pettingzoo"})
"""What all environments are built on is no part of each: its version is among the packages."""

_PYTHONS_OWN = sys.stdlib_module_names - {"__main__"}

_IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+(?P<base>[.\w]+)[ \t]+import[ \t]+(?P<names>\([^)]*\)|[^\n#;]+)"
    r"|import[ \t]+(?P<modules>[^\n#;]+))",
    re.MULTILINE,
)
_NAME = re.compile(r"([.\w]+)(?:[ \t\n]+as[ \t\n]+\w+)?")


def origin(game: Game) -> dict[str, Any]:
    """Return what the documents say of a game's environment: id, arguments, packages, hash of the source."""
    packages = {**game.made_of["packages"], "gym_p2p": __version__}
    return {**game.made_of, "packages": packages, "sourceHash": source_hash(game.env)}


def source_hash(env: Any) -> str | None:
    """Return the SHA-256 over an environment's source, hexadecimal; ``None`` where there is none to read."""
    roots: dict[_Source, None] = {}
    for layer in game_layers(env):
        for number, kind in enumerate(type(layer).__mro__):
            own = number == 0 and layer is env.unwrapped
            source = _source_of(kind.__module__)
            if source is not None and (own or source.top not in _FRAMEWORKS):
                roots[source] = None
    return _hash(frozenset(roots)) if roots else None


@attrs.frozen
class _Source:
    """A file of source: where its package's folder begins, and its path in that."""

    folder: Path
    path: Path
    alone: bool
    """Whether it is a single module among other packages, none of which belong to it."""

    @property
    def top(self) -> str:
        """The package, or the module without one."""
        return self.path.parts[0].removesuffix(".py")


def _source_of(module: str) -> _Source | None:
    """Return the source of a loaded module; ``None`` of one of Python's own, or without a file of text."""
    loaded = sys.modules.get(module)
    name = getattr(getattr(loaded, "__spec__", None), "name", module)
    file = getattr(loaded, "__file__", None)
    if file is None or not file.endswith(".py") or name.partition(".")[0] in _PYTHONS_OWN:
        return None
    path = Path(file).resolve()
    depth = name.count(".") + (path.name == "__init__.py")
    if not path.is_file() or depth >= len(path.parents):
        return None
    folder = path.parents[depth]
    alone = depth == 0 and folder in _libraries()
    return _Source(folder, path.relative_to(folder), alone)


@functools.cache
def _libraries() -> frozenset[Path]:
    """Return the folders in which packages are installed."""
    return frozenset(Path(sysconfig.get_path(kind)).resolve() for kind in ("purelib", "platlib"))


@functools.lru_cache(maxsize=64)
def _hash(roots: frozenset[_Source]) -> str | None:
    """Hash these files and what they import of their own package; done once a process."""
    found: dict[_Source, bytes] = {}
    waiting = sorted(roots, key=lambda source: source.path)
    while waiting:
        source = waiting.pop()
        if source in found:
            continue
        try:
            text = (source.folder / source.path).read_bytes()
        except OSError:
            continue
        found[source] = text.replace(b"\r\n", b"\n")
        waiting += _imported(source, text.decode("utf-8", "replace"))
    digest = hashlib.sha256()
    for path, text in sorted((source.path.as_posix(), text) for source, text in found.items()):
        digest.update(b"%s\0%d\0" % (path.encode(), len(text)))
        digest.update(text)
    return digest.hexdigest() if found else None


def _imported(source: _Source, text: str) -> Iterator[_Source]:
    """Yield the files of the same package, or beside a module of none, that a text imports."""
    if source.alone:
        return
    for name in _names_imported(source, text):
        parts = name.split(".")
        if len(source.path.parts) > 1 and parts[0] != source.top:
            continue
        for path in (Path(*parts).with_suffix(".py"), Path(*parts) / "__init__.py"):
            if (source.folder / path).is_file():
                yield _Source(source.folder, path, source.alone)
                break


def _names_imported(source: _Source, text: str) -> Iterator[str]:
    """Yield the full names of what a text imports, modules and what is in them alike."""
    package = source.path.parent.parts
    for found in _IMPORT.finditer(text):
        if found["modules"] is not None:
            yield from _listed(found["modules"])
            continue
        base = found["base"]
        dots = len(base) - len(base.lstrip("."))
        if dots > len(package) + 1:
            continue
        upper = package[: len(package) - dots + 1] if dots else ()
        whole = ".".join([*upper, *filter(None, [base[dots:]])])
        if whole:
            yield whole
        for name in _listed(found["names"]):
            yield f"{whole}.{name}" if whole else name


def _listed(names: str) -> Iterator[str]:
    """Yield the names in a list of them."""
    for entry in names.strip("() \t\n").replace("\\", " ").split(","):
        found = _NAME.match(entry.strip())
        if found is not None and "*" not in entry:
            yield found[1]
