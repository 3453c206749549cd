"""A simulated population of players: where they live, how they are connected, how far apart they are.

Made up, but with the traits of the internet that matter to matchmaking: people cluster around cities on a few
continents; a round trip is the way along the earth at the speed of light in glass, times a detour that
differs from route to route, plus what the two access lines add (which no position can explain); some people
have a slow line. Nothing here is measured on any real network.

It knows geography and chance (a seed makes a population). It refuses to know queues and matchmakers.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Mapping

import attrs

from gym_p2p.core.matchmaking.estimator import LatencyEstimator

__all__ = ["CITIES", "LANDMARKS", "City", "Player", "Population"]


@attrs.frozen
class City:
    """A place where players live, and how many of them relative to others."""

    name: str
    latitude: float
    longitude: float
    weight: float


CITIES = (
    City("new-york", 40.7, -74.0, 9),
    City("chicago", 41.9, -87.6, 5),
    City("dallas", 32.8, -96.8, 5),
    City("los-angeles", 34.1, -118.2, 6),
    City("seattle", 47.6, -122.3, 3),
    City("toronto", 43.7, -79.4, 3),
    City("mexico-city", 19.4, -99.1, 3),
    City("bogota", 4.7, -74.1, 2),
    City("sao-paulo", -23.6, -46.6, 5),
    City("buenos-aires", -34.6, -58.4, 2),
    City("london", 51.5, -0.1, 6),
    City("paris", 48.9, 2.4, 4),
    City("frankfurt", 50.1, 8.7, 5),
    City("madrid", 40.4, -3.7, 3),
    City("stockholm", 59.3, 18.1, 2),
    City("warsaw", 52.2, 21.0, 3),
    City("istanbul", 41.0, 29.0, 3),
    City("cairo", 30.0, 31.2, 2),
    City("lagos", 6.5, 3.4, 2),
    City("johannesburg", -26.2, 28.0, 2),
    City("dubai", 25.2, 55.3, 1),
    City("mumbai", 19.1, 72.9, 5),
    City("delhi", 28.6, 77.2, 4),
    City("bangkok", 13.8, 100.5, 2),
    City("singapore", 1.35, 103.8, 3),
    City("jakarta", -6.2, 106.8, 3),
    City("manila", 14.6, 121.0, 2),
    City("hong-kong", 22.3, 114.2, 3),
    City("seoul", 37.6, 127.0, 4),
    City("tokyo", 35.7, 139.7, 5),
    City("sydney", -33.9, 151.2, 2),
    City("auckland", -36.8, 174.8, 1),
)

LANDMARKS = ("new-york", "los-angeles", "sao-paulo", "frankfurt", "mumbai", "singapore", "tokyo", "sydney")
"""Where the servers stand to which players measure their round trips; the first one is the service."""

_EARTH_RADIUS_KM = 6371.0
_KM_PER_RTT_MS = 100.0
"""Light in glass covers 200 km a millisecond, and a round trip goes both ways."""
_SUBURB_KM = 60.0
_DETOUR_MEDIAN = 1.5
_DETOUR_SPREAD = 0.18
"""Between two cities cables follow coasts, and networks their contracts (log-normal)."""
_ROUTE_SPREAD = 0.06
"""Between two players of the same two cities (log-normal)."""
_LINES_MS = ((0.35, 3.0), (0.45, 9.0), (0.15, 18.0), (0.05, 40.0))
"""Share of players and median round trip over the access line: fibre, cable, copper, mobile."""
_LINE_SPREAD = 0.4


@attrs.frozen
class Player:
    """Somebody at home."""

    subject_id: str
    number: int
    city: int
    line_ms: float


class Population:
    """Players drawn from :data:`CITIES`.

    Args:
        seed: makes the population; equal seeds make equal ones.
        size: how many players there are.
    """

    def __init__(self, seed: int, size: int) -> None:
        self._seed = seed
        self._random = random.Random(f"population:{seed}")
        self._routes_ms = self._draw_routes()
        places = self._random.choices(range(len(CITIES)), [city.weight for city in CITIES], k=size)
        self.players = tuple(Player(f"s{n}", n, city, self._draw_line()) for n, city in enumerate(places))
        self._landmark_cities = [_city(name) for name in LANDMARKS]

    def rtt_ms(self, one: Player, other: Player) -> float:
        """Return the true round trip between two players; the same at every call."""
        low, high = sorted((one.number, other.number))
        chance = random.Random(f"{self._seed}:{low}:{high}")
        route_ms = self._routes_ms[one.city][other.city] * math.exp(chance.gauss(0, _ROUTE_SPREAD))
        return route_ms + one.line_ms + other.line_ms

    def landmark_rtts_ms(self, player: Player) -> dict[str, float]:
        """Return what a player measures to each landmark, with a little noise."""
        routes = self._routes_ms[player.city]
        chance = random.Random(f"{self._seed}:landmarks:{player.number}")
        return {
            name: (routes[city] * math.exp(chance.gauss(0, _ROUTE_SPREAD)) + player.line_ms)
            for name, city in zip(LANDMARKS, self._landmark_cities, strict=True)
        }

    def between_landmarks_ms(self) -> Mapping[tuple[str, str], float]:
        """Return the round trips between the landmarks themselves."""
        return {
            (one, other): self._routes_ms[_city(one)][_city(other)]
            for one, other in itertools.combinations(LANDMARKS, 2)
        }

    def estimator(self) -> LatencyEstimator:
        """Return an estimator that knows the landmarks of this world and nobody in it."""
        return LatencyEstimator(landmarks=LANDMARKS, between_ms=self.between_landmarks_ms())

    def _draw_line(self) -> float:
        shares = [share for share, _median in _LINES_MS]
        ((_share, median_ms),) = self._random.choices(_LINES_MS, shares)
        return median_ms * math.exp(self._random.gauss(0, _LINE_SPREAD))

    def _draw_routes(self) -> list[list[float]]:
        routes = [[0.0] * len(CITIES) for _ in CITIES]
        for one, other in itertools.combinations_with_replacement(range(len(CITIES)), 2):
            detour = max(1.1, _DETOUR_MEDIAN * math.exp(self._random.gauss(0, _DETOUR_SPREAD)))
            distance_km = max(_SUBURB_KM, _distance_km(CITIES[one], CITIES[other]))
            routes[one][other] = routes[other][one] = distance_km / _KM_PER_RTT_MS * detour
        return routes


def _city(name: str) -> int:
    return next(place for place, city in enumerate(CITIES) if city.name == name)


def _distance_km(one: City, other: City) -> float:
    """Return the way along the earth (haversine)."""
    lat_a, lat_b = math.radians(one.latitude), math.radians(other.latitude)
    half_lat = (lat_b - lat_a) / 2
    half_lon = math.radians(other.longitude - one.longitude) / 2
    chord = math.sin(half_lat) ** 2 + math.cos(lat_a) * math.cos(lat_b) * math.sin(half_lon) ** 2
    return 2 * _EARTH_RADIUS_KM * math.asin(math.sqrt(chord))
