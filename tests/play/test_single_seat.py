"""An environment with a single seat: nobody is kept waiting for a match that cannot be."""

from __future__ import annotations

from pathlib import Path

import gymnasium
import pytest

from gym_p2p import P2PEnv
from gym_p2p.errors import ConfigurationError


@pytest.mark.parametrize("seat", ["player", None])
def test_it_is_refused_by_what_is_missing_before_anything_connects(tmp_path: Path, seat: str | None) -> None:
    exports = tmp_path / "exports"
    env = P2PEnv(
        gymnasium.make("CartPole-v1"),
        seat=seat,
        server_url="http://127.0.0.1:9",  # where nobody answers, and nobody asks
        exports=str(exports),
    )
    with pytest.raises(ConfigurationError, match="single seat 'player'") as refused:
        env.reset()
    assert refused.value.option == "watchers"
    assert not exports.exists()
    env.close()
