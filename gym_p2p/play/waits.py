"""Whom this player waits for, for how long at most, and what becomes of them then.

The user's half of it: :mod:`gym_p2p.core.sync.patience` says when somebody is given up, the network half is
told, and answers with the loss that all agree on. Refuses to know how a loss ends an episode. The waiting
thread writes; any thread may read :attr:`Waits.paused`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence

from gym_p2p.config import SyncConfig
from gym_p2p.core.match.answers import answer_s
from gym_p2p.core.match.commands import GiveUp
from gym_p2p.core.sync.patience import PAUSE_AFTER_S, Patience, Pause
from gym_p2p.play.match_client import WAIT_SLICE_S, MatchClient
from gym_p2p.play.paused import Paused, PauseReason
from gym_p2p.play.recorder import Recorder

__all__ = ["Waits"]

_log = logging.getLogger(__name__)

_LOG_EVERY_S = 10.0
"""Somebody who pauses again and again must not fill a log."""


_STOOD_STILL_S = 4 * WAIT_SLICE_S
"""Who waits looks after every slice: one who looks after this long was no busy machine, but stood still."""


class Waits:
    """One player's waits in one match.

    Args:
        takes_turns: whether a step of the game is one player's turn.
        on_pause: each is called with what the match stands for, and with ``None`` when that is over.
    """

    def __init__(
        self,
        config: SyncConfig,
        *,
        client: MatchClient,
        recorder: Recorder,
        takes_turns: bool,
        on_pause: Sequence[Callable[[Paused | None], object]],
    ) -> None:
        self._on_pause = on_pause
        self.input_limit_s = config.input_limit_s(takes_turns=takes_turns)
        self.reset_limit_s = config.reset_limit_s(takes_turns=takes_turns)
        self.last_s = 2 * answer_s(config) + 1.0 + config.rejoin_timeout_s
        """After the limits, how long it may take until all have agreed on what they lead to."""
        self._inputs = Patience.for_inputs(config, takes_turns=takes_turns)
        self._resets = Patience(self.reset_limit_s, paced=False)
        self._client = client
        self._recorder = recorder
        self._goes_on = config.while_away != "pause"
        """Whether others act for who is away, so that it does not stand for all of that time."""
        self._lacking_since: dict[int, float] = {}
        """Since when something is lacking of players who are away, where others act for them."""
        self._gone = 0
        self._looked_at = 0.0
        self._waits: dict[tuple[PauseReason, int | None], Paused] = {}
        """All that the match stands for: for each player from whom nothing arrives, and for the others."""
        self._ready = True
        """Whether who is waited for has acted in this episode."""
        self._logged = False
        """Whether the log says of this pause that it is one."""
        self._logged_at = float("-inf")
        self.paused: Paused | None = None
        """For whom the match stands; ``None`` where it does not."""

    def for_inputs(self, players: Sequence[int], *, since: float, ready: bool = True) -> None:
        """Bear that nothing can be played for want of these players' inputs; give up whoever is overdue.

        Args:
            players: they.
            since: when this wait began, on ``time.monotonic``'s clock.
            ready: whether one of them has acted in this episode; who has not, gets ready (a person's
                countdown, a program that loads), which the log does not call a pause.
        """
        self._ready = ready
        for player in players:
            rtt_ms = self._recorder.rtt_ms(player)
            if rtt_ms is not None:
                self._inputs.pinged(player, rtt_ms / 1e3)
        heard, silent = self._heard(players)
        if not self._inputs.waiting:
            self._give_up(self._inputs.wait(heard, since, silent=silent))
            self._looked_at = since
        now = time.monotonic()
        self._look(self._inputs, now)
        if self._client.gone_count != self._gone:
            self._gone = self._client.gone_count
            self._inputs.excuse(now)
        self._give_up(self._inputs.wait(heard, now, silent=silent))
        self._show_wait(players, self._inputs.pause(now), "input", since)

    def for_resets(self) -> None:
        """Bear that somebody has not called ``reset`` yet; give up whoever is overdue."""
        now = time.monotonic()
        self._look(self._resets, now)
        self._ready = True
        players = self._client.not_ready
        heard, silent = self._heard(players)
        overdue = self._resets.wait(heard, now, silent=silent)
        self._give_up([GiveUp(one.player) for one in overdue])
        self._show_wait(players, self._resets.pause(now), "reset", now)

    def over(self) -> None:
        """Note that nothing is waited for any more."""
        self._lacking_since.clear()
        if not (self._inputs.waiting or self._resets.waiting):
            return
        now = time.monotonic()
        self._inputs.play(now)
        self._resets.play(now)
        if self.paused is not None:
            self._show({})

    def _look(self, patience: Patience, now: float) -> None:
        """Look at the time: what went by while this process stood still was nobody's."""
        stood_s, self._looked_at = now - self._looked_at, now
        if patience.waiting and stood_s >= _STOOD_STILL_S:
            patience.stood_still(stood_s)

    def _heard(self, players: Sequence[int]) -> tuple[list[int], list[int]]:
        """Return those from whom something arrives, and those of whom the network half judges."""
        heard = [player for player in players if player not in self._client.silent]
        return heard, [player for player in players if player in self._client.silent]

    def _show_wait(self, players: Sequence[int], pause: Pause | None, why: PauseReason, since: float) -> None:
        """Show for whom the match stands: those from whom nothing arrives each by themselves."""
        waits: dict[tuple[PauseReason, int | None], Paused] = {}
        # Where nothing is lacking it is their word that they have ours: from the silent it cannot come.
        for player in players or tuple(self._client.silent):
            silence = self._client.silent.get(player)
            if silence is not None:
                name = self._client.player_id(player)
                reason: PauseReason = "away" if silence.away else "silent"
                stood = silence.since
                if silence.away and self._goes_on:  # until now
                    stood = self._lacking_since.setdefault(player, max(stood, since))
                    if time.monotonic() < stood + PAUSE_AFTER_S:
                        continue  # others act, each time in a moment
                limit_s = silence.since + silence.limit_s - stood
                waits[reason, player] = Paused((name,), reason, stood, limit_s)
        if pause is not None:
            names = tuple([self._client.player_id(player) for player in pause.players])
            waits[why, None] = Paused(names, why, pause.since, pause.limit_s)
        self._show(waits)

    def _give_up(self, overdue: Sequence[GiveUp]) -> None:
        for one in overdue:
            self._client.command(one)

    def _show(self, waits: dict[tuple[PauseReason, int | None], Paused]) -> None:
        if waits == self._waits:
            return
        over = [wait for key, wait in self._waits.items() if key not in waits]
        before, before_waits, self._waits = self.paused, self._waits, waits
        self.paused = Paused.of(list(waits.values()))
        for wait in over:
            lasted_s = time.monotonic() - wait.since
            self._recorder.paused(wait.players, wait.why, lasted_s=lasted_s, limit_s=wait.limit_s)
        self._tell()
        if before is not None and self.paused is None:
            self._log_end(before)
        told = self._ready or any(why != "input" for why, _ in waits)
        due = told and self._logged_at + _LOG_EVERY_S <= time.monotonic()
        if self.paused is not None and (due or _are_away(waits) - _are_away(before_waits)):
            self._logged, self._logged_at = True, time.monotonic()
            _log.warning("paused: %s", self.paused)

    def _log_end(self, before: Paused) -> None:
        """Say how a pause ended of which the log says that it began."""
        if not self._logged:
            return
        self._logged = False
        lasted_s = time.monotonic() - min(one.since for one in (before, *before.also))
        waited_for = {player for one in (before, *before.also) for player in one.players}
        lost = [name for name in self._client.gone_names if name in waited_for]
        if lost:
            names = ", ".join(map(repr, lost))
            _log.warning(
                "waited %.1f s in vain: %s gone", lasted_s, names + (" is" if len(lost) == 1 else " are")
            )
        else:
            _log.warning("going on after a pause of %.1f s", lasted_s)

    def _tell(self) -> None:
        for listener in self._on_pause:
            try:
                listener(self.paused)
            except Exception:  # noqa: BLE001 - the user's bug must not end a match that stands
                _log.exception("on_pause failed")


def _are_away(waits: Iterable[tuple[PauseReason, int | None]]) -> set[int | None]:
    """Return whose processes have ended, of those who are waited for: of each the log tells, and when."""
    return {player for why, player in waits if why == "away"}
