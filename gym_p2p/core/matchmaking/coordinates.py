"""Network coordinates: positions whose distances are round trips, learnt one measurement at a time.

The algorithm is Vivaldi (Dabek, Cox, Kaashoek, Morris: "Vivaldi: a decentralized network coordinate system",
SIGCOMM 2004): every measurement is a spring between two positions. The *height* stands for the way from a
host to the core of the network, which every one of its paths contains and no position in a space can
express. A pull towards the origin keeps the whole from drifting away (Ledlie, Gardner, Seltzer: "Network
coordinates in the wild", NSDI 2007).

It knows arithmetic alone, and draws no random numbers: a host's name decides where it starts.
"""

from __future__ import annotations

import hashlib
import math

import attrs

__all__ = ["Coordinate", "approach", "newcomer"]

_DIMENSIONS = 8
"""More than the two of the paper cost little and embed a globe with detours better."""
_ERROR_GAIN = 0.25
_POSITION_GAIN = 0.25
"""c_e and c_c of the paper, with its values."""
_MAX_ERROR = 1.5
"""Of a newcomer: a relative error above 1 makes it follow others rather than move them."""
_MIN_HEIGHT_MS = 0.01
_FIRST_HEIGHT_MS = 2.0
"""About what a home's access line adds."""
_SPREAD_MS = 30.0
"""How far newcomers start from the origin: farther than their heights, which would explain everything."""
_GRAVITY_MS = 2000.0
"""At this distance from the origin the pull is 1 ms a sample: no drift, and no effect within a planet."""
_TOO_CLOSE_MS = 1e-6


@attrs.frozen
class Coordinate:
    """Where a host is, as far as is known.

    Attributes:
        vector: the position, in milliseconds of round trip.
        height_ms: the way from the host into the core of the network.
        error: the estimated relative error of distances from here.
        samples: how many measurements it is made of.
    """

    vector: tuple[float, ...] = (0.0,) * _DIMENSIONS
    height_ms: float = _FIRST_HEIGHT_MS
    error: float = _MAX_ERROR
    samples: int = 0

    def distance_ms(self, other: Coordinate) -> float:
        """Return the estimated round trip between the two."""
        return math.dist(self.vector, other.vector) + self.height_ms + other.height_ms


def newcomer(name: str) -> Coordinate:
    """Return where a host starts: around the origin, in a direction of its own that its name decides.

    Hosts that start in one place, or on one line, stay on that line.
    """
    digest = hashlib.blake2b(name.encode(errors="surrogatepass"), digest_size=_DIMENSIONS).digest()
    return Coordinate(vector=tuple((byte - 127.5) / 127.5 * _SPREAD_MS for byte in digest))


def approach(here: Coordinate, there: Coordinate, rtt_ms: float) -> Coordinate:
    """Return ``here``, moved so that its distance to ``there`` is nearer to the measured round trip."""
    rtt_ms = max(rtt_ms, _TOO_CLOSE_MS)
    distance_ms = here.distance_ms(there)
    weight = here.error / max(here.error + there.error, _TOO_CLOSE_MS)
    wrongness = abs(distance_ms - rtt_ms) / rtt_ms
    error = wrongness * _ERROR_GAIN * weight + here.error * (1 - _ERROR_GAIN * weight)
    # The unit vector of the paper has the sum of both heights as its last component.
    step = _POSITION_GAIN * weight * (rtt_ms - distance_ms) / max(distance_ms, _TOO_CLOSE_MS)
    moved = tuple(x + (x - y) * step for x, y in zip(here.vector, there.vector, strict=True))
    pull = 1 - min(math.hypot(*moved) / _GRAVITY_MS**2, 1.0)
    return Coordinate(
        vector=tuple(x * pull for x in moved),
        height_ms=max(here.height_ms + (here.height_ms + there.height_ms) * step, _MIN_HEIGHT_MS),
        error=min(error, _MAX_ERROR),
        samples=here.samples + 1,
    )
