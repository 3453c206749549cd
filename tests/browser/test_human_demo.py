"""``gym-p2p demo --human`` with a real browser: from the link to the documents and the recording."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import jsonschema

import gym_p2p
from gym_p2p.exports import schema
from gym_p2p.study.report.report import report_html
from tests.browser.demos import demo_of, play_demo
from tests.browser.driver import Driver
from tests.waiting import PATIENCE_S


def test_the_demo_is_played_by_a_person_and_says_so_in_its_exports(browser: Driver, tmp_path: Path) -> None:
    document = play_demo(browser, tmp_path)
    jsonschema.validate(document, schema("multiplayer"))
    human = document["human"]
    assert (human["link"], human["browser"], human["input"]) == ("websocket", "Chrome", "keys")
    assert human["pageSize"] == [1000, 700]
    assert human["framesShown"] > 20
    assert human["actionLatency"]["count"] >= 1
    assert human["pageRtt"]["sampleCount"] >= 1
    assert document["focusLoss"]["periodCount"] == 0
    assert [player["playedBy"] for player in document["players"]] == ["person", "policy"]
    actions = [row["action"] for row in document["validation"]["allActions"] if row["playerId"] == "left"]
    assert 1 in actions
    study = gym_p2p.load(tmp_path / "p2p-exports")
    own = [row for row in study.frames() if row["seat"] == "left"]
    assert {row["actor"] for row in own} == {"person"}
    assert {row["focused"] for row in own} == {True}
    seen = [(row["t_ms"], row["shown_ms"]) for row in own if row["shown_ms"] is not None]
    assert len(seen) >= human["framesShown"] - 3  # and what reset gave, and the end
    assert all(0 <= shown - played < 5000 for played, shown in seen)  # on the clock of this process
    others = [row for row in study.frames() if row["seat"] == "right"]
    assert {(row["actor"], row["shown_ms"], row["focused"]) for row in others} == {("policy", None, None)}
    assert {(row["from"], row["to"]) for row in study.latency if row["link"] == "page"} == {("left", "left")}
    assert {(row["from"], row["to"]) for row in study.latency if row["link"] == "peer"} == {
        ("left", "right"),
        ("right", "left"),
    }
    player = next(row for row in study.players if row["player"] == "left")
    assert player["page_link"] == "websocket"
    assert player["action_latencies"] == len(player["action_latencies_ms"])
    assert "What people felt" in report_html(study)

    (recording,) = tmp_path.glob("p2p-exports/*T*Z-*/left.p2preplay")
    replay = [sys.executable, "-m", "gym_p2p", "replay", str(recording)]
    subprocess.run(replay, check=True, timeout=PATIENCE_S)  # all that was recorded comes out again


def test_ctrl_c_before_the_page_is_opened_leaves_nothing(tmp_path: Path) -> None:
    demo, _ = demo_of(tmp_path)
    demo.send_signal(2)
    demo.communicate(timeout=PATIENCE_S)
    assert demo.returncode == 130
