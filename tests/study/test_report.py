from __future__ import annotations

import re
import sys
import warnings
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

import gym_p2p
from gym_p2p.cli import main
from gym_p2p.errors import UsageError
from gym_p2p.study.report.figures import figures_of
from gym_p2p.study.report.report import report_html
from gym_p2p.study.report.timeline import Clock, clocks
from tests.study import made

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>$\\frac{$"
DATA = Path(__file__).parent / "data"


class Reader(HTMLParser):
    """Notes what a page is made of, and that it is closed as it was opened."""

    VOID = frozenset({"meta", "img", "br", "link"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A match with an outage, a desync, a rollback, a pause and a departure."""
    desync = {
        "episode": 1,
        "frame": 2,
        "ourHash": "aa",
        "peerHash": "bb",
        "timestamp": made.START_MS + 700,
        "differsIn": "state",
        "hasStateDump": True,
        "stateDifferences": [{"path": "ball.x", "ours": "1", "theirs": EVIL}],
    }
    for player in ("left", "right"):
        whole = made.document(player)
        (link,) = whole["latencyByPeer"].values()
        link["outages"] = [{"startMs": made.START_MS + 100, "endMs": made.START_MS + 400}]
        whole["validation"]["allDesyncEvents"] = [desync]
        waited = {"reason": "input", "timestamp": made.START_MS + 500, "durationMs": 90}
        left = {"reason": "peer_left", "timestamp": made.START_MS + 950}
        whole["pauses"] = [{"playerIds": ["right"], **waited}]
        whole["departures"] = [{"playerId": "right", **left}]
        made.write(tmp_path / "m" / f"{player}.multiplayer.json", whole)
        made.write(tmp_path / "m" / f"{player}.session.json", made.session(player))
    return tmp_path


def test_the_values_of_the_first_screen_are_those_of_the_tables() -> None:
    study = gym_p2p.load(DATA / "version_1")
    text = Reader(report_html(study)).text
    rtt = np.array(study.latency["rtt_ms"].to_pylist())
    assert f"{np.median(rtt):.1f} ms median RTT" in text
    assert f"over {len(rtt)} measurements of 2 links" in text
    (match,) = study.matches
    assert f"{match['frames']} frames" in text
    assert "normal: 1" in text
    assert f"All {match['hashes_compared'] + match['actions_compared']} comparisons" in text


def test_the_first_screen_says_how_many_matches_never_connected(folder: Path) -> None:
    assert "never connected" not in Reader(report_html(gym_p2p.load(folder))).text
    nothing = {"type": "unknown", "connectionDetails": {}}
    for player in ("left", "right"):
        alone = made.document(player, match="n", frames=0, connection=nothing, latency=None)
        alone["latencyByPeer"] = {}
        made.write(folder / "n" / f"{player}.multiplayer.json", alone)
    study = gym_p2p.load(folder)
    assert "1 of 2 matches never connected" in Reader(report_html(study)).text
    assert "The match never connected" in Reader(report_html(study, "n")).text
    assert "never connected" not in Reader(report_html(study, "m")).text


def test_of_a_match_without_documents_it_is_not_said_that_it_never_connected() -> None:
    study = gym_p2p.load(Path(__file__).parent / "framework_data")
    assert [row["match"] for row in study.matches if not row["documents"]] == ["earlier-game"]
    assert "never connected" not in Reader(report_html(study)).text


def test_a_match_shows_its_outage_its_desync_and_its_timeline(folder: Path) -> None:
    page = report_html(gym_p2p.load(folder), "m")
    text = Reader(page).text
    for words in (
        "no answer (outage)",
        "What happened to whom",
        "ball.x",
        "state",
        "desync",
        "Shaded: 2 outages",
    ):
        assert words in text, words
    assert "right's clock is true to ±2.0 ms here." in text
    assert "The players' games or documents differed" in text


def test_the_clocks_of_two_players_are_put_onto_the_first_ones(tmp_path: Path) -> None:
    for player, start, offset in (("left", 0, 5.0), ("right", 7, -5.0)):
        other = "right" if player == "left" else "left"
        told = {other: [{"timestamp": made.START_MS, "offsetMs": offset, "boundMs": 2.0}]}
        whole = made.document(player, sessionStartTime=made.START_MS + start, clockOffsets=told)
        made.write(tmp_path / f"{player}.multiplayer.json", whole)
    found = clocks(figures_of(gym_p2p.load(tmp_path), "m"))
    assert found == [Clock("left", made.START_MS, 0.0), Clock("right", made.START_MS + 2, 2.0)]


def test_foreign_texts_are_texts_and_nothing_else(tmp_path: Path) -> None:
    seats = [EVIL, f"{EVIL}2"]
    players = [{"playerId": seat, "subjectId": EVIL, "seats": [seat]} for seat in seats]
    whole = made.document(EVIL, match=EVIL, players=players)
    whole["validation"]["allActions"] = [
        {"episode": 1, "frame": 0, "playerId": seat, "action": EVIL} for seat in seats
    ]
    whole["episodes"][0]["returns"] = dict.fromkeys(seats, 1.0)
    whole["episodes"][0]["endedBy"] = whole["sessionStatus"]["terminationReason"] = EVIL
    whole["environment"]["id"] = whole["config"]["room"] = EVIL
    whole["latencyByPeer"] = {seats[1]: whole["latency"]}
    made.write(tmp_path / "x.multiplayer.json", whole)
    (tmp_path / "<script>.json").write_text(EVIL)
    study = gym_p2p.load(tmp_path)
    for match in (None, EVIL):
        reader = Reader(report_html(study, match))
        assert {tag for tag, _ in reader.tags} & {"script", "img", "iframe", "object", "link"} == set()
        assert not any(name.startswith("on") for _, attributes in reader.tags for name in attributes)
        assert "<script>alert(1)</script>" in reader.text


def test_the_heading_has_the_id_as_it_can_be_copied_and_captions_begin_like_sentences(tmp_path: Path) -> None:
    name = "match-3493ab"
    made.write(tmp_path / "x.multiplayer.json", made.document(match=name))
    page = report_html(gym_p2p.load(tmp_path), name)
    assert f"<h1>Match {name}</h1>" in page
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", page)
    sentences = [one for caption in captions for one in re.split(r"(?<=\.) ", caption)]
    assert [one for one in sentences if one[:1].islower() and not one.startswith(("left", "right"))] == []
    assert any(one.startswith("Jitter: median") for one in sentences)


@pytest.mark.parametrize(
    "name", ["W" * 300, "\u7684" * 40, "\u202e\U0001f3d3" * 40], ids=["long", "no glyph", "turned round"]
)
def test_names_of_any_length_and_script_warn_nobody(name: str, tmp_path: Path) -> None:
    seats = [f"{name}1", f"{name}2"]
    players = [{"playerId": seat, "subjectId": seat, "seats": [seat]} for seat in seats]
    whole = made.document(seats[0], players=players)
    whole["latencyByPeer"] = {seats[1]: whole["latency"]}
    whole["episodes"][0]["returns"] = dict.fromkeys(seats, 1.0)
    made.write(tmp_path / "x.multiplayer.json", whole)
    study = gym_p2p.load(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "<svg" in report_html(study, "m")


def test_the_page_asks_for_nothing_and_says_so(folder: Path) -> None:
    reader = Reader(report_html(gym_p2p.load(folder)))
    policy = next(a["content"] for _, a in reader.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"
    for tag, attributes in reader.tags:
        for name in ("src", "href", "xlink:href", "action", "data"):
            value = attributes.get(name)
            assert value is None or value.startswith("#"), (tag, name, value)


def test_every_picture_says_what_it_shows_and_shares_no_name(folder: Path) -> None:
    page = report_html(gym_p2p.load(folder), "m")
    drawn = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(drawn) >= 6
    for svg in drawn:
        root = ET.fromstring(svg)  # noqa: S314 - our own
        assert root.get("role") == "img"
        named = {root.findtext(f".//*[@id='{name}']") for name in (root.get("aria-labelledby") or "").split()}
        assert len(named) == 2
        assert all(named)
        assert root.get("width") is None
    names = re.findall(r'\bid="([^"]*)"', page)
    assert len(names) == len(set(names))


def test_an_empty_study_has_a_report_too(tmp_path: Path) -> None:
    text = Reader(report_html(gym_p2p.load(tmp_path))).text
    assert "No match was found." in text
    assert "No round trip was measured." in text


@pytest.mark.parametrize(
    ("wanted", "said"), [("x", "there is no match 'x'"), ("", "more than one match begins")]
)
def test_a_match_that_is_not_one_is_said(folder: Path, wanted: str, said: str) -> None:
    made.write(folder / "n.multiplayer.json", made.document(match="n"))
    with pytest.raises(UsageError, match=said):
        report_html(gym_p2p.load(folder), wanted)


def test_the_command_writes_the_page(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = folder / "out" / "study.html"
    target.parent.mkdir()
    assert main(["report", str(folder), "--match", "m", "-o", str(target)]) == 0
    assert Reader(target.read_text()).tags
    assert capsys.readouterr().out == f"{target}: 1 match, 2 problems found\n"
    # One of the other match, whose second document is missing, and the page is no file of a match.
    made.write(folder / "n.multiplayer.json", made.document(match="n"))
    for options, said in ((["--match", "m"], "1 match, 2 problems"), ([], "2 matches, 4 problems")):
        assert main(["report", str(folder), *options, "-o", str(target)]) == 0
        assert capsys.readouterr().out == f"{target}: {said} found\n"


def test_without_a_library_for_plots_nothing_is_read_first(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith("gym_p2p.study.report")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr("gym_p2p.cli.report.load", None)
    assert main(["report", str(folder), "-o", str(folder / "r.html")]) == 2
    assert "the report needs matplotlib: pip install 'gym_p2p[data]'" in capsys.readouterr().err


def test_the_command_makes_no_folder_that_nobody_asked_for(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "file").write_text("")
    for name in ("misspelt", "file"):
        assert main(["report", str(folder), "-o", str(folder / name / "study.html")]) == 2
        assert f"{folder / name} is no folder" in capsys.readouterr().err
    assert not (folder / "misspelt").exists()


def test_the_command_says_when_there_is_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.json").write_text("[]")
    assert main(["report", str(tmp_path), "-o", str(tmp_path / "r.html")]) == 2
    assert "there is no match" in capsys.readouterr().err
    assert not (tmp_path / "r.html").exists()


def test_a_report_of_many_matches_lays_them_over_each_other(tmp_path: Path) -> None:
    for number in range(7):
        made.write(tmp_path / f"{number}.multiplayer.json", made.document(match=f"m{number}"))
    text = Reader(report_html(gym_p2p.load(tmp_path))).text
    assert "7 links (7 drawn), 14 round trips" in text
    assert "7 matches" in text
