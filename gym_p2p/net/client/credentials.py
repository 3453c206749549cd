"""What a client shows at the service's door: its join token, and what it takes to come back.

Knows the environment variable that keeps the token off command lines and out of recorded arguments. It
does not read tokens: only the service can.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Self

import attrs

__all__ = ["TOKEN_VARIABLE", "Credentials"]

TOKEN_VARIABLE = "GYM_P2P_TOKEN"  # noqa: S105  # the name of a variable


@attrs.define(eq=False)
class Credentials:
    """One client's, over all its lines.

    Attributes:
        token: the join token; ``None`` for a service that wants none.
        resume_token: lets the next line take the present one's place; ``None`` before the service gave one.
        subject_id: who this is by the service's account; ``None`` before it gave one.
    """

    token: str | None = attrs.field(default=None, repr=False)
    resume_token: str | None = attrs.field(default=None, repr=False)
    subject_id: str | None = None

    @classmethod
    def of(cls, token: str | None) -> Self:
        """Return those with this token, or with the environment's if it is ``None``."""
        return cls(token if token is not None else os.environ.get(TOKEN_VARIABLE) or None)

    def to_auth(self) -> dict[str, str] | None:
        """Return what a connect carries."""
        shown = {"token": self.token, "resume_token": self.resume_token}
        return {name: value for name, value in shown.items() if value is not None} or None

    def learn(self, registered: Mapping[str, Any]) -> None:
        """Take what the service's answer to a registration gives for the next one."""
        resume_token = registered.get("resume_token")
        self.resume_token = resume_token if isinstance(resume_token, str) else None
        subject_id = registered.get("subject_id")
        self.subject_id = subject_id if isinstance(subject_id, str) else None
