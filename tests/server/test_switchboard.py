"""What stands between a Socket.IO server and the machines, without either kind of server."""

from __future__ import annotations

from pathlib import Path

from gym_p2p.config import MatchmakingConfig, ServiceConfig
from gym_p2p.server.factory import assemble, open_secret
from gym_p2p.server.guard.metrics import ServiceMetrics
from gym_p2p.server.subjects import read_subjects


def test_what_was_decided_just_before_the_end_is_written_down(tmp_path: Path) -> None:
    config = ServiceConfig(
        data_dir=str(tmp_path), pseudonyms=True, matchmaking=MatchmakingConfig(probe="never")
    )
    switchboard = assemble(config, open_secret(tmp_path), metrics=ServiceMetrics())
    for subject in ("ann", "bob"):
        assert switchboard.let_in(f"of {subject}", None, 0.0) is None
        for event, payload in (
            ("register_subject", {"subject_id": subject}),
            ("join_queue", {"queue": "q", "seats": [0, 1]}),
        ):
            assert switchboard.receive(event, (payload,), f"of {subject}", 0.0)["ok"]
    switchboard.end(0.0)
    assert read_subjects(tmp_path).keys() == {"ann", "bob"}
    assert '"q"' in (tmp_path / "decisions.jsonl").read_text()
