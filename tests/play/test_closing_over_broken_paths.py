"""What both players' documents hold where their path breaks as they close."""

from __future__ import annotations

from functools import partial
from typing import Any

import gymnasium
import pytest

from gym_p2p import P2PEnv
from gym_p2p.core.wire.messages import Channel
from gym_p2p.net.webrtc.carriers import Carriers
from tests.players import Lobby, act, together
from tests.toys import BLEND

FRAMES = 50


class _Path:
    """All direct paths of this process, until they are dark: what is sent over them is lost then."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.dark = False
        self.lost = 0
        send = Carriers.send

        def sent(carriers: Carriers, channel: Channel, data: bytes | str) -> bool:
            self.lost += self.dark
            return True if self.dark else send(carriers, channel, data)

        monkeypatch.setattr(Carriers, "send", sent)


def _play(env: P2PEnv, path: _Path, dark_after: int) -> None:
    env.reset()
    for frame in range(FRAMES):
        path.dark = path.dark or frame == dark_after
        env.step(act(env.action_space, frame))
    path.dark = True
    env.close()


@pytest.mark.parametrize("sync", ["lockstep", "rollback"])
@pytest.mark.parametrize("dark_after", [30, FRAMES])
def test_both_have_compared_all_frames_though_their_path_is_gone_when_they_close(
    sync: str, dark_after: int, lobby: Lobby, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _Path(monkeypatch)
    envs: list[Any] = [
        P2PEnv(
            gymnasium.make(BLEND, kind="dict"), seat=seat, **lobby.options(checksum_interval=10, sync=sync)
        )
        for seat in ("a", "b")
    ]
    envs[1].unwrapped.skew = 1e-9
    assert together(*(partial(_play, env, path, dark_after) for env in envs)) == [None, None]
    assert path.lost
    for env in envs:
        assert env.export_multiplayer_metrics()["sessionStatus"]["terminationReason"] == "normal"
        assert env.export_validation_data()["summary"]["desyncCount"] == FRAMES // 10
