"""The table of frames of one match: the actions, and what is known of each beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs
import numpy as np
import pyarrow as pa

from gym_p2p.study.codebook.codebook import schema
from gym_p2p.study.match.actions import MAX_NUMBER, ActionRows
from gym_p2p.study.match.facts import MatchFacts
from gym_p2p.study.reading.accounts import Account
from gym_p2p.study.reading.recordings import Played
from gym_p2p.study.tables.arrow import label_column

__all__ = ["frames_table"]


@attrs.define(eq=False)
class _Masked:
    """A column under construction: nothing is known of a row until it is set."""

    values: np.ndarray
    known: np.ndarray

    @classmethod
    def of(cls, rows: int, kind: Any) -> _Masked:
        return cls(np.zeros(rows, kind), np.zeros(rows, bool))

    def set(self, rows: Any, values: Any) -> None:
        self.values[rows] = values
        self.known[rows] = True

    def arrow(self, kind: pa.DataType) -> pa.Array:
        return pa.array(self.values, kind, mask=~self.known)


def frames_table(facts: MatchFacts) -> pa.Table:
    """Return the frames of a match."""
    rows, accounts, seat_players = facts.rows, facts.accounts, facts.seat_players
    count = len(rows)
    players = [seat_players.get(seat) for seat in rows.seats]
    by_player = {account.player: account for account in accounts}
    columns = _Columns(rows, [by_player.get(player or "") for player in players])
    for number, where in rows.of_episodes():
        columns.earn(number, where, facts.played)
        columns.time(number, where, accounts, facts.played)
    columns.delays()
    columns.corrections(accounts, players)
    columns.acting(accounts)
    columns.seeing()
    data = {
        "match": label_column(np.zeros(count, np.int32), [facts.match]),
        "episode": pa.array(rows.episode),
        "frame": pa.array(rows.frame),
        "seat": label_column(rows.seat, rows.seats),
        "player": label_column(rows.seat, players),
        "action": label_column(rows.action, rows.actions),
        "reward": columns.reward.arrow(pa.float64()),
        "terminated": pa.array(columns.ends.values & 1 != 0, mask=~columns.ends.known),
        "truncated": pa.array(columns.ends.values & 2 != 0, mask=~columns.ends.known),
        "actor": label_column(columns.actor, _ACTORS),
        "t_ms": columns.t_ms.arrow(pa.int64()),
        "confirmed_ms": columns.confirmed_ms.arrow(pa.int64()),
        "shown_ms": columns.shown_ms.arrow(pa.int64()),
        "focused": columns.focused.arrow(pa.bool_()),
        "input_delay": columns.input_delay.arrow(pa.int64()),
        "predicted": columns.predicted.arrow(pa.bool_()),
        "corrected": columns.corrected.arrow(pa.bool_()),
    }
    wanted = schema("frames")
    return pa.Table.from_arrays([data[name] for name in wanted.names], schema=wanted)


_ACTORS = (None, "player", "default", "stand_in", "person", "policy")


class _Columns:
    """The columns of the frames that are not in the rows of actions."""

    def __init__(self, rows: ActionRows, owners: list[Account | None]) -> None:
        count = len(rows)
        self._rows = rows
        self._owners = owners
        self.reward = _Masked.of(count, np.float64)
        self.ends = _Masked.of(count, np.uint8)
        self.t_ms = _Masked.of(count, np.int64)
        self.confirmed_ms = _Masked.of(count, np.int64)
        self.shown_ms = _Masked.of(count, np.int64)
        self.focused = _Masked.of(count, bool)
        self.input_delay = _Masked.of(count, np.int64)
        self.predicted = _Masked.of(count, bool)
        self.corrected = _Masked.of(count, bool)
        self.actor = np.zeros(count, np.int32)

    def earn(self, number: int, where: slice, played: Played | None) -> None:
        """Set rewards and ends of an episode."""
        episode = None if played is None else played.episodes.get(number)
        if played is None or episode is None:
            return
        for place, seat in enumerate(played.seats):
            here = self._of_seat(where, seat, len(episode.ends))
            frames = self._rows.frame[here]
            self.reward.set(here, episode.rewards[frames, place] + 0.0)  # -0.0 becomes 0.0
            self.ends.set(here, episode.ends[frames, place])

    def time(self, number: int, where: slice, accounts: Sequence[Account], played: Played | None) -> None:
        """Set when the frames of an episode were played, and who guessed."""
        timings = {
            account.player: timing
            for account in accounts
            if (timing := account.timings.get(number)) is not None
        }
        if not timings:
            episode = None if played is None else played.episodes.get(number)
            if episode is not None and episode.t_ms is not None:
                here = where.start + np.flatnonzero(self._rows.frame[where] < len(episode.t_ms))
                self.t_ms.set(here, episode.t_ms[self._rows.frame[here]])
            return
        for index, owner in enumerate(self._owners):
            seat = self._rows.seats[index]
            own = None if owner is None else timings.get(owner.player)
            t, confirmed = own or next(iter(timings.values()))
            for column, series in ((self.t_ms, t), (self.confirmed_ms, confirmed)):
                here = self._of_seat(where, seat, len(series))
                column.set(here, series[self._rows.frame[here]])
            others = [pair for player, pair in timings.items() if owner is None or player != owner.player]
            self._guessed(where, seat, others)

    def _guessed(self, where: slice, seat: str, others: list[tuple[np.ndarray, np.ndarray]]) -> None:
        for t, confirmed in others:
            known = min(len(t), len(confirmed))
            here = self._of_seat(where, seat, known)
            before = t[:known] < confirmed[:known]
            self.predicted.set(here, self.predicted.values[here] | before[self._rows.frame[here]])

    def _of_seat(self, where: slice, seat: str, frames: int) -> np.ndarray:
        """Return the rows of a seat in an episode, of so many first frames."""
        if seat not in self._rows.seats:
            return np.zeros(0, np.int64)
        of_seat = self._rows.seat[where] == self._rows.seats.index(seat)
        found: np.ndarray = np.flatnonzero(of_seat & (self._rows.frame[where] < frames)) + where.start
        return found

    def delays(self) -> None:
        """Set the input delay: each entry holds until the next one."""
        for number, where in self._rows.of_episodes():
            for index, owner in enumerate(self._owners):
                sync = None if owner is None else owner.sync
                for delay in sync.input_delays if sync is not None else ():
                    if delay.episode == number and abs(delay.frames) < MAX_NUMBER:
                        here = self._of_seat(where, self._rows.seats[index], MAX_NUMBER)
                        self.input_delay.set(here[self._rows.frame[here] >= delay.frame], delay.frames)

    def corrections(self, accounts: Sequence[Account], players: Sequence[str | None]) -> None:
        """Set whose wrong guesses made others go back."""
        told = [account for account in accounts if account.rollbacks is not None]
        for index, player in enumerate(players):
            of_seat = self._rows.seat == index
            others = [account for account in told if account.player != player]
            if others:
                self.corrected.set(of_seat, False)  # noqa: FBT003 - a value of the column
            for account in others:
                if account.wrong_guesses is not None:
                    self._guessed_wrong(account.wrong_guesses, self._rows.seats[index])
                    continue
                for row in self._first_corrected(account, index, {player, self._rows.seats[index]}):
                    self.corrected.set(row, True)  # noqa: FBT003 - the same

    def _guessed_wrong(self, told: Mapping[tuple[int, str], np.ndarray], seat: str) -> None:
        for number, where in self._rows.of_episodes():
            frames = told.get((number, seat))
            if frames is not None:
                here = self._of_seat(where, seat, MAX_NUMBER)
                self.corrected.set(here[np.isin(self._rows.frame[here], frames)], True)  # noqa: FBT003 - the same

    def _first_corrected(self, account: Account, seat: int, names: set[str | None]) -> Iterator[int]:
        events = account.rollbacks.events if account.rollbacks is not None else []
        for number, event in zip(account.rollback_episodes, events, strict=True):
            if number is None or account.names.or_none(event.player_id) not in names:
                continue
            row = self._rows.place(number, event.frame, seat)
            if row is not None:
                yield row

    def acting(self, accounts: Sequence[Account]) -> None:
        """Set who acted, of the accounts that say so."""
        played_by = {
            str(seat): who
            for account in accounts
            for player in account.players
            for seat in player.seats
            if (who := player.played_by_seat.get(str(seat), player.played_by)) in {"person", "policy"}
        } | self._by_policies(accounts)
        for number, where in self._rows.of_episodes():
            said = [
                one.actors for a in accounts if (one := a.episodes.get(number)) and one.actors is not None
            ]
            if not said:
                continue
            self.actor[where] = _ACTORS.index("player")
            for seat, who in played_by.items():
                self.actor[self._of_seat(where, seat, MAX_NUMBER)] = _ACTORS.index(who)
            for seat, runs in said[0].items():
                here = self._of_seat(where, seat, MAX_NUMBER)
                frames = self._rows.frame[here]
                for first, count, who in runs:
                    if who in _ACTORS:
                        self.actor[here[(frames >= first) & (frames < first + count)]] = _ACTORS.index(who)

    @staticmethod
    def _by_policies(accounts: Sequence[Account]) -> dict[str, str]:
        """Return the seats that policies played, also beside a person who is the same player."""
        own = {
            account.player: {str(seat) for player in account.players if player.local for seat in player.seats}
            for account in accounts
        }
        return {
            str(one.seat): "policy"
            for account in accounts
            for one in account.policies
            if str(one.seat) in own[account.player]
        }

    def seeing(self) -> None:
        """Set when the seats' people saw the frames, and whether they saw the game when they acted."""
        for number, where in self._rows.of_episodes():
            for index, owner in enumerate(self._owners):
                page = None if owner is None else owner.pages.get(number)
                if page is None:
                    continue
                here = self._of_seat(where, self._rows.seats[index], MAX_NUMBER)
                frames = self._rows.frame[here]
                hidden = page.unfocused.get(self._rows.seats[index], np.zeros(0, np.int64))
                self.focused.set(here, ~np.isin(frames, hidden))
                first, places = np.unique(page.frames, return_index=True)
                known = np.isin(frames, first)
                drawn = places[np.searchsorted(first, frames[known])]
                self.shown_ms.set(here[known], page.t_ms[drawn])
