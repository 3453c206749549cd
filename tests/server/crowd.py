"""Simulated players for a queue: real websockets and the real wire, made-up measurements and moods.

Each player has a place in a :class:`World`, which knows the round trip between any two of them and which
pairs do not get through to each other. Each answers probes as a peer would, with a description there and back
and a result after about the time that measuring takes; the :class:`Mood` says when not.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import itertools
import json
import math
import random
import time
from collections.abc import Mapping
from typing import Any, Self

import attrs
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.server.raw import OFFER, description
from tests.waiting import PATIENCE_S

__all__ = ["SEATS", "Mood", "Player", "Wire", "World"]

SEATS = ["first", "second"]
MEASURING_S = 0.3
"""What five pings take."""
HESITATION_S = 0.05
KILOMETRES_PER_MS = 100.0
"""There and back in glass."""
ANSWER = description(kind="answer")


class Mood(enum.Enum):
    """What a player does beyond waiting."""

    PLAIN = "plain"
    SILENT = "never answers probe_prepare"
    LEAVES = "leaves the queue while waiting"
    DROPS = "the line breaks while waiting"
    LEAVES_PROBE = "leaves the queue when a probe starts"
    DROPS_PROBE = "the line breaks when a probe starts"
    ACCEPTS = "asks, and accepts"
    REFUSES = "asks, and refuses"
    HESITATES = "asks, and never answers"

    @property
    def asks(self) -> bool:
        """Whether this player wants a vote."""
        return self in {Mood.ACCEPTS, Mood.REFUSES, Mood.HESITATES}

    @property
    def quits(self) -> bool:
        """Whether this player ends the wait."""
        return self in {Mood.LEAVES, Mood.DROPS, Mood.LEAVES_PROBE, Mood.DROPS_PROBE}


@attrs.define(eq=False)
class World:
    """Where players are, and which pairs do not get through.

    Attributes:
        broken_share: the share of pairs whose probes fail.
    """

    seed: int
    broken_share: float
    places: dict[str, tuple[float, float]] = attrs.field(factory=dict)
    _cities: list[tuple[float, float]] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        draws = random.Random(f"{self.seed}/cities")
        self._cities = [(draws.uniform(0, 12_000), draws.uniform(0, 6_000)) for _ in range(8)]

    def settle(self, name: str) -> None:
        """Give a player a place near a city."""
        draws = random.Random(f"{self.seed}/{name}")
        x, y = draws.choice(self._cities)
        self.places[name] = (x + draws.gauss(0, 400), y + draws.gauss(0, 400))

    def rtt_ms(self, one: str, other: str) -> float:
        """Return the true round trip between two players."""
        return 8.0 + math.dist(self.places[one], self.places[other]) / KILOMETRES_PER_MS

    def service_ms(self, name: str) -> float:
        """Return a player's round trip to the service, in the middle of the map."""
        return 8.0 + math.dist(self.places[name], (6_000, 3_000)) / KILOMETRES_PER_MS

    def breaks(self, one: str, other: str) -> bool:
        """Tell whether no probe of this pair gets through."""
        pair = sorted((one, other))
        return random.Random(f"{self.seed}/{pair}").random() < self.broken_share


