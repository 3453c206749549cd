"""What the tables must say, by other means: nothing but the raw documents, ``json``, ``gzip`` and ``base64``.

It takes one match: of each player and kind one document. ``python -m tests.study.oracle PATH`` compares every
match below a path with what ``gym_p2p.load`` makes of it.
"""

from __future__ import annotations

import base64
import gzip
import json
import sys
from pathlib import Path
from typing import Any

__all__ = ["compare", "raw_documents"]

Documents = dict[tuple[str, str], dict[str, Any]]


def raw_documents(root: Path) -> dict[str, Documents]:
    """Return every document by match, and by (player, kind); of copies any."""
    found: dict[str, Documents] = {}
    for path in sorted(root.rglob("*.json*")) if root.is_dir() else [root]:
        if any(part.startswith(".") for part in path.relative_to(root).parts):
            continue
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        try:
            document = json.loads(data)
        except ValueError:
            continue
        if not isinstance(document, dict) or "playerId" not in document:
            continue
        kind = next((kind for kind, key in _MARKS.items() if key in document), None)
        if kind is not None:
            key = (str(document["playerId"]), kind)
            found.setdefault(str(document["gameId"]), {})[key] = document
    return found


_MARKS = {"multiplayer": "sessionStatus", "validation": "confirmedHashes", "session": "rollbacks"}


def series(text: str) -> list[int]:
    """Decode delta-varint-base64."""
    values, value, number, shift = [], 0, 0, 0
    for byte in base64.b64decode(text):
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            value += number // 2 if number % 2 == 0 else -(number + 1) // 2
            values.append(value)
            number = shift = 0
    return values


def compare(root: Path, tables: dict[str, list[dict[str, Any]]]) -> dict[str, int]:
    """Assert that the tables say of every match what its documents do; return how many rows were compared."""
    counts: dict[str, int] = {}
    raw = raw_documents(root)
    for match, documents in raw.items():
        rows = {name: [row for row in table if row["match"] == match] for name, table in tables.items()}
        written = {player for player, _kind in documents}  # of others there is a journal at most
        rows["latency"] = [row for row in rows["latency"] if row["from"] in written]
        rows["events"] = [row for row in rows["events"] if row["player"] in written]
        assert len(rows["matches"]) == 1, match
        for check in (_frames, _latency, _players, _episodes, _events):
            name = check.__name__.removeprefix("_")
            counts[name] = counts.get(name, 0) + check(documents, rows[name])
    assert {row["match"] for row in tables["matches"]} >= set(raw)
    return counts


def _of(documents: Documents, kind: str) -> dict[str, dict[str, Any]]:
    return {player: document for (player, one), document in documents.items() if one == kind}


def _owners(documents: Documents) -> dict[str, str]:
    owners: dict[str, str] = {}
    for (player, _kind), document in documents.items():
        for one in (player, *(document.get("latencyByPeer") or {})):
            owners.setdefault(one, one)
        for entry in document.get("players") or ():
            owners |= {str(seat): str(entry["playerId"]) for seat in entry["seats"]}
    return owners


def _frames(documents: Documents, rows: list[dict[str, Any]]) -> int:
    table = {(row["episode"], row["frame"], row["seat"]): row for row in rows}
    assert len(table) == len(rows)
    keys = set()
    delays = {player: session["sync"]["inputDelays"] for player, session in _of(documents, "session").items()}
    timings = {
        player: {one["episode"]: one.get("timing") for one in document.get("episodes") or ()}
        for player, document in _of(documents, "multiplayer").items()
    }
    owners = _owners(documents)
    for document in _of(documents, "multiplayer").values():
        for action in document["validation"]["allActions"]:
            key = (action["episode"], action["frame"], str(action["playerId"]))
            keys.add(key)
            row = table[key]
            assert json.loads(row["action"]) == action["action"], key
            owner = owners.get(key[2])
            assert row["player"] == owner, key
            if owner in delays:
                since = [
                    d
                    for d in delays[owner]
                    if (d["episode"], d["frame"]) <= key[:2] and d["episode"] == key[0]
                ]
                assert row["input_delay"] == (since[-1]["frames"] if since else None), key
            timing = timings.get(owner or "", {}).get(key[0])
            if timing is not None:
                for column, name in (("t_ms", "t"), ("confirmed_ms", "confirmed")):
                    decoded = timing.setdefault(f"decoded {name}", series(timing[name]))
                    wanted = decoded[key[1]] if key[1] < len(decoded) else None
                    assert row[column] == wanted, (key, column)
    assert keys == set(table)
    return len(keys)


def _latency(documents: Documents, rows: list[dict[str, Any]]) -> int:
    wanted = []
    for player, document in _of(documents, "multiplayer").items():
        for peer, link in document["latencyByPeer"].items():
            if link is None:
                continue
            long = link.get("series")
            if long is None:
                samples = [(sample["timestamp"], sample["rttMs"]) for sample in link["samples"]]
            else:
                times, rtts = series(long["t"]), series(long["rtt"])
                samples = [(long["startMs"] + t, rtt / 10) for t, rtt in zip(times, rtts, strict=True)]
            start = document["sessionStartTime"]
            wanted += [(player, peer, at, at - start, rtt) for at, rtt in samples]
    got = [(row["from"], row["to"], _ms(row["at"]), row["t_ms"], row["rtt_ms"]) for row in rows]
    assert sorted(got) == sorted(wanted)
    return len(wanted)


