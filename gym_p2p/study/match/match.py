"""One match: its files become rows of every table. Runs in any process, and knows no other match."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import attrs
import pyarrow as pa

from gym_p2p.core.latency.statistics import figures
from gym_p2p.core.record.journal import KILLED
from gym_p2p.study.match.actions import Compared, agreed_actions
from gym_p2p.study.match.episodes import episode_rows
from gym_p2p.study.match.events import event_rows
from gym_p2p.study.match.facts import MatchFacts
from gym_p2p.study.match.frames import frames_table
from gym_p2p.study.match.framework_files import FrameworkFiles, read_framework_files
from gym_p2p.study.match.participants import participants, told_by
from gym_p2p.study.match.round_trips import latency_rows, probe_rows, worst_link
from gym_p2p.study.problems import Problems, plural
from gym_p2p.study.reading import document_parts as parts
from gym_p2p.study.reading import seat_parts
from gym_p2p.study.reading.accounts import Account, Names, read_accounts
from gym_p2p.study.reading.documents import Document
from gym_p2p.study.reading.files import Found
from gym_p2p.study.reading.recordings import Recording, read_recordings
from gym_p2p.study.tables.arrow import json_text, table_of, whole_ms

__all__ = ["MatchFiles", "read_match"]

_SOFTWARE = ("gym_p2p", "python", "platform")
"""What may differ between two players of the same environment."""


@attrs.frozen
class MatchFiles:
    """The files of one match."""

    match: str
    files: tuple[Found, ...]


def read_match(wanted: MatchFiles) -> dict[str, pa.Table]:
    """Return the tables of one match, by name. Never raises for what a file holds."""
    problems = Problems(wanted.match)
    accounts, aggregates = read_accounts(wanted.files, wanted.match, problems)
    recordings = read_recordings(wanted.files, problems)
    names = accounts[0].names if accounts else Names([])
    theirs = read_framework_files(wanted.files, wanted.match, problems)
    rows, actions = agreed_actions(theirs.in_place_of(accounts, names), names, problems)
    told = [*told_by(accounts, aggregates, recordings), *theirs.told()]
    facts = MatchFacts(
        match=wanted.match,
        folder=wanted.files[0].name.rpartition("/")[0] or ".",
        accounts=accounts,
        recording=recordings[0] if recordings else None,
        played=recordings[0].played if recordings else theirs.played(problems),
        rows=rows,
        participants=participants(accounts, told, theirs.logged_subjects, rows, problems),
        problems=problems,
    )
    episodes = episode_rows(facts)
    latency = list(latency_rows(wanted.match, accounts))
    hashes = _compare_hashes(accounts, problems)
    _judge(facts)
    return {
        "players": table_of("players", _player_rows(facts, episodes, latency)),
        "episodes": table_of("episodes", episodes),
        "frames": frames_table(facts),
        "latency": table_of("latency", latency),
        "events": table_of("events", event_rows(facts)),
        "probes": table_of("probes", probe_rows(wanted.match, accounts)),
        "matches": table_of("matches", [_match_row(facts, aggregates, theirs, actions, hashes)]),
        "problems": table_of("problems", problems),
    }


def _match_row(
    facts: MatchFacts,
    aggregates: Sequence[Document],
    theirs: FrameworkFiles,
    actions: Compared,
    hashes: Compared,
) -> dict[str, Any]:
    """Return the match's row; the last to be made, for it counts the problems."""
    accounts, recording, rows = facts.accounts, facts.recording, facts.rows
    environment = _environment(accounts, recording, facts.problems)
    config = _first(account.config for account in accounts if account.config) or {}
    scene = _first(
        [theirs.scene, *((a.part("config", dict[str, Any]) or {}).get("room") for a in aggregates)]
    )
    sync = config.get("sync")
    chosen = _first(account.sync.chosen for account in accounts if account.sync is not None) or {}
    status = [account.status for account in accounts]
    reasons = dict.fromkeys(one.termination_reason for one in status if one.termination_reason is not None)
    compared = actions.compared + hashes.compared
    per_episode = rows.of_episodes()
    return {
        "match": facts.match,
        "folder": facts.folder,
        "schema_version": min((a.version for a in accounts if a.version is not None), default=None),
        **environment,
        "room": _first([config.get("queue"), config.get("room"), scene]),
        "sync_mode": chosen.get("mode"),
        "fps": _number(sync.get("fps")) if isinstance(sync, dict) else None,
        "started_at": whole_ms(
            min((a.started_ms for a in accounts if a.started_ms is not None), default=theirs.made_ms)
        ),
        "ended_at": whole_ms(max((a.ended_ms for a in accounts if a.ended_ms is not None), default=None)),
        "players": len(facts.participants),
        "documents": len(accounts),
        "episodes": max((len({**a.summaries, **a.episodes}) for a in accounts), default=len(per_episode)),
        "completed_episodes": max((one.completed_episodes or 0 for one in status), default=None),
        "frames": sum(int(rows.frame[where].max()) + 1 for _, where in per_episode),
        "ended_by": " / ".join(sorted(reasons)) or None,
        "partial": any(one.is_partial for one in status) if status else None,
        "hashes_compared": hashes.compared,
        "hash_mismatches": hashes.mismatches,
        "actions_compared": actions.compared,
        "action_mismatches": actions.mismatches,
        "synced": not (actions.mismatches or hashes.mismatches) if compared else None,
        "desyncs": max((len(account.desyncs) for account in accounts), default=0),
        "recording": None if recording is None else recording.file.name,
        "problems": len(facts.problems),
    }


