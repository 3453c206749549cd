"""Paths that break, as the documents, the log and the person at the screen are told of them."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from gym_p2p.config import P2PConfig, SyncConfig
from gym_p2p.core.match.events import Interrupted, PlayerGone, Resumed, Source
from gym_p2p.core.record.match_record import MatchRecord
from gym_p2p.core.sync.patience import PAUSE_AFTER_S
from gym_p2p.errors import ConfigurationError
from gym_p2p.game.env.seats import make_game
from gym_p2p.net.worker.messages import PathBroken, PathRebuilt, PathTried
from gym_p2p.play.broken_paths import BrokenPaths
from gym_p2p.play.exported import exported_config
from gym_p2p.play.handshake import make_plan
from gym_p2p.play.live_match import LiveMatch
from gym_p2p.play.match_client import MatchClient
from gym_p2p.play.paused import Paused
from gym_p2p.play.setup import MatchSetup
from gym_p2p.play.silences import Silence
from gym_p2p.play.sync_mode import SyncOffer
from gym_p2p.play.waits import Waits
from tests.toys import Blend

AT_MS = 1_800_000_000_000
SILENT = Interrupted(1, 0.5, 10.0, reconnects=True)


def told(*events: Any) -> MatchRecord:
    record = MatchRecord(
        game_id="m",
        player_id="left",
        players=["left", "right"],
        peers=["right"],
        session_start_ms=AT_MS,
        environment={},
        config={},
    )
    paths = BrokenPaths(record, ["left", "right"])
    for number, event in enumerate(events):
        paths.fold(AT_MS + 1_000 * number, event)
    return record


def test_a_path_that_comes_back_by_itself_is_told_with_its_states_and_who_was_away() -> None:
    record = told(PathBroken(1, "completed", "open"), SILENT, Resumed(1, 1.5))
    (broken,), (attempt,) = record.disconnections, record.attempts
    assert (broken.other_peer, broken.ice_state, broken.dc_state) == ("right", "completed", "interrupted")
    assert (attempt.outcome, attempt.over, attempt.attempts) == ("success", "old_connection", 1)
    assert (attempt.other_peer, attempt.duration) == ("right", 1_500.0)
    assert record.links["right"].gap_count == 1


def test_a_closed_link_is_told_as_closed() -> None:
    assert told(PathBroken(1, "closed", "closed"), SILENT).disconnections[0].dc_state == "closed"


def test_a_new_connection_is_told_with_its_attempts_and_candidates_once() -> None:
    rebuilt = PathRebuilt(1, 3, "srflx", "host")
    record = told(SILENT, rebuilt, Resumed(1, 4.0), SILENT, Resumed(1, 0.9))
    first, second = record.attempts
    assert (first.over, first.attempts) == ("new_connection", 3)
    assert (first.local_candidate_type, first.remote_candidate_type) == ("srflx", "host")
    assert (second.over, second.attempts, second.local_candidate_type) == ("old_connection", 1, None)


def test_a_new_connection_that_only_the_other_side_needed_is_told_too() -> None:
    record = told(PathRebuilt(1, 1, "host", "host"), SILENT, Resumed(1, 0.9))
    assert [(one.over, one.duration) for one in record.attempts] == [
        ("new_connection", 0.0),
        ("old_connection", 900.0),
    ]


def test_what_was_tried_in_vain_is_told_at_the_players_end() -> None:
    gone = PlayerGone(1, "peer_lost", 7, source=Source.OBSERVATION)
    record = told(SILENT, PathTried(1, 2), gone)
    (attempt,) = record.attempts
    assert (attempt.outcome, attempt.over, attempt.attempts) == ("timeout", None, 2)
    assert attempt.duration == 2_500.0
    assert [one.dc_state for one in record.disconnections] == ["interrupted", "closed"]


class Client:
    """The little that waits want to know of the network half."""

    def __init__(self) -> None:
        self.silent: dict[int, Silence] = {}
        self.gone_names: list[str] = []
        self.not_ready = [1]
        self.commands: list[object] = []
        self.command = self.commands.append

    @property
    def gone_count(self) -> int:
        return len(self.gone_names)

    def player_id(self, player: int) -> str:
        return ("left", "right", "third")[player]

    def wait_for(self, *_told: object, meanwhile: Callable[[], None]) -> None:
        """Wait, and be broken off."""
        meanwhile()
        raise KeyboardInterrupt


class Book:
    """The little that waits want of a recorder."""

    def __init__(self) -> None:
        self.pauses: list[tuple[Sequence[Any], str]] = []

    def rtt_ms(self, _player: int) -> float | None:
        return 20.0

    def paused(self, players: Sequence[Any], why: str, **_times: float) -> None:
        self.pauses.append((players, why))


def waits(client: Client, book: Book, on_pause: Any = None, **options: Any) -> Waits:
    config = SyncConfig(fps=60, **options)
    made: Any = Waits
    told_of = [] if on_pause is None else [on_pause]
    waiting: Waits = made(config, client=client, recorder=book, takes_turns=False, on_pause=told_of)
    return waiting


@pytest.mark.parametrize("lacking", [[1], []], ids=["their word", "their word that they have ours"])
@pytest.mark.parametrize("at", ["input", "reset"])
def test_a_pause_for_a_broken_path_is_shown_told_logged_and_recorded(
    at: str, lacking: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    client, book = Client(), Book()
    heard: list[Paused | None] = []
    waiting = waits(client, book, heard.append)
    client.silent[1] = Silence(time.monotonic() - 1.2, 10.0)
    client.not_ready = lacking
    with caplog.at_level(logging.WARNING):
        if at == "input":
            waiting.for_inputs(lacking, since=time.monotonic())
        else:
            waiting.for_resets()
        paused = waiting.paused
        assert paused is not None
        assert (paused.players, paused.why, paused.limit_s) == (("right",), "silent", 10.0)
        said = re.fullmatch(r"path to 'right' lost (\d+\.\d) s ago, (\d+\.\d) s left", str(paused))
        assert said is not None
        assert float(said[1]) >= 1.2
        assert float(said[1]) + float(said[2]) == pytest.approx(10.0, abs=0.11)
        waiting.over()
    assert heard == [paused, None]
    assert book.pauses == [(("right",), "silent")]
    first, second = [record.getMessage() for record in caplog.records]
    assert first.startswith("paused: path to 'right' lost")
    assert second.startswith("going on after a pause of")


def test_a_wait_at_the_barrier_that_is_broken_off_is_over() -> None:
    client, book = Client(), Book()
    heard: list[Paused | None] = []
    waiting = waits(client, book, heard.append)
    client.silent[1] = Silence(time.monotonic() - 1.2, 10.0)
    made: Any = LiveMatch
    match = made(client=client, recorder=book, played=SimpleNamespace(input_delay=0), waits=waiting)
    with pytest.raises(KeyboardInterrupt):
        match.await_episode(None, None)
    assert len(heard) == 2
    assert heard[-1] is waiting.paused is None
    assert book.pauses == [(("right",), "silent")]


def test_two_who_are_waited_for_are_both_shown_the_longer_one_first_and_recorded_apart() -> None:
    client, book = Client(), Book()
    heard: list[Paused | None] = []
    waiting = waits(client, book, heard.append)
    now = time.monotonic()
    client.silent = {1: Silence(now - 3.0, 10.0), 2: Silence(now - 0.6, 10.0)}
    waiting.for_inputs([1, 2], since=now - 3.0)
    paused = waiting.paused
    assert paused is not None
    assert (paused.players, [one.players for one in paused.also]) == (("third",), [("right",)])
    assert str(paused).count("lost") == 2
    del client.silent[2]
    waiting.for_inputs([1], since=now - 3.0)
    assert [one.players for one in (waiting.paused,) if one is not None] == [("right",)]
    assert book.pauses == [(("third",), "silent")]
    waiting.over()
    assert book.pauses == [(("third",), "silent"), (("right",), "silent")]
    assert len(heard) == 3


def test_one_who_is_silent_and_one_who_does_not_play_are_both_shown() -> None:
    client = Client()
    waiting = waits(client, Book())
    now = time.monotonic()
    client.silent = {1: Silence(now - 1.0, 10.0)}
    waiting.for_inputs([1, 2], since=now - 2.0)
    paused = waiting.paused
    assert paused is not None
    assert {(one.why, one.players) for one in (paused, *paused.also)} == {
        ("silent", ("right",)),
        ("input", ("third",)),
    }


def test_the_time_of_a_silence_is_not_told_once_more_as_a_wait_for_who_does_not_play(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client, book, shown = Client(), Book(), []
    waiting = waits(client, book, on_pause=lambda paused: shown.append(paused and paused.why))
    begun = now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    waiting.for_inputs([1], since=begun)
    client.silent = {1: Silence(begun, 10.0)}
    waiting.for_inputs([1], since=begun)
    for _ in range(10):  # who looks more seldom stood still
        now += PAUSE_AFTER_S / 10
        waiting.for_inputs([1], since=begun)
    waiting.for_inputs([1], since=begun)
    client.silent = {}
    waiting.for_inputs([1], since=begun)
    waiting.over()
    assert (shown, book.pauses) == (["silent", None], [(("right",), "silent")])


def test_a_pause_that_ends_with_a_loss_is_not_called_going_on(caplog: pytest.LogCaptureFixture) -> None:
    client = Client()
    waiting = waits(client, Book())
    client.silent[1] = Silence(time.monotonic() - 9.9, 10.0)
    waiting.for_inputs([1], since=time.monotonic())
    del client.silent[1]
    client.gone_names.append("right")
    waiting.over()
    _, told = [record.getMessage() for record in caplog.records]
    assert "in vain: 'right' is gone" in told
    assert "going on" not in caplog.text


def test_who_is_gone_is_named_in_the_order_of_the_players_whoever_was_missed_first() -> None:
    client: Any = object.__new__(MatchClient)
    found = SimpleNamespace(players=[SimpleNamespace(player_id=name) for name in ("left", "right", "third")])
    client._recorder = SimpleNamespace(found=found)
    client._departures = {player: PlayerGone(player, "peer_lost", 7) for player in (2, 1)}
    assert client.gone_names == ["right", "third"]


def test_the_log_says_nothing_of_who_gets_ready_for_an_episode_unless_their_path_breaks(
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = Client()
    waiting = waits(client, Book())
    now = time.monotonic()
    waiting.for_inputs([1], since=now - 3.0, ready=False)
    assert waiting.paused is not None
    waiting.over()
    assert caplog.records == []
    client.silent[1] = Silence(now - 1.0, 10.0)
    waiting.for_inputs([1], since=now - 3.0, ready=False)
    assert "path to 'right' lost" in caplog.text
    waiting.over()
    client.silent.clear()
    waiting._logged_at = float("-inf")
    waiting.for_inputs([1], since=now - 3.0)
    assert "waiting for 'right' to play" in caplog.text


def test_the_log_tells_of_a_silence_and_as_soon_as_it_is_known_that_it_is_an_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = Client()
    waiting = waits(client, Book())
    now = time.monotonic()
    for silence in (Silence(now - 2.0, 10.0), Silence(now, 60.0, away=True), Silence(now, 59.0, away=True)):
        client.silent[1] = silence
        waiting.for_inputs([1], since=now)
    first, second = [record.getMessage() for record in caplog.records]
    assert first.startswith("paused: path to 'right' lost")
    assert second.startswith("paused: waiting for 'right' to come back")


def test_of_who_is_away_it_is_told_how_long_the_match_stands_and_not_how_long_they_are_gone() -> None:
    """Where others act for them these are not the same."""
    now = time.monotonic()
    paused = Paused(("right",), "away", now - 0.13, 24.0)
    said = re.fullmatch(
        r"waiting for 'right' to come back, (\d+\.\d) s by now, (\d+\.\d) s left", str(paused)
    )
    assert said is not None
    assert float(said[1]) + float(said[2]) == pytest.approx(24.0, abs=0.11)


def test_a_limit_is_told_to_a_tenth_of_a_second() -> None:
    paused = Paused(("right",), "input", time.monotonic(), 36.1025)
    assert str(paused) == "waiting for 'right' to play, up to 36.1 s"


def test_a_limit_that_changes_is_shown_and_is_still_one_pause() -> None:
    client, book = Client(), Book()
    heard: list[Paused | None] = []
    waiting = waits(client, book, heard.append)
    since = time.monotonic() - 1.0
    for limit_s in (10.0, 3.0, 10.0):
        client.silent[1] = Silence(since, limit_s)
        waiting.for_inputs([1], since=since)
    waiting.over()
    assert [None if one is None else one.limit_s for one in heard] == [10.0, 3.0, 10.0, None]
    assert len(book.pauses) == 1


@pytest.mark.parametrize("limits", [{"input_timeout_s": 0.1}, {"reset_timeout_s": 0.1}])
def test_who_is_silent_is_for_the_network_half_to_give_up(limits: dict[str, float]) -> None:
    client = Client()
    waiting = waits(client, Book(), **limits)
    client.silent[1] = Silence(time.monotonic() - 5.0, 10.0)
    since = time.monotonic() - 5.0
    waiting.for_inputs([1], since=since)
    waiting.for_resets()
    time.sleep(0.15)
    waiting.for_inputs([1], since=since)
    waiting.for_resets()
    assert not client.commands


def test_a_listener_that_fails_does_not_end_the_match(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_paused: Paused | None) -> None:
        raise RuntimeError("a bug")

    client = Client()
    waiting = waits(client, Book(), broken)
    client.silent[1] = Silence(time.monotonic(), 10.0)
    waiting.for_inputs([1], since=time.monotonic())
    waiting.over()
    assert "on_pause failed" in caplog.text


def test_who_is_told_of_a_pause_is_called_here_and_named_in_the_documents() -> None:
    game = make_game(Blend(length=40))
    config = P2PConfig(on_pause=told)
    offer = SyncOffer(wants="auto", able=False, why="a test")
    assert make_plan(game, config, take=None, votes=False, offer=offer).config.on_pause is None
    assert exported_config(config)["on_pause"] == f"{__name__}:told"


def test_who_is_told_of_a_pause_may_be_called_by_name_and_has_to_be_there() -> None:
    game = make_game(Blend(length=40))
    MatchSetup(game, None, P2PConfig(on_pause=f"{__name__}:told"))
    with pytest.raises(ConfigurationError, match="on_pause"):
        MatchSetup(game, None, P2PConfig(on_pause=f"{__name__}:nobody"))
