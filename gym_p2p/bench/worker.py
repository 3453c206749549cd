"""A process of the bench, from inside. Run by :mod:`gym_p2p.bench.processes`.

``python -m gym_p2p.bench.worker KIND ARGUMENTS``: reads requests as lines of JSON, answers each with one, and
ends with its input. What it is, a *station*, takes as requests what its public methods are; their results are
plain data.
"""

from __future__ import annotations

import json
import pkgutil
import sys

__all__ = ["main"]


# Each is imported alone: what is loaded beside it would count.
_STATIONS = {
    "player": "gym_p2p.bench.player:PlayerStation",
    "mesh": "gym_p2p.bench.mesh_player:MeshStation",
    "wire": "gym_p2p.bench.wire_end:WireStation",
    "opening": "gym_p2p.bench.opening:OpeningStation",
    "served": "gym_p2p.bench.served:ServedStation",
    "crowd": "gym_p2p.bench.crowd:CrowdStation",
    "pages": "gym_p2p.bench.pages:PagesStation",
    "seat": "gym_p2p.bench.seat_host:SeatStation",
    "misbehaving": "gym_p2p.bench.misbehaviour:MisbehavingStation",
}


def main() -> None:
    """Answer until the input ends."""
    station = pkgutil.resolve_name(_STATIONS[sys.argv[1]])(**json.loads(sys.argv[2]))
    try:
        for line in sys.stdin:
            request = json.loads(line)
            try:
                response = {"result": getattr(station, request.pop("operation"))(**request)}
            except Exception as error:  # noqa: BLE001 - reported to whoever sent the request
                response = {"error": f"{type(error).__name__}: {error}"}
            sys.stdout.write(json.dumps(response) + "\n")
            sys.stdout.flush()
    finally:
        station.close()


if __name__ == "__main__":
    main()
