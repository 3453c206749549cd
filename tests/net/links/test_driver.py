from __future__ import annotations

from functools import partial
from typing import Any

from gym_p2p.config import SyncConfig
from gym_p2p.core.match.commands import Leave
from gym_p2p.core.match.events import Connected, Event, Interrupted, PlayerGone, ProtocolErrorSeen, Resumed
from gym_p2p.core.match.match import Match
from gym_p2p.net.links.driver import Driver
from gym_p2p.net.links.memory import MemoryNetwork, Path, VirtualClock
from gym_p2p.net.links.transport import LinkState

TERMS: dict[str, Any] = {"must": {}}


class Ends:
    """Two drivers with a link between them."""

    def __init__(self, *, reconnect_timeout_s: float = 0) -> None:
        self._sync = SyncConfig(reconnect_timeout_s=reconnect_timeout_s)
        self.clock = VirtualClock()
        self.network = MemoryNetwork(self.clock, seed=1, path=Path(one_way_ms=10))
        self.events: list[list[Event]] = [[], []]
        self.drivers = [
            Driver(self._match(index), clock=self.clock, emit=self.events[index].append) for index in range(2)
        ]

    def _match(self, index: int) -> Match:
        return Match(local=index, players=2, description=TERMS, match_seed=1, sync=self._sync, secret=b"ours")

    def connect(self) -> None:
        self._listen(0, 1)
        self._listen(1, 0)
        for here, there in ((0, 1), (1, 0)):
            self.drivers[here].attach(there, self.network.link(here, there))

    def _listen(self, here: int, there: int) -> None:
        link, driver = self.network.link(here, there), self.drivers[here]
        link.on_message = lambda _channel, data: driver.message(there, data)
        link.on_state = partial(driver.link_state, there)


def test_matches_meet_over_their_links_and_keep_the_time_by_themselves() -> None:
    ends = Ends()
    ends.connect()
    ends.clock.run_until(5.0)
    assert all(Connected((None, {})) in events or Connected(({}, None)) in events for events in ends.events)
    assert ends.drivers[0].game_messages_sent >= 4  # pings, and answers to them
    assert ends.drivers[0].game_bytes_sent > ends.drivers[0].game_messages_sent


def test_text_is_no_message_and_is_counted_as_one() -> None:
    ends = Ends()
    ends.connect()
    ends.clock.run_until(1.0)
    ends.drivers[0].message(1, "text")
    assert [event.total for event in ends.events[0] if isinstance(event, ProtocolErrorSeen)] == [1]


def test_a_closed_link_is_a_lost_player_and_what_comes_from_strangers_is_ignored() -> None:
    ends = Ends()
    ends.drivers[0].message(1, b"early")
    ends.drivers[0].link_state(1, LinkState.CLOSED)
    assert ends.events[0] == []
    ends.connect()
    ends.clock.run_until(1.0)
    ends.network.link(1, 0).shut()
    ends.clock.run_until(2.0)
    assert PlayerGone(1, "peer_crashed", 0) in ends.events[0]


def test_over_a_new_link_the_match_goes_on_once_the_player_is_recognised() -> None:
    ends = Ends(reconnect_timeout_s=10)
    ends.connect()
    ends.clock.run_until(1.0)
    ends.network.link(1, 0).shut()
    ends.clock.run_until(1.5)
    taken = [False, False]

    def on_message(here: int, _channel: object, data: bytes | str) -> None:
        driver, there = ends.drivers[here], 1 - here
        if taken[here]:
            driver.message(there, data)
        elif driver.recognises(there, link := ends.network.link(here, there, 1), 1, data):
            taken[here] = True
            driver.replace(there, link)

    for here in (0, 1):
        ends.network.link(here, 1 - here, 1).on_message = partial(on_message, here)
    assert not ends.drivers[0].recognises(1, ends.network.link(0, 1, 1), 1, "text")
    for here in (0, 1):
        ends.drivers[here].introduce(1 - here, ends.network.link(here, 1 - here, 1), 1)
    ends.clock.run_until(30.0)
    assert taken == [True, True]
    for events in ends.events:
        assert [type(event) for event in events if isinstance(event, Interrupted | Resumed)] == [
            Interrupted,
            Resumed,
        ]
        assert not [event for event in events if isinstance(event, PlayerGone | ProtocolErrorSeen)]


def test_after_a_stop_nothing_is_done_any_more() -> None:
    ends = Ends()
    ends.connect()
    ends.clock.run_until(1.0)
    for driver in ends.drivers:
        driver.stop()
        driver.stop()
    before = [list(events) for events in ends.events]
    ends.drivers[0].message(1, b"late")
    ends.clock.run_until(30.0)
    assert ends.events == before
    ends.drivers[0].command(Leave("normal"))