class Wire:
    """One websocket on an event loop that speaks Engine.IO 4 and Socket.IO 5 itself."""

    def __init__(self, socket: ClientConnection, receive: Any) -> None:
        self._socket = socket
        self._receive = receive
        self._numbers = itertools.count()
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def open(cls, url: str, subject: str, receive: Any) -> Self:
        """Connect and register."""
        address = f"ws{url.removeprefix('http')}/socket.io/?EIO=4&transport=websocket"
        socket = await connect(
            address, compression=None, ping_interval=None, open_timeout=PATIENCE_S, close_timeout=1
        )
        assert str(await socket.recv()).startswith("0")
        await socket.send("40")
        assert str(await socket.recv()).startswith("40")
        wire = cls(socket, receive)
        registration = {"subject_id": subject, "client": "gym_p2p/crowd"}
        assert (await wire.call("register_subject", registration))["ok"]
        return wire

    async def emit(self, event: str, payload: Mapping[str, Any]) -> None:
        """Send an event whose answer nobody waits for; a line that is gone takes it and is silent."""
        with contextlib.suppress(ConnectionClosed):
            await self._socket.send("42" + json.dumps([event, payload]))

    async def call(self, event: str, payload: Mapping[str, Any]) -> Any:
        """Send an event and return its answer."""
        number = next(self._numbers)
        answer = self._asked[number] = asyncio.get_running_loop().create_future()
        await self._socket.send(f"42{number}" + json.dumps([event, payload]))
        async with asyncio.timeout(PATIENCE_S):
            return await answer

    async def close(self) -> None:
        """Hang up. Idempotent."""
        self._reading.cancel()
        await self._socket.close()
        await asyncio.gather(self._reading, return_exceptions=True)

    async def _read(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            await self._read_on()

    async def _read_on(self) -> None:
        async for message in self._socket:
            frame = str(message)
            if frame == "2":
                await self._socket.send("3")
            elif frame.startswith("42"):
                event, payload = json.loads(frame[2:])
                self._receive(event, payload)
            elif frame.startswith("43"):
                digits = "".join(itertools.takewhile(str.isdigit, frame[2:]))
                self._asked.pop(int(digits)).set_result(json.loads(frame[2 + len(digits) :])[0])


class Player:
    """One simulated player.

    Attributes:
        told: every ``match_found`` and ``match_failed`` that came, in order.
        proposals: how many matches this player was asked about.
        joined_at: when the player joined the queue, in monotonic seconds.
        ended_at: when the wait ended.
        left: the player ended the wait.
    """

    def __init__(self, name: str, mood: Mood, world: World, *, patience_s: float = 1.0) -> None:
        self.name = name
        self.mood = mood
        self.told: list[tuple[str, Any]] = []
        self.proposals = 0
        self.verdicts: list[Mapping[str, Any]] = []
        self.joined_at = self.ended_at = 0.0
        self.left = False
        self._patience_s = patience_s
        self._world = world
        self._url = ""
        self._wire: Wire | None = None
        self._ended = asyncio.Event()
        self._peer_of: dict[str, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def wire(self) -> Wire:
        """The line to the service."""
        assert self._wire is not None
        return self._wire

    @property
    def match(self) -> Mapping[str, Any] | None:
        """The last match that was announced."""
        return next((payload for event, payload in reversed(self.told) if event == "match_found"), None)

    async def come(self, url: str) -> None:
        """Open the line, unless there is one."""
        self._url = url
        if self._wire is None:
            self._wire = await Wire.open(url, self.name, self._receive)

    async def join(self, queue: str) -> None:
        """Join a queue; the wait ends by an announcement, or by the player."""
        self._ended.clear()
        ticket = {
            "queue": queue,
            "seats": SEATS,
            "take": None,
            "asks": self.mood.asks,
            "rtt_ms": self._world.service_ms(self.name),
        }
        self.joined_at = time.monotonic()
        answer = await self.wire.call("join_queue", ticket)
        assert answer["ok"], answer
        if self.mood in {Mood.LEAVES, Mood.DROPS}:
            self._start(self._quit_later())

    async def end_of_wait(self, timeout_s: float) -> bool:
        """Return whether the wait has ended within the time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._ended.wait()
        return self._ended.is_set()

    async def go(self) -> None:
        """Hang up, and forget what was under way."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        wire, self._wire = self._wire, None
        if wire is not None:
            await wire.close()

    # ---- what the service says

    async def _emit(self, event: str, payload: Mapping[str, Any]) -> None:
        if self._wire is not None:
            await self._wire.emit(event, payload)

    def _receive(self, event: str, payload: Any) -> None:
        if event in {"match_found", "match_failed"}:
            self.told.append((event, payload))
            self._end()
        elif event == "match_proposed":
            self.proposals += 1
            self._start(self._answer_match(payload))
        elif event == "probe_prepare" and self.mood is not Mood.SILENT:
            self._peer_of[payload["probe_session_id"]] = payload["peer_subject_id"]
            self._start(self._emit("probe_ready", {"probe_session_id": payload["probe_session_id"]}))
        elif event == "probe_start":
            self._start(self._begin_probe(payload["probe_session_id"]))
        elif event == "probe_signal":
            self._start(self._take_signal(payload))
        elif event in {"probe_verdict", "probe_cancel"}:
            self.verdicts.append(payload)

    def _end(self) -> None:
        if not self._ended.is_set():
            self.ended_at = time.monotonic()
            self._ended.set()

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer_match(self, proposed: Mapping[str, Any]) -> None:
        if self.mood is Mood.HESITATES:
            return
        await asyncio.sleep(HESITATION_S)
        verdict = "reject" if self.mood is Mood.REFUSES else "accept"
        await self._emit("answer_match", {"proposal_id": proposed["proposal_id"], "verdict": verdict})

    # ---- probes

    async def _begin_probe(self, probe_id: str) -> None:
        if self.mood in {Mood.LEAVES_PROBE, Mood.DROPS_PROBE} and not self._ended.is_set():
            await self._quit()
        elif self.name < self._peer_of[probe_id]:
            await self._signal(probe_id, "offer", OFFER)

    async def _take_signal(self, signal: Mapping[str, Any]) -> None:
        probe_id = signal["probe_session_id"]
        if signal["type"] == "offer":
            await self._signal(probe_id, "answer", ANSWER)
        peer = self._peer_of[probe_id]
        rtt_ms = self._world.rtt_ms(self.name, peer)
        await asyncio.sleep(MEASURING_S + 4 * rtt_ms / 1e3)
        await self._emit("probe_result", self._result(probe_id, peer, rtt_ms))

    async def _signal(self, probe_id: str, kind: str, payload: Mapping[str, Any]) -> None:
        signal = {"probe_session_id": probe_id, "target_subject_id": self._peer_of[probe_id]}
        await self._emit("probe_signal", {**signal, "type": kind, "payload": payload})

    def _result(self, probe_id: str, peer: str, rtt_ms: float) -> dict[str, Any]:
        if self._world.breaks(self.name, peer):
            return {"probe_session_id": probe_id, "rtt_ms": None, "success": False, "failure": "no_way"}
        draws = random.Random(f"{probe_id}/{self.name}")
        samples = [rtt_ms + draws.expovariate(1.0) for _ in range(5)]
        found = {"rtt_ms": sorted(samples)[2], "success": True, "samples_ms": samples, "loss": 0.0}
        return {"probe_session_id": probe_id, **found}

    # ---- leaving

    async def _quit_later(self) -> None:
        await asyncio.sleep(self._patience_s)
        if not self._ended.is_set():
            await self._quit()

    async def _quit(self) -> None:
        """End the wait by oneself; by the time that it is acknowledged a match may have come."""
        if self.mood in {Mood.LEAVES, Mood.LEAVES_PROBE}:
            answer = await self.wire.call("leave_queue", {})
            assert answer["ok"], answer
        else:
            wire, self._wire = self.wire, None
            await wire.close()
        self.left = not self._ended.is_set()
        self._end()
