"""How long a player waits for another who is there and does not play: who is waited for, and who is given up.

Knows who is waited for and since when; refuses to know how that shows and what a loss leads to. One for a
whole match, so that nobody is forgiven by the next episode. Times are seconds, passed in.

A frame is waited for in lockstep as long as a message takes, always; that is no pause. So every wait has a
grace, which covers the measured round trip within bounds, and what is beyond it counts::

    one wait           longer than ``limit_s``: given up
    the sum of waits   where frames are paced: above ``BUDGET`` times ``limit_s``, of which every second of
                       play takes back ``FORGIVEN`` seconds: given up

The second line is for those who give an input just before their time is up, again and again: nobody plays a
match at a frame in four seconds. Who is slow, and still plays a third of the time, is never given up by it.

A player who does not play may be held up themselves, by a third one who does not send *them* what they need.
The network half knows. So whoever is given up is that twice: first for the network half to judge
(``excusable``), and, should they still be there after ``excuse_s`` more, whatever they say.

Somebody from whom nothing arrives is borne by another limit, the network half's: that time is in neither
account, and it is told as a silence. But it ends no wait and forgives nothing, or who falls silent now and
then would be waited for without end.

Whoever's own process stood still (a lid, a debugger, a long collection of garbage) heard nobody meanwhile,
whoever played: that time is in the pause that is told, and in no account (:meth:`Patience.stood_still`).
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from gym_p2p.config import SyncConfig
from gym_p2p.core.match.answers import answer_s
from gym_p2p.core.match.commands import GiveUp

__all__ = ["BUDGET", "FORGIVEN", "GRACE_LEAST_S", "GRACE_MOST_S", "PAUSE_AFTER_S", "Patience", "Pause"]

GRACE_LEAST_S = 0.1
GRACE_MOST_S = 0.5
"""A path that takes longer is no better to play over than a player who is as slow."""

_ROUND_TRIPS = 2.0
"""An input that is lost is sent again after one and a half."""

PAUSE_AFTER_S = 0.5
"""A wait of this length is told to people. The same as for silence."""

BUDGET = 4.0
FORGIVEN = 2.0


@attrs.frozen
class Pause:
    """The match stands, for these players.

    Attributes:
        players: who is waited for; their indices.
        since: since when, on the clock of whoever passes the time.
        limit_s: how long they are waited for at most.
    """

    players: tuple[int, ...]
    since: float
    limit_s: float


@attrs.define(eq=False)
class _Account:
    """What one player is waited for."""

    since: float | None = None
    """Since when in one piece; ``None`` where they are not."""
    heard_since: float = 0.0
    """Since when of this wait they have been heard."""
    looked_at: float = 0.0
    spent_s: float = 0.0
    """Of the budget, as of ``looked_at``."""
    stood_s: float = 0.0
    """Of this wait, for how long nobody could be heard."""
    given_up: int = 0
    """How often in this wait."""

    def begin(self, now: float | None) -> None:
        """Let the wait begin (anew), or end."""
        self.since, self.stood_s, self.given_up = now, 0.0, 0
        self.heard_since = 0.0 if now is None else now

    def pass_over(self, now: float) -> None:
        """Leave the time since the last look out of the account."""
        if self.since is not None:
            self.stood_s += now - self.looked_at
            self.heard_since = now
        self.looked_at = now

    def left_s(self, limit_s: float) -> float:
        """Return for how long they are waited for at most, from when they have been heard."""
        since = self.heard_since if self.since is None else self.since
        return since + self.stood_s + limit_s - self.heard_since


class Patience:
    """One player's patience with all others of a match.

    Args:
        limit_s: the longest single wait.
        paced: whether frames have a time, so that there is a bound on the sum too.
        excuse_s: how much longer somebody is borne who is held up by a third one: as long as others may take
            to notice that one's loss, and to agree on it.

    Attributes:
        waiting: whether somebody is waited for.
    """

    def __init__(self, limit_s: float, *, paced: bool, excuse_s: float = 0.0) -> None:
        self._limit_s = limit_s
        self._excuse_s = max(limit_s, excuse_s)
        self._budget_s = BUDGET * limit_s if paced else None
        self._accounts: dict[int, _Account] = {}
        self._rtt_s: dict[int, float] = {}
        self._silent: frozenset[int] = frozenset()
        self.waiting = False

    @classmethod
    def for_inputs(cls, config: SyncConfig, *, takes_turns: bool) -> Patience:
        """Return the patience that a configuration has with whoever owes an input.

        Args:
            config: as configured.
            takes_turns: whether a step is one player's turn.
        """
        limit_s = config.input_limit_s(takes_turns=takes_turns)
        paced = config.fps is not None and not takes_turns
        return cls(limit_s, paced=paced, excuse_s=answer_s(config))

    def pinged(self, player: int, rtt_s: float) -> None:
        """Take a measured round trip to a player."""
        self._rtt_s[player] = rtt_s

    def wait(self, players: Sequence[int], now: float, *, silent: Sequence[int] = ()) -> list[GiveUp]:
        """Note that nothing can be played for want of these players' inputs; call it again and again.

        Args:
            players: they, as far as they are heard.
            now: the time.
            silent: the others of them, from whom nothing arrives at all.

        Returns:
            Who is given up by now, for the network half; each of them once, or twice.
        """
        self.waiting = True
        self._silent = frozenset(silent)
        for player in players:
            self._accounts.setdefault(player, _Account(looked_at=now))
        given_up = []
        for player, account in self._accounts.items():
            if player in self._silent:
                account.pass_over(now)
                continue
            self._settle(player, account, now)
            if player not in players:
                account.begin(None)
                continue
            if account.since is None:
                account.begin(now)
            if self._is_overdue(account, now):
                account.given_up += 1
                given_up.append(GiveUp(player, excusable=account.given_up == 1))
        return given_up

    def play(self, now: float) -> None:
        """Note that a frame was played: nobody is waited for."""
        if not self.waiting:
            return
        self.waiting = False
        for player, account in self._accounts.items():
            self._settle(player, account, now)
            account.begin(None)

    def stood_still(self, seconds: float) -> None:
        """Take out of all waits the time since the last call: this player's own process stood still."""
        for account in self._accounts.values():
            account.looked_at += seconds
            if account.since is not None:
                account.stood_s += seconds

    def excuse(self, now: float) -> None:
        """Let everybody's time begin anew: they may have waited for somebody who is gone, as we did."""
        for player, account in self._accounts.items():
            self._settle(player, account, now)
            if account.since is not None:
                account.begin(now)

    def pause(self, now: float) -> Pause | None:
        """Return for whom the match stands; ``None`` where it does not, or not for long enough to tell.

        Who was silent in this wait is told of from when they are heard again.
        """
        heard = {p: a for p, a in self._accounts.items() if p not in self._silent}
        waits = {p: a for p, a in heard.items() if a.since is not None}
        since = min((account.heard_since for account in waits.values()), default=now)
        if since + PAUSE_AFTER_S > now:
            return None
        return Pause(tuple(waits), since, max(account.left_s(self._limit_s) for account in waits.values()))

    def _settle(self, player: int, account: _Account, now: float) -> None:
        """Bring an account up to date: what is waited beyond the grace is spent, what is played forgiven."""
        if account.since is None:
            account.spent_s = max(0.0, account.spent_s - FORGIVEN * (now - account.looked_at))
        else:
            free_until = account.since + account.stood_s + self._grace_s(player)
            account.spent_s += max(0.0, now - max(account.looked_at, free_until))
        account.looked_at = now

    def _grace_s(self, player: int) -> float:
        return min(GRACE_MOST_S, max(GRACE_LEAST_S, _ROUND_TRIPS * self._rtt_s.get(player, 0.0)))

    def _is_overdue(self, account: _Account, now: float) -> bool:
        """Whether a player has used up their time, once more if they were given up before."""
        extra_s = account.given_up * self._excuse_s
        if account.given_up > 1:
            return False
        assert account.since is not None  # noqa: S101 - of those who are waited for
        overspent = self._budget_s is not None and self._budget_s + extra_s <= account.spent_s
        return account.since + account.stood_s + self._limit_s + extra_s <= now or overspent
