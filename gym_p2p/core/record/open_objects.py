"""Objects in the documents that are filled elsewhere, and may have more keys than those described here.

It knows what their keys mean; it refuses to know how they come about: what an environment is made of is for
the game to say, what was probed for the service.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

__all__ = ["EnvironmentFacts", "ProbeFacts", "SyncFacts"]


def _object(**keys: tuple[str, str | list[str] | dict[str, Any]]) -> dict[str, Any]:
    """Return a JSON Schema of an open object: for every key what it means, and its type or schema."""
    properties = {
        key: {"description": text, **(kind if isinstance(kind, dict) else {"type": kind})}
        for key, (text, kind) in keys.items()
    }
    return {"properties": properties}


EnvironmentFacts = Annotated[
    dict[str, Any],
    Meta(
        extra_json_schema=_object(
            id=("The environment's id where it is registered, else its name and class.", "string"),
            arguments=(
                (
                    "What it was made with, by name; what is no plain data as a text that says what "
                    "it is. Without what concerns this machine alone (how it is rendered)."
                ),
                "object",
            ),
            packages=(
                (
                    "The versions of this package, and of those that the environment's classes and "
                    "what it is made of come from."
                ),
                {"type": "object", "additionalProperties": {"type": "string"}},
            ),
            sourceHash=(
                (
                    "SHA-256, hexadecimal, over the source of the environment and of the wrappers "
                    "around it that change the game: the files of their classes' modules, and of all "
                    "modules of the same package or folder that these import, directly or not. In the "
                    "order of their paths within it; of each the path, a zero byte, the length in "
                    "bytes, a zero byte, and the text with line feeds as line ends. Libraries beside "
                    "it are in packages. Null where there is no source."
                ),
                ["string", "null"],
            ),
        )
    ),
]

_REPORT = _object(
    rttMs=(
        "The median round trip of this side's pings, in milliseconds; null without one.",
        ["number", "null"],
    ),
    samplesMs=("Every round trip of this side, in milliseconds; null is unknown.", ["array", "null"]),
    jitterMs=("How far they vary, in milliseconds; null is unknown.", ["number", "null"]),
    loss=("The share of pings without an answer, 0 (no percent) to 1; null is unknown.", ["number", "null"]),
    path=("The path that was measured, in W3C's words; null is unknown.", ["object", "string", "null"]),
)

_PAIR = _object(
    subjects=("The two who were probed, by the names that the service knows.", "array"),
    rttMs=("The round trip between them, in milliseconds; null if it was not measured.", ["number", "null"]),
    reports=(
        "By subject: what each side measured.",
        {"type": "object", "additionalProperties": {"type": "object", **_REPORT}},
    ),
)

ProbeFacts = Annotated[
    dict[str, Any],
    Meta(
        extra_json_schema=_object(
            queue=("The queue that the match came out of.", "string"),
            waitedMs=("How long this player waited in it, in milliseconds.", "number"),
            pairs=(
                "Every pair of the match that was probed; empty where the queue probes nobody.",
                {"type": "array", "items": {"type": "object", **_PAIR}},
            ),
        )
    ),
]

SyncFacts = Annotated[
    dict[str, Any],
    Meta(
        extra_json_schema=_object(
            mode=("``lockstep`` or ``rollback``.", "string"),
            why=("Why that was chosen, in words.", "string"),
            window=("How many frames this player predicts at most; 0 in lockstep.", "integer"),
            snapshots=("How the game is saved; null where it is not.", ["string", "null"]),
            comparesStates=("Whether checksums cover the state, not only what ``step`` returned.", "boolean"),
            saveEvery=("How many frames that are new lie between two states that are saved.", "integer"),
            leftOut=("What of the states is not compared, as paths without indices.", "array"),
        )
    ),
]
