"""An environment that raises while it is played: that comes out, the match ends, the exports are there."""

from __future__ import annotations

import json
from typing import Any

import pytest
from gymnasium import spaces

from gym_p2p import MatchOver, P2PEnv
from tests.players import Lobby, left_running, together
from tests.toys import Blend
from tests.waiting import until


class _Fragile(Blend):
    """Raises at a frame, or at a reset; not told by an attribute, so that the players' states are equal."""

    failures: dict[int, tuple[int, BaseException]] = {}  # noqa: RUF012 - by object, shared on purpose

    def __init__(self) -> None:
        super().__init__("dict", 10_000)
        self.action_space = spaces.MultiDiscrete([7, 7])
        self.failures.pop(id(self), None)  # of one that was there before

    def fail(self, frame: int, error: BaseException) -> None:
        """Raise an error instead of playing a frame; frame -1 is the next reset."""
        self.failures[id(self)] = (frame, error)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        result = super().reset(seed=seed, options=options)
        self._raise_at(-1)
        return result

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self._raise_at(self._frame)
        return super().step(action)

    def _raise_at(self, frame: int) -> None:
        at, error = self.failures.get(id(self), (None, None))
        if at == frame and error is not None:
            raise error


def _pair(lobby: Lobby, sync: str) -> list[P2PEnv]:
    told = lobby.options(sync=sync, fps=60, checksum_interval=10, emulation={"one_way_ms": 20})
    return [P2PEnv(_Fragile(), seat=seat, **told) for seat in range(2)]


def _play(env: P2PEnv, frames: int = 300) -> Any:
    """Play on; return the last frame's info."""
    info: Any = None
    held_for = 2 + env.p2p.game.seats.index(env.p2p.seat)
    for frame in range(frames):
        _, _, terminated, truncated, info = env.step(frame // held_for % 7)
        if terminated or truncated:
            break
    return info


def _assert_ended(env: P2PEnv, lobby: Lobby, reason: str) -> dict[str, Any]:
    with pytest.raises(MatchOver, match=reason):
        env.step(0)
    env.close()
    env.close()
    document = env.export_multiplayer_metrics()
    assert document["sessionStatus"]["terminationReason"] == reason
    assert document["sessionStatus"]["isPartial"] is True
    (path,) = lobby.exports.rglob("0.multiplayer.json")
    assert json.loads(path.read_text())["validation"] == json.loads(json.dumps(document["validation"]))
    return document


@pytest.mark.parametrize("sync", ["lockstep", "rollback"])
@pytest.mark.parametrize(
    ("error", "reason"),
    [(ValueError("the environment's own"), "environment_failed"), (KeyboardInterrupt(), "interrupted")],
)
def test_what_a_step_raises_comes_out_and_ends_the_match_with_all_that_was_final(
    lobby: Lobby, sync: str, error: BaseException, reason: str
) -> None:
    fragile, other = _pair(lobby, sync)
    together(lambda: fragile.reset(seed=1), other.reset)
    fragile.unwrapped.fail(45, error)  # type: ignore[attr-defined]  # ours

    def fails() -> BaseException:
        with pytest.raises(type(error)) as caught:
            _play(fragile)
        document = _assert_ended(fragile, lobby, reason)
        assert 20 < document["validation"]["episodes"][0]["totalFrames"] <= 45
        assert document["validation"]["totalDesyncs"] == 0
        return caught.value

    results: list[Any] = together(fails, lambda: _play(other))
    raised, info = results
    assert raised is error
    assert info["p2p"] == {"reason": "peer_left", "player": 0}
    other.close()
    until(lambda: not left_running())


def test_what_a_reset_raises_comes_out_and_ends_the_match(lobby: Lobby) -> None:
    fragile, other = _pair(lobby, "rollback")
    together(lambda: fragile.reset(seed=1), other.reset)
    together(lambda: _play(fragile, 20), lambda: _play(other, 20))
    error = ValueError("the environment's own")
    fragile.unwrapped.fail(-1, error)  # type: ignore[attr-defined]  # ours

    def fails() -> None:
        with pytest.raises(ValueError, match="own"):
            fragile.reset()
        _assert_ended(fragile, lobby, "environment_failed")

    def goes_on() -> Any:
        other.reset()
        return _play(other)

    results: list[Any] = together(fails, goes_on)
    _, info = results
    assert info["p2p"] == {"reason": "peer_left", "player": 0}
    other.close()
    until(lambda: not left_running())
