"""The audit finds what is planted in a clean run, and nothing in the clean run itself; without namespaces."""

from __future__ import annotations

import ast
import contextlib
import functools
import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from gym_p2p.config import ServiceConfig
from gym_p2p.server import serve_in_thread
from tests.faults import audit as audit_module
from tests.faults import findings, frames, naming, reading
from tests.faults.audit import audit, came_too_late
from tests.faults.findings import Verdict
from tests.faults.games import SEATS
from tests.faults.kinds import KINDS
from tests.faults.reading import read
from tests.faults.scenario import Plan
from tests.faults.seats import Player, start_player
from tests.waiting import PATIENCE_S

FRAMES = 130
"""A whole episode, and a part of another one."""


class _ThisMachine:
    """Where players run without a laboratory."""

    def run(self, _node: str, argv: list[str], **popen: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen(argv, **popen)


@pytest.fixture(scope="module", params=["lockstep", "rollback"])
def clean(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two players to whom nothing happens, as a scene leaves it."""
    folder = tmp_path_factory.mktemp("run")
    plan = Plan(
        kind="loss",
        seed=1,
        sync=request.param,
        game="rally",
        hosts=("a", "b"),
        faults=(),
        frames=FRAMES,
        one_way_ms=0.0,
    )
    with serve_in_thread(ServiceConfig(port=0, data_dir=str(folder / "service"))) as service:
        players = [
            Player(host, seat, folder / host, _started(plan, host, seat, service.url, folder / host))
            for host, seat in zip(plan.hosts, SEATS[plan.game], strict=True)
        ]
        try:
            for player in players:
                player.process.wait(PATIENCE_S)
        finally:
            for player in players:
                with contextlib.suppress(ProcessLookupError):
                    player.process.kill()
    scene = {
        **attrs.asdict(plan),
        "expected": attrs.asdict(KINDS["blackout 0.2"].expected),
        "clock": {"unix": time.time(), "monotonic": time.monotonic()},
        "players": {player.host: _facts(player) for player in players},
        "planned": [],
        "service": 0,
        "left": {"processes": [], "sockets": []},
    }
    (folder / "scene.json").write_text(json.dumps(scene))
    return folder


def _started(plan: Plan, host: str, seat: str, url: str, folder: Path) -> subprocess.Popen[bytes]:
    here: Any = _ThisMachine()
    return start_player(here, host, seat, plan, url, folder, options=(), environment={})


def _facts(player: Player) -> dict[str, Any]:
    return {
        "seat": player.seat,
        "struck": False,
        "exit": player.process.returncode,
        "frames": player.follow(),
    }


@pytest.fixture
def folder(clean: Path, tmp_path: Path) -> Path:
    """A copy of it, for planting something."""
    return Path(shutil.copytree(clean, tmp_path / "run"))


def _verdict(folder: Path) -> Verdict:
    return audit(read(folder))


def _found(folder: Path) -> dict[str, int]:
    counts: dict[str, int] = {}
    for finding in _verdict(folder).findings:
        counts[finding.what] = counts.get(finding.what, 0) + finding.count
    return counts


def _document(folder: Path, kind: str, host: str = "a") -> Path:
    (path,) = (folder / host).rglob(f"*.{kind}.json")
    return path


def _change(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def test_a_clean_run_has_no_findings(clean: Path) -> None:
    evidence = read(clean)
    assert [left.account.frames for left in evidence.players.values()] == [FRAMES, FRAMES]
    assert [len(left.documents) for left in evidence.players.values()] == [3, 3]
    assert _verdict(clean).findings == []


def test_a_dropped_frame_is_found(folder: Path) -> None:
    def drop(document: dict[str, Any]) -> None:
        rows = document["validation"]["allActions"]
        document["validation"]["allActions"] = [
            row for row in rows if (row["episode"], row["frame"]) != (1, 50)
        ]

    _change(_document(folder, "multiplayer"), drop)
    assert _found(folder)["frame lost"] >= 1


def test_dropped_last_frames_are_found(folder: Path) -> None:
    def drop(document: dict[str, Any]) -> None:
        rows = document["validation"]["allActions"]
        document["validation"]["allActions"] = rows[:-2]

    for host in ("a", "b"):
        _change(_document(folder, "multiplayer", host), drop)
    assert _found(folder)["frame lost"] >= 2


def test_a_doubled_frame_is_found(folder: Path) -> None:
    _change(
        _document(folder, "multiplayer"),
        lambda document: document["validation"]["allActions"].append(document["validation"]["allActions"][8]),
    )
    assert _found(folder)["frame doubled"] == 1


def test_a_frame_that_a_player_was_asked_for_twice_is_found(folder: Path) -> None:
    account = folder / "a" / "account.asked.jsonl"
    lines = account.read_text().splitlines(keepends=True)
    account.write_text("".join([*lines[:20], lines[19], *lines[20:]]))
    assert _found(folder)["frame doubled"] == 1


@pytest.mark.parametrize("kind", reading.KINDS)
def test_a_deleted_document_is_found(folder: Path, kind: str) -> None:
    _document(folder, kind).unlink()
    assert _found(folder)["export lost"] == 1


def test_a_document_that_the_service_does_not_have_is_found(folder: Path) -> None:
    (handed_in,) = (folder / "service").rglob("left.multiplayer.json")
    handed_in.unlink()
    assert _found(folder) == {"export lost": 1}
    _change(folder / "scene.json", lambda scene: scene.update(service=None))  # which was not there at the end
    assert _found(folder) == {}


def test_a_document_that_is_cut_off_is_found(folder: Path) -> None:
    path = _document(folder, "session")
    path.write_bytes(path.read_bytes()[:-100])
    found = _found(folder)
    assert (found["invalid"], found["export lost"]) == (1, 1)


def test_a_document_that_its_schema_forbids_is_found(folder: Path) -> None:
    _change(_document(folder, "session"), lambda document: document.pop("reconnection"))
    assert _found(folder)["invalid"] >= 1


def test_another_action_than_the_player_took_is_found_though_all_say_so(folder: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        row = document["validation"]["allActions"][40]
        row["action"] = (row["action"] + 1) % 3

    for host in ("a", "b"):
        _change(_document(folder, "multiplayer", host), change)
    found = _found(folder)
    assert found["untrue"] >= 1
    assert "disagreement" not in found


def test_documents_that_differ_are_found(folder: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        document["validation"]["allHashes"][1]["hash"] = "0" * 16

    _change(_document(folder, "multiplayer"), change)
    assert _found(folder)["disagreement"] >= 1


def test_returns_that_the_oracle_does_not_find_are_found(folder: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        document["episodes"][0]["returns"]["left"] += 1

    _change(_document(folder, "multiplayer"), change)
    assert _found(folder)["untrue"] == 1


def test_a_seed_that_was_not_played_is_found(folder: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        document["episodes"][0]["seed"] += 1

    _change(_document(folder, "multiplayer"), change)
    assert _found(folder)


def test_processes_sockets_and_unfinished_files_that_are_left_are_found(folder: Path) -> None:
    (folder / "b" / "exports" / "left.session.json.part").write_text("{")
    _change(
        folder / "scene.json",
        lambda scene: scene["left"].update(processes=["python"], sockets=["a: udp 10.77.0.1:40000"]),
    )
    assert _found(folder) == {"left over": 3}


def test_an_exit_code_that_was_not_expected_is_found(folder: Path) -> None:
    _change(folder / "scene.json", lambda scene: scene["players"]["b"].update(exit=1))
    assert _found(folder) == {"ending": 1}


def test_a_player_who_never_ends_is_found(folder: Path) -> None:
    _change(folder / "scene.json", lambda scene: scene["players"]["b"].update(exit=None))
    assert _found(folder) == {"ending": 1}


def test_frames_that_were_not_played_although_all_should_play_on_are_found(folder: Path) -> None:
    _change(folder / "scene.json", lambda scene: scene.update(frames=FRAMES + 1))
    assert _found(folder) == {"ending": 2}


def test_a_fault_that_could_not_be_injected_is_found(folder: Path) -> None:
    _change(folder / "scene.json", lambda scene: scene.update(planned=["blackout"]))
    assert _found(folder) == {"ending": 1}


def _inject(folder: Path, naming_rule: str, *, frame: int = 60) -> float:
    """Note a fault of the path at the time of a frame, which is to be named; return its Unix time in ms."""
    evidence = read(folder)
    at = evidence.players["a"].account.step_times[frame]
    fault = {
        "what": "blackout",
        "hosts": ["a", "b"],
        "amount": 10_000.0,
        "frame": frame,
        "from": at,
        "begun": at,
        "seconds": 1.0,
        "when": "playing",
        "played": frame,
    }

    def note(scene: dict[str, Any]) -> None:
        named = {"naming": naming_rule, "names": "pair"}
        scene["planned"], scene["faults"] = ["blackout"], [{**fault, **named, "to": at + 1.0}]

    _change(folder / "scene.json", note)
    return read(folder).unix_ms(at)


@pytest.mark.parametrize("rule", sorted(set(naming.RULES) - {"pause or not"}))
def test_a_fault_that_no_document_names_is_found(folder: Path, rule: str) -> None:
    _inject(folder, rule)
    assert _found(folder) == {"unnamed": 2}


def test_a_stop_of_play_that_no_document_names_is_found(folder: Path) -> None:
    at = read(folder).players["a"].account.step_times[60]
    for host in ("a", "b"):
        account = folder / host / "account.steps.jsonl"
        steps = [json.loads(line) for line in account.read_text().splitlines()]
        stopped = [{**step, "at": step["at"] + (1.0 if step["at"] > at else 0.0)} for step in steps]
        account.write_text("".join(f"{json.dumps(step)}\n" for step in stopped))
    _inject(folder, "pause or not")
    assert _found(folder) == {"unnamed": 2}


def test_a_fault_that_both_documents_name_is_not(folder: Path) -> None:
    at_ms = _inject(folder, "pause")
    for host, other in (("a", "right"), ("b", "left")):
        pause = {
            "playerIds": [other],
            "reason": "silent",
            "frame": 60,
            "timestamp": int(at_ms + 500),
            "durationMs": 500.0,
            "limitMs": 10_000.0,
            "cause": None,
        }
        _change(_document(folder, "session", host), functools.partial(dict.update, pauses=[pause]))
    verdict = _verdict(folder)
    assert verdict.findings == []
    assert verdict.noticed_s == pytest.approx([0.5, 0.5], abs=0.002)
    assert len(verdict.resumed_s) == 1


def _ways(folder: Path, *ways: tuple[float, str]) -> None:
    """Let both documents tell of ways that were taken to the other player, and when."""
    for host, other in (("a", "right"), ("b", "left")):
        taken = [{"timestamp": int(at_ms), "otherPeer": other, "way": way} for at_ms, way in ways]
        change = functools.partial(dict.update, waysTaken=taken)
        _change(_document(folder, "session", host), change)


@pytest.mark.parametrize(
    ("ways", "unnamed"),
    [
        ([(-2000, "service")], 0),
        ([(-2000, "service"), (300, "direct")], 2),  # which was broken just then
        ([(-2000, "service"), (-1000, "direct")], 2),
        ([(-2000, "service"), (3000, "direct")], 0),
        ([(500, "player")], 0),
    ],
)
def test_a_way_that_was_in_use_explains_a_fault_for_as_long_as_it_was(
    folder: Path, ways: list[tuple[int, str]], unnamed: int
) -> None:
    at_ms = _inject(folder, "way round")
    _ways(folder, *((at_ms + later_ms, way) for later_ms, way in ways))
    assert [finding.what for finding in _verdict(folder).findings].count("unnamed") == unnamed


def test_a_way_that_was_in_use_explains_no_fault_of_the_player_at_its_end(folder: Path) -> None:
    at_ms = _inject(folder, "pause")
    _ways(folder, (at_ms - 2000, "service"))

    def strike(scene: dict[str, Any]) -> None:
        scene["faults"][0].update(hosts=["b"], names="others")

    assert not [one for one in _verdict(folder).findings if one.what == "unnamed"]
    _change(folder / "scene.json", strike)
    assert [one.what for one in _verdict(folder).findings].count("unnamed") == 1


def test_a_pause_for_somebody_else_at_another_time_names_nothing(folder: Path) -> None:
    at_ms = _inject(folder, "pause")
    late = {
        "playerIds": ["right"],
        "reason": "silent",
        "frame": 60,
        "durationMs": 1.0,
        "limitMs": 1.0,
        "cause": None,
    }
    _change(
        _document(folder, "session"),
        lambda document: document.update(pauses=[{**late, "timestamp": int(at_ms + 20_000)}]),
    )
    assert _found(folder) == {"unnamed": 2}


def test_a_fault_that_came_when_the_match_was_over_is_known_for_it(folder: Path) -> None:
    _inject(folder, "pause")
    assert not came_too_late(read(folder))
    _change(folder / "scene.json", lambda scene: scene["faults"][0].update({"played": FRAMES}))
    assert came_too_late(read(folder))  # while documents are written
    later = {"played": 60, "from": time.monotonic()}
    _change(folder / "scene.json", lambda scene: scene["faults"][0].update(later))
    assert came_too_late(read(folder))


def test_the_audit_imports_nothing_of_the_package_but_its_games() -> None:
    for module in (audit_module, findings, frames, naming, reading):
        tree = ast.parse(Path(str(module.__file__)).read_text())
        names = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        names |= {one.name for node in ast.walk(tree) if isinstance(node, ast.Import) for one in node.names}
        assert not [name for name in names if name.split(".")[0] == "gym_p2p"]
        ours = {name for name in names if name.startswith("tests.")}
        assert ours <= {
            f"tests.faults.{part}" for part in ("draws", "findings", "frames", "games", "naming", "reading")
        }
