"""A process of the bench, from inside. Run by :mod:`gym_p2p.bench.processes`.

``python -m gym_p2p.bench.worker KIND ARGUMENTS``: reads requests as lines of JSON, answers each with one, and
ends with its input.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any, Protocol

__all__ = ["main"]


class Station(Protocol):
    """What a worker is."""

    @property
    def operations(self) -> Mapping[str, Callable[..., Any]]:
        """The requests that it takes; results are plain data."""

    def close(self) -> None:
        """Leave nothing behind."""


def _station(kind: str, arguments: Mapping[str, Any]) -> Station:
    # Each kind imports what it needs alone: what is loaded beside it would count.
    if kind == "player":
        from gym_p2p.bench.player import PlayerStation  # noqa: PLC0415  # see above

        return PlayerStation(**arguments)
    if kind == "wire":
        from gym_p2p.bench.wire_end import WireStation  # noqa: PLC0415  # see above

        return WireStation(**arguments)
    from gym_p2p.bench.opening import OpeningStation  # noqa: PLC0415  # see above

    return OpeningStation(**arguments)


def main() -> None:
    """Answer until the input ends."""
    station = _station(sys.argv[1], json.loads(sys.argv[2]))
    try:
        for line in sys.stdin:
            request = json.loads(line)
            try:
                answer = {"result": station.operations[request.pop("operation")](**request)}
            except Exception as error:  # noqa: BLE001 - reported to whoever sent the request
                answer = {"error": f"{type(error).__name__}: {error}"}
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()
    finally:
        station.close()


if __name__ == "__main__":
    main()