def _players(documents: Documents, rows: list[dict[str, Any]]) -> int:
    table = {row["player"]: row for row in rows}
    for player, document in _of(documents, "multiplayer").items():
        row, status = table[player], document["sessionStatus"]
        path, inputs = document["connection"]["connectionDetails"], document["inputDelivery"]
        ways = document["connection"].get("gameTransportCounts") or {}
        assert _ms(row["started_at"]) == document["sessionStartTime"]
        assert _ms(row["ended_at"]) == document["exportTimestamp"]
        lost = status["disconnectedPlayerId"]
        latency = document["latency"] or {}
        told = {
            "ended_by": status["terminationReason"],
            "end_frame": status["terminationFrame"],
            "partial": status["isPartial"],
            "lost_player": None if lost is None else str(lost),
            "connection": document["connection"]["type"],
            "local_candidate": path["localCandidateType"],
            "remote_candidate": path["remoteCandidateType"],
            "protocol": path["protocol"],
            "relay_protocol": path["relayProtocol"],
            "game_transport": document["connection"].get("gameTransport"),
            "game_transport_returns": ways.get("returns"),
            "inputs_sent": inputs["sentViaP2P"],
            "inputs_received": inputs["receivedViaP2P"],
            "rollbacks": document["validation"]["totalRollbacks"],
            "desyncs": document["validation"]["totalDesyncs"],
            "disconnections": len(document["reconnection"]["disconnections"]),
            "pause_ms": document["reconnection"]["totalPauseDurationMs"],
            "jitter_ms": latency.get("jitterMs"),
            "missed_polls": latency.get("missed"),
            "protocol_errors": sum(document["protocolErrors"].values()),
            "waited_ms": (document["probe"] or {}).get("waitedMs"),
        }
        for column, value in told.items():
            assert row[column] == value, (player, column)
        assert json.loads(row["config"]) == document["config"]
    for player, document in _of(documents, "session").items():
        for column, key in _COSTS.items():
            assert table[player][column] == document["rollbacks"][key], (player, column)
    return len(table)


_COSTS = {"mispredictions": "mispredictions", "resimulated_frames": "resimulatedFrames", "stalls": "stalls"}


def _episodes(documents: Documents, rows: list[dict[str, Any]]) -> int:
    table = {(row["episode"], row["player"]): row for row in rows}
    seats = {(row["episode"], row["seat"]): row for row in rows}
    for player, document in _of(documents, "multiplayer").items():
        for one in document["validation"]["episodes"]:
            row = table.get((one["episodeNum"], player))
            if row is None:  # a player without a seat
                continue
            for column, key in _SUMMARY.items():
                assert row[column] == one[key], (player, column)
        for one in document.get("episodes") or ():
            for seat, earned in one["returns"].items():
                row = seats[one["episode"], seat]
                if row["frames"] == one["frames"]:
                    assert row["return"] == earned, (player, seat)
                    assert row["length"] == one["lengths"][seat], (player, seat)
                    assert row["seed"] == one["seed"]
            own = table.get((one["episode"], player))
            if own is not None:
                assert own["ended_by"] == one["endedBy"], player
                assert _ms(own["started_at"]) == one["startedAt"], player
                assert _ms(own["ended_at"]) == one["endedAt"], player
    return len(rows)


_SUMMARY = {
    "confirmed_frame": "confirmedFrame",
    "verified_frame": "verifiedFrame",
    "hashes": "hashCount",
    "desyncs": "desyncCount",
    "rollbacks": "rollbackCount",
    "max_rollback_frames": "maxRollbackFrames",
}


def _events(documents: Documents, rows: list[dict[str, Any]]) -> int:
    def listed(kind: str, *columns: str) -> list[tuple[Any, ...]]:
        found = (tuple(row[column] for column in ("player", *columns)) for row in rows if row["kind"] == kind)
        return sorted(found, key=repr) if kind == "path" else sorted(found)

    rollbacks, broken, desyncs, paths = [], [], [], []
    for player, document in _of(documents, "session").items():
        rollbacks += [
            (player, event["frame"], event["rollbackFrames"], str(event["playerId"]))
            for event in document["rollbacks"]["events"]
        ]
    for player, document in _of(documents, "multiplayer").items():
        broken += [(player, event["frame"]) for event in document["reconnection"]["disconnections"]]
        paths += [
            (player, peer, one["connectionDetails"]["detectedAtFrame"])
            for peer, found in document.get("connectionPaths", {}).items()
            for one in found
        ]
        events = document["validation"]["allDesyncEvents"]
        desyncs += [(player, event["episode"], event["frame"]) for event in events]
    assert listed("rollback", "frame", "value", "other") == sorted(rollbacks)
    assert listed("disconnection", "frame") == sorted(broken)
    assert listed("path", "other", "frame") == sorted(paths, key=repr)  # a frame may be None
    assert listed("desync", "episode", "frame") == sorted(desyncs)
    return len(rollbacks) + len(broken) + len(desyncs)


def _ms(time: Any) -> int | None:
    return None if time is None else round(time.timestamp() * 1000)


if __name__ == "__main__":
    import gym_p2p

    study = gym_p2p.load(sys.argv[1])
    counts = compare(Path(sys.argv[1]), {name: list(table) for name, table in study.tables.items()})
    sys.stdout.write(f"{study}\nagreed: {counts}\n")
