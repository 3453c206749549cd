"""The load table with next to nothing to do: what is counted, not how long it took."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gym_p2p.bench import service as bench
from gym_p2p.bench.misbehaviour import KINDS
from gym_p2p.cli import main

pytestmark = pytest.mark.timeout(180)


def test_the_table_has_every_kind_beside_the_bare_relay(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "_QUICK", (0.3, 20))
    monkeypatch.setattr(bench, "_COST_S", 0.3)
    monkeypatch.setattr(bench, "_PATIENCE_S", 10.0)  # a busy machine's
    assert main(["bench", "service", "--rounds", "1", "--json", "--quiet"]) == 0
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert report["bench"] == "service"
    by_server = {
        server: {load["what"]: load for load in report["loads"] if load["server"] == server}
        for server in ("ours", "bare relay")
    }
    wanted = {"nobody misbehaves", *KINDS, "20 idle connections"}
    assert set(by_server["ours"]) == wanted
    assert set(by_server["bare relay"]) == wanted - {"uploads that never finish"}
    for what, load in by_server["ours"].items():
        assert load["arrived"] == load["sent"] > 0, what
        assert load["let_in"] == load["newcomers"] > 0, what
        assert (load["tried"] > 0) == (what in KINDS), what
        assert load["log_lines"] <= 60, what  # what every kind of line may have at once, and some more
    assert len(report["cost"]["ours_us"]) == 1
    assert report["cost"]["ratio"] > 0
