"""The tables that have a few rows a match: the match, its players, its episodes, its problems."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import attrs

from gym_p2p.study.codebook.columns import MATCH, NO_DOCUMENT, NO_SESSION, NOT_SAID, Column, TableText

__all__ = ["EPISODES", "MATCHES", "PLAYERS", "PROBLEMS", "PROBLEM_KINDS"]

_NO_PERSON = "No person played at a page, or none was measured, or it is not said."
_NO_POLICY = "No policy played, or none was said."

MATCHES = TableText(
    "matches",
    "A match: the facts on which all its documents agree; where they do not, `problems` says so.",
    (
        MATCH,
        Column(
            "folder", "string", "The folder of its files, relative to what was loaded; `.` is that itself."
        ),
        Column(
            "schema_version",
            "int",
            "The lowest schemaVersion of its documents.",
            "None of them has one: a recording, or files of the browser framework.",
        ),
        Column("environment", "string", "The environment's id, or its name where it has none.", NOT_SAID),
        Column("environment_arguments", "json", "The arguments that it was made with.", NOT_SAID),
        Column("environment_hash", "string", "SHA-256 over the environment's source files.", NOT_SAID),
        Column("packages", "json", "Versions of the packages that take part, by name.", NOT_SAID),
        Column(
            "room",
            "string",
            "The room or queue in which the players met; of the browser framework, its scene.",
            NOT_SAID,
        ),
        Column("sync_mode", "string", "How frames were kept together: lockstep or rollback.", NO_SESSION),
        Column(
            "fps", "float", "Frames a second that were aimed at.", "As fast as it goes, or not said.", "1/s"
        ),
        Column(
            "started_at",
            "time",
            "When the match was made, by the earliest document, or a match log.",
            "Not said.",
        ),
        Column("ended_at", "time", "The newest time that a document speaks of.", "Not said."),
        Column("players", "int", "How many players took part, as far as is known."),
        Column("documents", "int", "Of how many of these a document was read (journals count)."),
        Column("episodes", "int", "Episodes that were begun, the most that a document has."),
        Column("completed_episodes", "int", "Episodes that the environment ended.", "No document says."),
        Column("frames", "int", "Frames with every seat's action, over all episodes."),
        Column(
            "ended_by",
            "string",
            "Why it ended (terminationReason); several reasons of several players are joined by ` / `.",
            "It went on when the documents were written, or the process was killed.",
        ),
        Column(
            "partial", "bool", "Whether some document was written before the match was over.", "Not said."
        ),
        Column("hashes_compared", "int", "Frames of which two players have a checksum."),
        Column("hash_mismatches", "int", "How many of these differ."),
        Column("actions_compared", "int", "Actions that two players have recorded."),
        Column("action_mismatches", "int", "How many of these differ."),
        Column("synced", "bool", "Whether all that was compared is the same.", "Nothing could be compared."),
        Column("desyncs", "int", "Checked frames that differed, the most that a player found."),
        Column("recording", "string", "A recording of it, relative to what was loaded.", "There is none."),
        Column("problems", "int", "Rows of `problems` about it."),
    ),
)

PLAYERS = TableText(
    "players",
    "A player of a match.",
    (
        MATCH,
        Column("player", "string", "The player's id in the match."),
        Column("subject", "string", "Who that is to the service, or their pseudonym.", "No document says."),
        Column("seats", "json", "The seats' ids, as an array of strings.", "No document says."),
        Column(
            "source",
            "string",
            "Where it comes from: documents, journal, recording, frames (the browser framework's table) or "
            "others (their documents, or a match log).",
        ),
        Column("version", "string", "The version of gym_p2p that they played with.", NO_DOCUMENT),
        Column("platform", "string", "What it ran on.", NO_DOCUMENT),
        Column("started_at", "time", "When the match was made, by their own clock.", NO_DOCUMENT),
        Column("ended_at", "time", "When their part ended, by their own clock.", NO_DOCUMENT),
        Column(
            "ended_by", "string", "Why it ended for them (terminationReason).", "Not over, or no document."
        ),
        Column(
            "end_frame",
            "int",
            "The newest final frame of the newest episode at the end, -1 if it has none.",
            "Not over, no episode, or no document.",
        ),
        Column("partial", "bool", "Whether it ended, or the document was written, too early.", NO_DOCUMENT),
        Column("lost_player", "string", "Whose loss ended the match for them.", "Nobody's, or no document."),
        Column("episodes", "int", "Episodes that were begun.", NO_DOCUMENT),
        Column("frames", "int", "Frames with every seat's action.", NO_DOCUMENT),
        Column(
            "total_return",
            "float",
            "The sum of the rewards of their seats over all episodes.",
            "Not known: see `episodes`.",
        ),
        Column("connection", "string", "The worst link's way: direct, relay or unknown.", NO_DOCUMENT),
        Column(
            "local_candidate",
            "string",
            "That link's ICE candidate here: host, srflx, prflx, relay.",
            "Unknown.",
        ),
        Column("remote_candidate", "string", "The same there.", "Unknown."),
        Column("protocol", "string", "udp or tcp.", "Unknown."),
        Column("relay_protocol", "string", "udp, tcp or tls to the relay.", "Without a relay, or unknown."),
        Column(
            "game_transport",
            "string",
            "What carried game messages on that link at last: dtls (records beside SCTP) or datachannel.",
            "Unknown, or of an earlier version.",
        ),
        Column(
            "game_transport_returns",
            "int",
            "How often they went back from records to the channel there, because records did not arrive.",
            "Unknown, or of an earlier version.",
        ),
        Column("inputs_sent", "int", "Inputs sent to peers directly.", NO_DOCUMENT),
        Column("inputs_received", "int", "Inputs received from peers directly.", NO_DOCUMENT),
        Column("rollbacks", "int", "How often the past was corrected here.", NO_DOCUMENT),
        Column("max_rollback_frames", "int", "The deepest correction.", NO_DOCUMENT, "frames"),
        Column("mispredictions", "int", "Inputs that had been guessed wrong here.", NO_SESSION),
        Column("resimulated_frames", "int", "Frames that were played again.", NO_SESSION, "frames"),
        Column(
            "stalls", "int", "Frames that had to be waited for, beyond the prediction window.", NO_SESSION
        ),
        Column("desyncs", "int", "Checked frames that differed here.", NO_DOCUMENT),
        Column("disconnections", "int", "Links that broke.", NO_DOCUMENT),
        Column("pause_ms", "float", "How long the match paused for them.", NO_DOCUMENT, "ms"),
        Column("rtt_samples", "int", "Round trips of all their links to peers in `latency`.", "", ""),
        Column("rtt_median_ms", "float", "The median of these.", "None was measured.", "ms"),
        Column(
            "rtt_p95_ms",
            "float",
            "Their 95th percentile (Hyndman and Fan's type 7).",
            "None was measured.",
            "ms",
        ),
        Column(
            "policy",
            "string",
            "The policies that played their seats, joined by `; `: as `--policy` has them, files by name.",
            _NO_POLICY,
        ),
        Column(
            "reaction_ms",
            "float",
            "From an observation to the first action that is chosen by it, of the slowest of these.",
            _NO_POLICY,
            "ms",
        ),
        Column(
            "actions_per_s",
            "float",
            "The most changes of the action in a second, of the slowest of these.",
            "No limit, or as for policy.",
        ),
        Column("page_link", "string", "What carried their page: websocket or datachannel.", _NO_PERSON),
        Column("page_rtt_median_ms", "float", "The median round trip to their page.", _NO_PERSON, "ms"),
        Column("action_latencies", "int", "Changes of keys whose effect was seen.", _NO_PERSON),
        Column(
            "action_latency_median_ms",
            "float",
            "From a key event to the frame on the screen that shows its effect: the median.",
            _NO_PERSON,
            "ms",
        ),
        Column("action_latency_p95_ms", "float", "The 95th percentile of these.", _NO_PERSON, "ms"),
        Column("action_latencies_ms", "floats", "The newest thousand of these.", _NO_PERSON, "ms"),
        Column("frames_shown", "int", "Frames that their page drew.", _NO_PERSON),
        Column("frames_skipped", "int", "Frames that were not sent, for a newer one was there.", _NO_PERSON),
        Column("jitter_ms", "float", "RFC 3550's jitter of the worst link.", "None was measured.", "ms"),
        Column("missed_polls", "int", "Measurements of that link without an answer.", "None was measured."),
        Column("protocol_errors", "int", "Messages of peers that the protocol does not allow.", NO_DOCUMENT),
        Column(
            "waited_ms",
            "float",
            "How long they waited in a queue.",
            "They came by a room, or it is not said.",
            "ms",
        ),
        Column("upload", "string", "What became of the upload.", "Not said."),
        Column("config", "json", "How they had configured it.", NO_DOCUMENT),
    ),
)

EPISODES = TableText(
    "episodes",
    "A seat in an episode of a match; what is of the whole episode stands in each of its seats' rows.",
    (
        MATCH,
        Column("episode", "int", "Its number, from 1 on."),
        Column("seat", "string", "The seat's id."),
        Column("player", "string", "Who sat there.", "Not known."),
        Column("seed", "int", "The seed that it was reset with.", "Neither a document nor a recording says."),
        Column("options", "json", "The options that it was reset with.", "None, or not said."),
        Column(
            "started_at",
            "time",
            "Its begin, by the clock of the seat's player, or else of another one's.",
            NOT_SAID,
        ),
        Column("ended_at", "time", "Its end, by the same clock.", "It was being played, or not said."),
        Column(
            "ended_by", "string", "terminated, truncated, peer_lost, ...", "It was being played, or not said."
        ),
        Column("frames", "int", "Frames with every seat's action.", "", "frames"),
        Column("length", "int", "Frames that the seat took part in.", "Not said.", "frames"),
        Column(
            "return",
            "float",
            "The sum of the seat's rewards.",
            "No document, recording or table of frames says.",
        ),
        Column("final_info", "json", "The numbers in the last info of the seat.", "Not said."),
        Column(
            "confirmed_frame",
            "int",
            "The newest frame of which everybody's actions are known; -1: none.",
            NO_DOCUMENT,
        ),
        Column(
            "verified_frame",
            "int",
            "The newest frame of which all had the same checksum; -1: none.",
            NO_DOCUMENT,
        ),
        Column("hashes", "int", "Frames with a checksum.", NO_DOCUMENT),
        Column("desyncs", "int", "Checked frames that differed.", NO_DOCUMENT),
        Column("rollbacks", "int", "How often the seat's player's copy corrected the past.", NO_DOCUMENT),
        Column("max_rollback_frames", "int", "Its deepest correction.", NO_DOCUMENT, "frames"),
    ),
)

PROBLEMS = TableText(
    "problems",
    "Something that could not be read, or in which the players' documents do not agree.",
    (
        attrs.evolve(MATCH, null="It is about a file of no match that is known."),
        Column("player", "string", "Whose document it is about.", "Nobody's in particular."),
        Column("path", "string", "The file, relative to what was loaded.", "No file in particular."),
        Column("kind", "string", "One of: PROBLEM_KINDS"),
        Column("problem", "string", "What it is, in words."),
    ),
)

PROBLEM_KINDS: Mapping[str, str] = MappingProxyType(
    {
        "unreadable": "the file cannot be read, or is damaged",
        "foreign": "the file is none of ours and none that is read beside them, or of a newer version",
        "skipped": "the file was left out: a link that leads out of the folder, or beyond a bound",
        "partial": "a part of a document is not as it should be and was left out",
        "killed": "the player's process did not end by itself: what is there is its journal",
        "missing": "a player's documents are not there",
        "duplicate": "another file says the same; the newer one was taken",
        "disagreement": "the players' documents differ in what they should agree on",
        "recording": "the recording is not whole, or differs from the documents",
        "desync": "the players' games differed",
    }
)
