"""A policy that plays a seat, as it is recorded: which it is, how fast it may react, and what it did.

It knows what is said of it; it refuses to know how it decides.
"""

from __future__ import annotations

from typing import Annotated, Literal

import attrs
from msgspec import Meta
from msgspec.structs import asdict

from gym_p2p.core.record.parts import Count, DocumentPart, Milliseconds

__all__ = ["Policy", "PolicyFacts", "PolicyKind", "PolicyRecord"]

PolicyKind = Literal["random", "scripted", "function", "sb3", "onnx"]


class PolicyFacts(DocumentPart, frozen=True, kw_only=True):
    """Which policy plays a seat, and how fast it may react."""

    seat: str
    """The seat, as text."""
    policy: str
    """Its name as it was given, of a file without its folder."""
    kind: PolicyKind
    """What it is: random; scripted (the environment's own); a function of Python; sb3 (a model of
    Stable-Baselines3); or onnx (a model in ONNX)."""
    sha256: str | None
    """The SHA-256 of the file that it comes from: the model, or the function's source; null where there is
    none."""
    algorithm: str | None
    """By which a model of Stable-Baselines3 was trained; null of any other."""
    reaction_ms: Milliseconds
    """From an observation to the first action that is chosen by it, in milliseconds; 0 is in the same
    frame."""
    actions_per_s: Annotated[float, Meta(gt=0)] | None
    """How many changes of its action there may be in a second; null without a limit."""
    fps: Annotated[float, Meta(gt=0)] | None
    """Frames a second, by which these two are counted; null without limits."""


class Policy(PolicyFacts, frozen=True, kw_only=True):
    """A policy that played a seat of this player's."""

    decisions: Count
    """How many frames it acted in, over all episodes."""
    changes: Count
    """How often its action changed."""
    held_back: Count
    """In how many frames a change had to wait for the limit of changes."""
    illegal: Count
    """How often it wanted what an action mask forbids, and did what is legal instead."""


@attrs.define(eq=False, kw_only=True)
class PolicyRecord:
    """A policy at a seat of this player's.

    Attributes:
        facts: which it is.
        decisions: frames that it acted in.
        changes: of its action.
        held_back: frames in which a change had to wait.
        illegal: actions that a mask forbade.
    """

    facts: PolicyFacts
    decisions: int = 0
    changes: int = 0
    held_back: int = 0
    illegal: int = 0

    def document(self) -> Policy:
        """Return it as it stands in every document."""
        return Policy(
            **asdict(self.facts),
            decisions=self.decisions,
            changes=self.changes,
            held_back=self.held_back,
            illegal=self.illegal,
        )