def _environment(
    accounts: Sequence[Account], recording: Recording | None, problems: Problems
) -> dict[str, Any]:
    told = [account.environment for account in accounts if account.environment]
    facts = [{key: value for key, value in one.items() if key not in _SOFTWARE} for one in told]
    for other in facts[1:]:
        differing = sorted(key for key in {**facts[0], **other} if facts[0].get(key) != other.get(key))
        if differing:
            problems.add("disagreement", f"the environment: {', '.join(differing)} are not the same")
    first = told[0] if told else {}
    if not first and recording is not None:
        first = dict(recording.header.description)
    name = _first([first.get("id"), first.get("environment")])
    packages = first.get("packages")
    if packages is None:  # as documents of version 1 have them
        before = "version of "
        packages = {key.removeprefix(before): text for key, text in first.items() if key.startswith(before)}
    source = first.get("sourceHash")
    return {
        "environment": None if name is None else str(name),
        "environment_arguments": json_text(first.get("arguments")),
        "environment_hash": source if isinstance(source, str) else None,
        "packages": json_text(packages or None),
    }


def _player_rows(
    facts: MatchFacts, episodes: Sequence[dict[str, Any]], latency: Sequence[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    for one in facts.participants:
        returns = [row["return"] for row in episodes if row["player"] == one.player]
        known = [earned for earned in returns if earned is not None]
        rtts = [row["rtt_ms"] for row in latency if row["from"] == one.player and row["link"] == "peer"]
        spread = figures(rtts) if rtts else {}
        yield {
            "match": facts.match,
            "player": one.player,
            "subject": one.subject,
            "seats": json_text(one.seats),
            "source": one.source,
            "version": one.version,
            "platform": one.platform,
            "total_return": sum(known) if known else None,
            "rtt_samples": len(rtts),
            "rtt_median_ms": spread.get("median_ms"),
            "rtt_p95_ms": spread.get("p95_ms"),
            **({} if one.account is None else _of_account(one.account)),
            **({} if one.account is None else _of_policies(one.account)),
            **({} if one.account is None or one.account.human is None else _of_person(one.account.human)),
        }


def _of_policies(account: Account) -> dict[str, Any]:
    played = account.policies
    waits = [one.reaction_ms for one in played if one.reaction_ms is not None]
    rates = [one.actions_per_s for one in played if one.actions_per_s is not None]
    return {
        "policy": "; ".join(dict.fromkeys(one.policy for one in played)) or None,
        "reaction_ms": max(waits, default=None),
        "actions_per_s": min(rates, default=None),
    }


def _of_person(human: seat_parts.Human) -> dict[str, Any]:
    felt = human.action_latency or seat_parts.ActionLatency()
    trips = [sample.rtt_ms for sample in human.page_rtt.samples] if human.page_rtt is not None else []
    return {
        "page_link": human.link,
        "page_rtt_median_ms": figures(trips)["median_ms"] if trips else None,
        "action_latencies": felt.count,
        "action_latency_median_ms": felt.median_ms,
        "action_latency_p95_ms": felt.p95_ms,
        "action_latencies_ms": felt.samples or None,
        "frames_shown": human.frames_shown,
        "frames_skipped": human.frames_skipped,
    }


def _of_account(account: Account) -> dict[str, Any]:
    status, told, worst = account.status, account.rollbacks, worst_link(account)
    connection = account.part("connection", parts.Connection) or parts.Connection()
    path, ways = connection.connection_details or parts.Path(), connection.game_transport_counts
    inputs = (
        account.part("input_delivery", parts.Inputs) or account.part("inputs", parts.Inputs) or parts.Inputs()
    )
    broken = account.reconnection
    summaries = account.summaries.values()
    has_multiplayer = account.multiplayer is not None
    ours = account.multiplayer is not None and account.multiplayer.version is not None
    return {
        "started_at": whole_ms(account.started_ms),
        "ended_at": whole_ms(account.ended_ms),
        "ended_by": status.termination_reason,
        "end_frame": status.termination_frame,
        "partial": status.is_partial,
        "lost_player": account.names.or_none(status.disconnected_player_id),
        "episodes": len(summaries) if has_multiplayer else None,
        "frames": sum(one.total_frames or 0 for one in summaries) if has_multiplayer else None,
        "connection": connection.type,
        "local_candidate": path.local_candidate_type,
        "remote_candidate": path.remote_candidate_type,
        "protocol": path.protocol,
        "relay_protocol": path.relay_protocol,
        "game_transport": connection.game_transport,
        "game_transport_returns": ways and ways.returns,
        "inputs_sent": inputs.sent_via_p2p,
        "inputs_received": inputs.received_via_p2p,
        "rollbacks": sum(one.rollback_count or 0 for one in summaries)
        if has_multiplayer
        else told and told.count,
        "max_rollback_frames": max((one.max_rollback_frames or 0 for one in summaries), default=0)
        if has_multiplayer
        else told and told.max_frames,
        "mispredictions": told and told.mispredictions,
        "resimulated_frames": told and told.resimulated_frames,
        "stalls": told and told.stalls,
        "desyncs": len(account.desyncs) if has_multiplayer else None,
        "disconnections": None if broken is None else len(broken.disconnections),
        "pause_ms": None if broken is None else broken.total_pause_duration_ms,
        "jitter_ms": None if worst is None else worst.jitter_ms,
        "missed_polls": None if worst is None else worst.missed,
        "protocol_errors": sum(account.protocol_errors.values()) if ours else None,
        "waited_ms": None if account.probe is None else account.probe.waited_ms,
        "upload": None if account.upload is None else account.upload.state,
        "config": json_text(account.config or None),
    }


def _compare_hashes(accounts: Sequence[Account], problems: Problems) -> Compared:
    """Compare the checksums of the players, frame by frame; each other's with the first one that has it."""
    found = Compared()
    known: dict[tuple[int, int], str] = {}
    for account in accounts:
        document = account.multiplayer
        hashes = [] if document is None else document.validation("all_hashes", list[parts.Hash])
        differing = []
        for one in hashes:
            there = known.setdefault((one.episode, one.frame), one.hash)
            if account is not accounts[0] and there is not one.hash:
                found.compared += 1
                if there != one.hash:
                    differing.append(f"episode {one.episode}, frame {one.frame}")
        if differing:
            found.mismatches += len(differing)
            text = (
                f"{plural(len(differing), 'checksum')} unlike the other documents', the first: {differing[0]}"
            )
            problems.add("disagreement", text, player=account.player)
    return found


def _judge(facts: MatchFacts) -> None:
    """Say whose documents are not there or not final, and whose games differed."""
    problems = facts.problems
    for one in facts.participants:
        account = one.account
        if account is None or account.multiplayer is None:
            problems.add("missing", "the multiplayer document of this player is not there", player=one.player)
        elif account.source == "journal" or account.status.termination_reason == KILLED:
            text = "did not end by itself: read from what it had written by then"
            problems.add("killed", text, player=one.player)
        elif account.status.termination_reason is None:
            problems.add(
                "killed",
                "written while the match was played: it goes on, or its process was killed",
                player=one.player,
                path=account.multiplayer.name,
            )
    for account in facts.accounts:
        if account.desyncs:
            first = account.desyncs[0]
            where = "" if first.episode is None else f"episode {first.episode}, "
            many = plural(len(account.desyncs), "checked frame")
            text = f"{many} differed, the first: {where}frame {first.frame}"
            problems.add("desync", text + _fields(first), player=account.player)


def _fields(desync: parts.Desync) -> str:
    paths = [one.get("path") for one in desync.state_differences if isinstance(one, dict)]
    return f", in {', '.join(map(str, paths[:3]))}" if paths else ""


def _first(values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
