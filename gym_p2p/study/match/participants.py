"""Who played a match, and on which seats: what documents, recordings and the service know of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import attrs
import msgspec

from gym_p2p.study.match.actions import ActionRows
from gym_p2p.study.problems import Problems
from gym_p2p.study.reading import seat_parts
from gym_p2p.study.reading.accounts import Account, Names
from gym_p2p.study.reading.documents import Document
from gym_p2p.study.reading.recordings import Recording

__all__ = ["Participant", "participants", "told_by"]

Told = tuple[str, dict[str, Any], str]


@attrs.define(eq=False)
class Participant:
    """A player of a match; what is not known is ``None``."""

    player: str
    subject: str | None = None
    seats: list[str] | None = None
    version: str | None = None
    platform: str | None = None
    seen_in: str | None = None
    account: Account | None = None

    @property
    def source(self) -> str:
        """Where what is known of them comes from, as the codebook has it."""
        if self.account is not None:
            return self.account.source
        return self.seen_in or "others"


def participants(
    accounts: Sequence[Account],
    told: Iterable[Told],
    logged: Sequence[str],
    rows: ActionRows,
    problems: Problems,
) -> list[Participant]:
    """Return every player of a match, and say where two sources name different people or seats.

    Args:
        accounts: the players' own.
        told: what is said of players; see :func:`told_by`.
        logged: the subjects that a match log names.
        rows: what was played.
        problems: takes what does not agree.
    """
    found = {account.player: Participant(account.player, account=account) for account in accounts}
    for name, entry, source in told:
        one = found.setdefault(name, Participant(name))
        if source in {"recording", "frames"}:
            one.seen_in = one.seen_in or source
        for what in ("subject", "seats", "version", "platform"):
            _take(one, what, entry.get(what), problems)
    for account in accounts:
        for peer in account.latency:
            found.setdefault(peer, Participant(peer))
    for one in found.values():
        if one.account is not None:
            software = one.account.environment
            one.version = one.version or _text(software.get("gym_p2p"))
            one.platform = one.platform or _text(software.get("platform"))
        if one.seats is None and one.player in rows.seats:  # players are called by their seats
            one.seats = [one.player]
    for subject in logged:
        if all(one.subject not in {None, subject} for one in found.values()):  # nobody else knows their id
            found[subject] = Participant(subject, subject)
    return [found[name] for name in sorted(found)]


def told_by(
    accounts: Sequence[Account], aggregates: Sequence[Document], recordings: Sequence[Recording]
) -> Iterator[Told]:
    """Yield players as these name them: the player, what is known of them, and who says so."""
    for account in accounts:
        for player in account.players:
            yield account.names(player.player_id), _entry(player, account.names), "documents"
    names = accounts[0].names if accounts else Names([])
    for aggregate in aggregates:
        for player in aggregate.part("participants", list[seat_parts.Player]) or []:
            yield names(player.player_id), _entry(player, names), "aggregate"
    for recording in recordings:
        for entry in recording.header.players:
            try:
                sat = msgspec.convert(entry, _Recorded)
            except msgspec.ValidationError:
                continue
            said = {"subject": sat.subject_id, "seats": [str(seat) for seat in sat.seats] or None}
            yield names(sat.player_id), said, "recording"


class _Recorded(msgspec.Struct):
    player_id: int | str
    subject_id: str | None = None
    seats: list[int | str] = []


def _entry(player: seat_parts.Player, names: Names) -> dict[str, Any]:
    return {
        "subject": player.subject_id,
        "seats": [names(seat) for seat in player.seats] or None,
        "version": player.version,
        "platform": player.platform,
    }


def _take(one: Participant, what: str, said: Any, problems: Problems) -> None:
    there = getattr(one, what)
    if said is None or there == said:
        return
    if there is None:
        setattr(one, what, said)
    else:
        problems.add("disagreement", f"{what}: {there!r} or {said!r}", player=one.player)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
