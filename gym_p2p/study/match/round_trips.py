"""The round trips of one match, and what the probes before it measured, as rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gym_p2p.core.latency.delta_series import ENCODING, decode_series
from gym_p2p.study.reading import document_parts as parts
from gym_p2p.study.reading.accounts import Account
from gym_p2p.study.tables.arrow import json_text, whole_ms

__all__ = ["latency_rows", "probe_rows", "worst_link"]

_RTT_UNITS = 10
"""Of a series, in a millisecond."""


def latency_rows(match: str, accounts: Sequence[Account]) -> Iterator[dict[str, Any]]:
    """Yield every round trip of every link: the whole series where there is one, else what was retained."""
    for account in accounts:
        links = [(peer, "peer", link) for peer, link in account.latency.items()]
        if account.human is not None:
            links.append((account.player, "page", account.human.page_rtt))
        for other, kind, link in links:
            for at, rtt_ms in _samples(account, link):
                yield {
                    "match": match,
                    "from": account.player,
                    "to": other,
                    "link": kind,
                    "at": at,
                    "t_ms": None if account.started_ms is None else at - round(account.started_ms),
                    "rtt_ms": rtt_ms,
                    "one_way_ms": rtt_ms / 2,
                }


def worst_link(account: Account) -> parts.Latency | None:
    """Return the link with the highest median, of which the documents say most."""
    link: parts.Latency | None = account.part("latency", parts.Latency)
    return link


def _samples(account: Account, link: parts.Latency | None) -> Iterator[tuple[int, float]]:
    if link is None:
        return
    document = next(iter(account.documents.values()))
    series = document.decoded("latency.series", link.series, parts.Series)
    if series is not None:
        try:
            unfolded = _unfolded(series)
        except (ValueError, OverflowError) as error:
            document.leave_out("latency.series", str(error))
        else:
            yield from unfolded
            return
    for sample in link.samples:
        at = whole_ms(sample.timestamp)
        if at is not None and math.isfinite(sample.rtt_ms) and sample.rtt_ms >= 0:
            yield at, sample.rtt_ms


def _unfolded(series: parts.Series) -> list[tuple[int, float]]:
    if series.encoding != ENCODING:
        raise ValueError(f"an encoding {series.encoding!r} that is not known")
    start = whole_ms(series.start_ms)
    if start is None:
        raise ValueError("it begins at no time")
    times, rtts = decode_series(series.t), decode_series(series.rtt)
    if len(times) != len(rtts):
        raise ValueError(f"{len(times)} times of {len(rtts)} round trips")
    if any(whole_ms(start + t) is None for t in times) or any(rtt < 0 for rtt in rtts):
        raise ValueError("no times, or no round trips")
    return [(start + t, rtt / _RTT_UNITS) for t, rtt in zip(times, rtts, strict=True)]


def probe_rows(match: str, accounts: Sequence[Account]) -> Iterator[dict[str, Any]]:
    """Yield every report of the probes before the match, each once: all players have the same ones."""
    seen: set[str | None] = set()
    for account in accounts:
        for row in _of_probe(account.probe):
            key = json_text(row)
            if key not in seen:
                seen.add(key)
                yield {"match": match, **row}


def _of_probe(probe: parts.Probe | None) -> Iterator[dict[str, Any]]:
    for pair in probe.pairs if probe is not None else ():
        first = {"queue": probe.queue if probe is not None else None, "pair_rtt_ms": pair.rtt_ms}
        for subject, report in pair.reports.items():
            other = next((one for one in pair.subjects if one != subject), None)
            yield {**first, "subject": subject, "other": other, **_report(report)}
        if not pair.reports:
            yield {**first, "subject": None, "other": next(iter(pair.subjects), None)}


def _report(report: Any) -> dict[str, Any]:
    if not isinstance(report, Mapping):
        return {}
    path = report.get("path")
    path = path if isinstance(path, Mapping) else {}
    return {
        "rtt_ms": _number(report.get("rttMs")),
        "jitter_ms": _number(report.get("jitterMs")),
        "loss": _number(report.get("loss")),
        "samples_ms": json_text(report.get("samplesMs")),
        "local_candidate": _word(path.get("local")),
        "remote_candidate": _word(path.get("remote")),
        "protocol": _word(path.get("protocol")),
    }


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) else None
