"""The tables of what happened in a match: its frames, its round trips, its events, the probes before it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import attrs

from gym_p2p.study.codebook.columns import MATCH, NO_SESSION, NOT_SAID, Column, TableText

__all__ = ["EVENTS", "EVENT_KINDS", "FRAMES", "LATENCY", "OBSERVATION", "PROBES"]

FRAMES = TableText(
    "frames",
    "A seat in a frame of an episode: confirmed actions only.",
    (
        attrs.evolve(MATCH, type="label"),
        Column("episode", "int", "The episode, from 1 on."),
        Column("frame", "int", "The frame of the episode, from 0 on."),
        Column("seat", "label", "The seat's id."),
        Column("player", "label", "Who sat there.", "Not known."),
        Column("action", "label", "The action as it was applied, as JSON that its space turns back into it."),
        Column(
            "reward",
            "float",
            "What it earned, of the recording, or of the browser framework's table of frames.",
            "There is neither, or it ends before, or its columns cannot be placed.",
        ),
        Column(
            "terminated", "bool", "Whether the environment had ended for the seat after it.", "As for reward."
        ),
        Column("truncated", "bool", "Whether it had been cut off for the seat after it.", "As for reward."),
        Column(
            "actor",
            "label",
            "Who acted: person or policy, player where they do not say which, default or stand_in.",
            NOT_SAID,
        ),
        Column(
            "t_ms",
            "int",
            "When it was first played, from the episode's start (`episodes.started_at`), monotonic, at the "
            "seat's player; at another one where only theirs is known.",
            NOT_SAID,
            "ms",
        ),
        Column(
            "confirmed_ms",
            "int",
            "When everybody's actions of it were known there, by the same clock.",
            "Never, or not said.",
            "ms",
        ),
        Column(
            "shown_ms",
            "int",
            "When the page of the seat's person drew it first, from the episode's start, by the clock of the "
            "process that played (the page's own by its offset: `human.clockErrorMs` bounds the error).",
            "No person had the seat, or their page did not draw this frame, or it is not said.",
            "ms",
        ),
        Column(
            "focused",
            "bool",
            "Whether the page of the seat's person was visible and had the focus when its action was chosen.",
            "No person had the seat, or not said.",
        ),
        Column(
            "input_delay",
            "int",
            "The frames from an input of the seat's player to its effect.",
            NO_SESSION,
            "frames",
        ),
        Column(
            "predicted",
            "bool",
            "Whether a copy of another player had played it before everything of it was known there: with a "
            "guess, of this seat's action where there are two players.",
            "Not said.",
        ),
        Column(
            "corrected",
            "bool",
            "Whether another player's copy had played it with a wrong guess of this seat's action, and "
            "corrected that. Of older documents, the first such frame of each correction alone.",
            "No session document of another player was read.",
        ),
    ),
)

OBSERVATION = Column(
    "observation",
    "floats",
    "What the seat saw before it acted: arrays in C order, the parts of a Dict or Tuple in their order. "
    "Only with `frames(observations=True)`.",
    "Could not be played again (see `problems` of that table), or is not made of numbers.",
)
"""What playing again adds to the frames."""

LATENCY = TableText(
    "latency",
    "A measured round trip of a link.",
    (
        MATCH,
        Column("from", "string", "The player who measured."),
        Column("to", "string", "The player at the other end; of a page's link the player themselves."),
        Column(
            "link",
            "string",
            "peer: between two players; page: between a person's page and the process that plays for them.",
        ),
        Column("at", "time", "When the answer was there, by the clock of `from`."),
        Column(
            "t_ms", "int", "The same, from the start of the match at `from`.", "The start is not said.", "ms"
        ),
        Column("rtt_ms", "float", "The round trip; of version 2 to 0.1 ms.", "", "ms"),
        Column(
            "one_way_ms",
            "float",
            "Half of it: one way, if both ways are alike. Whether they are cannot be known: the clocks' "
            "offset (`clock_offset` in `events`) is itself made of round trips, and half of one uncertain.",
            "",
            "ms",
        ),
    ),
)

EVENTS = TableText(
    "events",
    "Something that happened to a player of a match.",
    (
        MATCH,
        Column("player", "string", "Whose account it is."),
        Column("kind", "string", "One of: EVENT_KINDS"),
        Column("episode", "int", "The episode, from 1 on.", "It is of the match, or not said."),
        Column("frame", "int", "The frame of the episode.", "It is of no frame."),
        Column("at", "time", "When, by the clock of `player`.", "Not said."),
        Column(
            "t_ms",
            "int",
            "The same, from the start of the match, by the clock of `player`.",
            "Not said.",
            "ms",
        ),
        Column("duration_ms", "float", "How long it took.", "It has no length, or lasts.", "ms"),
        Column("other", "string", "The other player whom it concerns.", "Nobody in particular, or not said."),
        Column("value", "float", "A figure: see `kind`.", "It has none."),
        Column("detail", "json", "What else is known of it.", "Nothing."),
    ),
)

EVENT_KINDS: Mapping[str, str] = MappingProxyType(
    {
        "rollback": "the past was corrected (value: frames that were played again)",
        "stalls": "the frames of the match that had to be waited for (value: how many)",
        "outage": "a link gave no answer for a while",
        "disconnection": "a link broke (other: to whom; detail: in which states it was)",
        "reconnection": "the way back was found, or sought in vain (other: to whom; value: attempts; detail: "
        "over which connection it was found, and the candidates of a new one)",
        "path": "a link's path was found, or it or what carries its game messages changed (value: how often "
        "these had gone back to the channel by then; detail: what it is)",
        "focus": "the game was in the background",
        "desync": "a checked frame differed (detail: in which fields)",
        "input_delay": "the input delay from this frame on (value: frames)",
        "actor": "somebody else acted for a seat from this frame on (value: frames; other: its player)",
        "clock_offset": "the other's clock minus the player's (value: ms; detail: the bound in ms)",
        "protocol_error": "messages of peers that the protocol does not allow (value: how many)",
        "pause": "the match waited (other: for whom, if for one; detail: for whom, for what, and how long it "
        "could have been in ms)",
        "departure": "somebody left (other: who; detail: why, who said so, and whose loss they left for)",
        "refusal": "the service did not take the documents",
        "end": "the player's part of the match ended (detail: why)",
    }
)

PROBES = TableText(
    "probes",
    "One side's report of a probe before a match, or of one that has no report the verdict alone.",
    (
        MATCH,
        Column("queue", "string", "The queue.", "Not said."),
        Column(
            "subject",
            "string",
            "Who reports, as the service knows them.",
            "Nobody: the verdict alone is known.",
        ),
        Column("other", "string", "Who was at the other end.", "Not said."),
        Column(
            "pair_rtt_ms", "float", "What was decided by: one figure of both reports.", "It failed.", "ms"
        ),
        Column("rtt_ms", "float", "The reporter's median round trip.", "It failed.", "ms"),
        Column("jitter_ms", "float", "Its jitter.", "Not said.", "ms"),
        Column("loss", "float", "The share of pings that were not answered, 0 to 1.", "Not said."),
        Column("samples_ms", "json", "Every round trip, in ms.", "Not said."),
        Column("local_candidate", "string", "The path's ICE candidate here.", "Unknown."),
        Column("remote_candidate", "string", "The same there.", "Unknown."),
        Column("protocol", "string", "udp or tcp.", "Unknown."),
    ),
)
