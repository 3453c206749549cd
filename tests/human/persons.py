"""A person at a page, on virtual time: what tests say to them and hear of them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from gym_p2p.human.person import Output, Person, SendFrame, SendToPage
from tests.human.fake_page import HELLO

__all__ = ["KEYS", "PICTURE", "UNIX_MS", "frames", "here", "outputs", "person", "press", "say", "told"]

UNIX_MS = 1e12
KEYS = ("ArrowUp", "ArrowDown", "Space")


def person(hold_s: float = 10.0) -> Person:
    return Person(known=KEYS, welcome={"title": "Rally"}, hold_s=hold_s, unix_ms=UNIX_MS)


def say(who: Person, kind: str, now: float = 0.0, page: int = 1, **fields: Any) -> None:
    who.receive(page, json.dumps({"t": kind, **fields}), now)


def press(
    who: Person, seq: int, *codes: str, held: tuple[str, ...] = (), at: float = 0.0, page: int = 1
) -> None:
    each = codes or (None,)
    changes = [[seq + 1 - len(each) + place, at, code] for place, code in enumerate(each)]
    say(who, "keys", page=page, held=list(held), changes=changes)


def outputs(who: Person) -> list[Output]:
    return list(iter(who.poll, None))


def told(who: Person, page: int = 1) -> list[dict[str, Any]]:
    sent = [one.text for one in outputs(who) if isinstance(one, SendToPage) and one.connection == page]
    return [json.loads(text) for text in sent]


def frames(sent: list[Output]) -> int:
    return sum(isinstance(one, SendFrame) for one in sent)


def here(hold_s: float = 10.0) -> Person:
    who = person(hold_s)
    who.receive(1, json.dumps(HELLO), 0.0)
    return who


PICTURE = np.zeros((8, 8, 3), np.uint8)
