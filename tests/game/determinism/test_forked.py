from __future__ import annotations

import pytest

from gym_p2p.game.determinism.forked import Forked
from gym_p2p.game.determinism.fresh_process import NoRecipe


@pytest.mark.parametrize("written", [b"", b'[{"seed": 1, "act'])
def test_a_fork_that_ends_before_all_is_written_has_failed(
    written: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gym_p2p.game.determinism.forked.runs_to_bytes", lambda _runs: written)
    with pytest.raises(NoRecipe, match="a fork of this process failed"):
        Forked(list).result()
