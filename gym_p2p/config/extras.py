"""What is optional to install: which line brings a module that is not there."""

from __future__ import annotations

import importlib.metadata
import re

__all__ = ["how_to_install", "install_extra"]

_DISTRIBUTIONS = {"PIL": "pillow", "imageio_ffmpeg": "imageio-ffmpeg", "pygame": "pygame-ce"}
"""Distributions that are called otherwise than the module in them."""

_NOT_FOR_USERS = frozenset({"test", "docs"})
"""Extras of whoever works on this package."""

_REQUIREMENT = re.compile(r"""([A-Za-z0-9._-]+).*;\s*extra == ['"]([A-Za-z0-9_-]+)['"]""")


def how_to_install(module: str) -> str:
    """Return the line that installs what a module is in: an extra of this package, where one has it.

    >>> how_to_install("pyarrow")
    "pip install 'gym_p2p[parquet]'"
    >>> how_to_install("rlcard.envs")
    'pip install rlcard'
    """
    top = module.partition(".")[0]
    distribution = _DISTRIBUTIONS.get(top, top)
    extra = _extras().get(_normalized(distribution))
    return f"pip install {distribution}" if extra is None else install_extra(extra)


def install_extra(extra: str) -> str:
    """Return the line that installs an extra of this package.

    >>> install_extra("data")
    "pip install 'gym_p2p[data]'"
    """
    return f"pip install 'gym_p2p[{extra}]'"


def _extras() -> dict[str, str]:
    """Return the first extra of each optional distribution; nothing where this package is not installed."""
    try:
        requirements = importlib.metadata.requires("gym_p2p") or []
    except importlib.metadata.PackageNotFoundError:
        return {}
    found = [match.groups() for line in requirements if (match := _REQUIREMENT.match(line))]
    return {_normalized(name): extra for name, extra in reversed(found) if extra not in _NOT_FOR_USERS}


def _normalized(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()
