"""A page over a line that loses, delays and reorders, on virtual time: what is seen, and what is pressed."""

from __future__ import annotations

import heapq
import itertools
import json
import random
from typing import Any

import attrs
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gym_p2p.core.wire.fragments import MAX_MESSAGE_BYTES
from gym_p2p.human.detail import Detail
from gym_p2p.human.encoding import Picture, simplified
from gym_p2p.human.person import Person, SendFrame, SendToPage
from gym_p2p.human.pieces import split
from tests.human.fake_page import HELLO
from tests.human.page_model import Page, Pieces

FPS = 60.0
KEYS = ("ArrowUp", "ArrowDown")
ALL_LOST_S = 0.5
"""How long nothing arrives, in the middle of it."""


@attrs.define(eq=False)
class Line:
    """Takes messages and gives them back later, or never."""

    loss: float
    delay_s: float
    jitter_s: float
    chance: random.Random
    blocked: tuple[float, float] = (0.0, 0.0)
    lost: int = attrs.field(default=0, init=False)
    _under_way: list[tuple[float, int, Any]] = attrs.field(factory=list, init=False)
    _numbers: Any = attrs.field(factory=itertools.count, init=False)

    def send(self, message: Any, now: float, *, may_get_lost: bool = True) -> None:
        begin, end = self.blocked
        if may_get_lost and (begin <= now < end or self.chance.random() < self.loss):
            self.lost += 1
            return
        at = now + self.delay_s + self.chance.uniform(0, self.jitter_s)
        heapq.heappush(self._under_way, (at, next(self._numbers), message))

    def arrived(self, now: float) -> list[Any]:
        found = []
        while self._under_way and self._under_way[0][0] <= now:
            found.append(heapq.heappop(self._under_way)[2])
        return found


@attrs.define(eq=False)
class LossyPage:
    """The page's side: acknowledges, tells its keys until they are heard."""

    to_host: Line
    pieces: Pieces = attrs.field(factory=Pieces, init=False)
    screen: Page = attrs.field(factory=Page, init=False)
    drawn: list[tuple[int, int, Picture, bool]] = attrs.field(factory=list, init=False)
    seq: int = attrs.field(default=0, init=False)
    held: list[str] = attrs.field(factory=list, init=False)
    unheard: list[list[Any]] = attrs.field(factory=list, init=False)
    _told: list[list[Any]] = attrs.field(factory=list, init=False)

    def receive(self, message: Any, now: float) -> None:
        if isinstance(message, bytes):
            whole = self.pieces.add(message)
            base = 0 if whole is None else int.from_bytes(whole[6:10], "big")
            if whole is None or not (whole[1] & 1 or base in self.screen.kept):
                return
            number, picture, frame, _ = self.screen.decode(whole)
            self.drawn.append((number, frame, picture, self.screen.exact))
            self._told = [*self._told, [number, now * 1e3]][-8:]
            self.to_host.send({"t": "ack", "n": number, "shown": self._told}, now)
            self.tell(now)
        elif message["t"] == "heard":
            self.unheard = [change for change in self.unheard if change[0] > message["seq"]]
        elif message["t"] == "ping":
            self.to_host.send(
                {"t": "pong", "id": message["id"], "received": now * 1e3, "sent": now * 1e3}, now
            )

    def change(self, held: list[str], code: str | None, now: float) -> None:
        self.seq += 1
        self.held = held
        self.unheard.append([self.seq, now * 1e3, code])
        self.tell(now)

    def tell(self, now: float) -> None:
        if self.unheard:
            self.to_host.send({"t": "keys", "held": self.held, "changes": self.unheard[-64:]}, now)


def picture(frame: int) -> Picture:
    made = np.full((40, 48, 3), 7, np.uint8)
    made[frame % 40, :, :] = frame % 251
    if frame % 20 == 0:  # many pieces
        made[:] = np.random.default_rng(frame).integers(0, 256, made.shape, np.uint8)
    return made


@settings(max_examples=30, deadline=None)
@given(
    loss=st.floats(0, 0.3),
    delay_ms=st.floats(0, 120),
    jitter_ms=st.floats(0, 40),
    seed=st.integers(0, 1000),
    presses=st.lists(st.tuples(st.integers(5, 90), st.sampled_from(KEYS)), max_size=8),
)
def test_what_is_shown_was_played_in_order_and_every_press_counts_once_whatever_gets_lost(
    loss: float, delay_ms: float, jitter_ms: float, seed: int, presses: list[tuple[int, str]]
) -> None:
    chance = random.Random(seed)
    down, up = (
        Line(loss, delay_ms / 1e3, jitter_ms / 1e3, chance, blocked=(1.0, 1.0 + ALL_LOST_S)) for _ in range(2)
    )
    who, page = Person(known=KEYS, welcome={}, hold_s=10.0, interval_s=1 / FPS), LossyPage(up)
    who.connected(1, "datachannel")
    who.receive(1, json.dumps({**HELLO, "why": "opened"}), 0.0)
    played: list[str] = []
    most_under_way = 0
    for tick in (*range(120), *range(120, 900, 3)):
        now = tick / FPS
        for message in up.arrived(now):
            who.receive(1, json.dumps(message), now)
        if tick < 120:  # then the game stands still, and what got lost last must come all the same
            for at, code in presses:
                if at == tick:
                    page.change([code], code, now)
                    page.change([], None, now)
            sample = who.sample()
            played += sample.held
            who.offer(picture(tick), frame=tick, seq=sample.seq, now=now)
        who.handle_timeout(now)
        for output in iter(who.poll, None):
            if isinstance(output, SendFrame):
                pieces = split(output.number, output.data)
                assert max(map(len, pieces)) <= MAX_MESSAGE_BYTES
                for piece in pieces:
                    down.send(piece, now)
            elif isinstance(output, SendToPage):
                down.send(json.loads(output.text), now, may_get_lost=output.may_get_lost)
        for message in down.arrived(now):
            page.receive(message, now)
        if tick % 3 == 0:  # as its clock has it
            page.tell(now)
        most_under_way = max(most_under_way, len(page.screen.kept))
    played += who.sample().held
    numbers, frames = [one[0] for one in page.drawn], [one[1] for one in page.drawn]
    assert numbers == sorted(set(numbers))
    assert frames == sorted(frames)
    for _, frame, drawn, exact in page.drawn:
        details = [Detail.EXACT] if exact else [Detail.FEWER_COLOURS, Detail.COARSE]
        assert any(np.array_equal(drawn, simplified(picture(frame), detail)) for detail in details)
    assert down.lost > 0
    assert page.drawn[-1][3]  # there was time for all of it
    assert frames[-1] == 119
    assert most_under_way <= 17
    assert who.keys.events == len(presses)
    assert set(played) == {code for _, code in presses}
    assert who.gone is None
    assert not page.unheard
