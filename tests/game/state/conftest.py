"""What the tests of states share: how often something was walked."""

from __future__ import annotations

from typing import Any

import pytest

from gym_p2p.game.state import outlines
from gym_p2p.game.state.rows import Rows


@pytest.fixture
def walks(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """All walks from now on; nothing was handed over before."""
    seen: list[Any] = []
    walk = Rows.walk

    def counted(rows: Rows, roots: Any) -> None:
        seen.append(roots)
        walk(rows, roots)

    monkeypatch.setattr(Rows, "walk", counted)
    monkeypatch.setattr(outlines, "_outlines", {})
    return seen
