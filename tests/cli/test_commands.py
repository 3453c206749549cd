"""What every command has in common: how it begins, how it says what is wrong, how it ends."""

from __future__ import annotations

import os
import pty
import select
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

import pytest

from gym_p2p.cli import main
from gym_p2p.cli.commands import COMMANDS, make_parser
from gym_p2p.config.public_ids import PUBLIC_ID
from gym_p2p.errors import ConfigurationError, UsageError
from gym_p2p.human.seat import HumanSeat
from tests.waiting import PATIENCE_S, lasting_port

GAME = "gym_p2p/Rally-v0"


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Return the exit code, and what stands on standard error."""
    try:
        code = main(arguments)
    except SystemExit as ended:
        code = int(ended.code or 0)
    return code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("join", "the following arguments are required: env"),
        (f"join {GAME} --frames x", "--frames: wanted a whole number from 1, got 'x'"),
        (f"join {GAME} --fps fast", "--fps: wanted a number, got 'fast'"),
        (f"join {GAME} --fps 0", "--fps: wanted 0.01 to 10000, got 0"),
        (f"join {GAME} --input-delay some", "--input-delay: wanted a whole number, or auto, got 'some'"),
        (f"join {GAME} --loss 2", "--loss: wanted 0 to 1, got 2"),
        (f"join {GAME} --spectators -1", "--spectators: wanted 0 to 16, got -1"),
        (f"join {GAME} --exports {__file__}", "--exports: cannot write to"),
        (f"join no_such:env --human --exports {__file__}", "--exports: cannot write to"),  # nothing was begun
        (f"join {GAME} --record {__file__}/x", "--record: cannot write to"),
        (f"join {GAME} --exports-fallback {__file__}", "--exports-fallback: cannot write to"),
        ("join CartPole-v1", "--watchers: CartPole-v1 has the single seat 'player'"),
        ("join CartPole-v1 --watchers 1 --seat player --picture", "--picture: CartPole-v1 draws no text"),
        ("join gym_p2p/Rally-v0 --human --policy scripted", "either you play the seat, or a policy does"),
        ("join gym_p2p/Rally-v0 --no-browser", "want --human"),
        (f"join {GAME} --human --server ftp://example.org", "--server: wanted something like http://"),
        ("demo --keys keys.json", "want --human"),
        ("join gym_p2p/Rally-v0 --human --keys no-such.json", "cannot read no-such.json"),
        ("demo --human --env no_such:env --keys no-such.json", "--keys: cannot read no-such.json"),
        ("host no_such:env --keys no-such.json", "--keys: cannot read no-such.json"),  # nothing was begun
        ("demo --human --env tests.toys:Blend", "--human: tests.toys:Blend draws no pictures"),
        ("join tests.toys:Blend --human", "draws no pictures that a person could play by"),
        (
            "watch CartPole-v1 --watchers 1 --picture",
            "it offers human, rgb_array. To see it, play its recording",
        ),
        (f"join {GAME} --room Zoë", "'Zoe' would do"),
        (f"join {GAME} --queue lab/1", f"--queue: wanted {PUBLIC_ID}, and '/'"),
        (f"join {GAME} --subject a\u202eb", r"--subject: wanted 1 to 128 characters"),
        (f"watch {GAME} --room ..", "--room: wanted"),
        (f"watch {GAME} --wait never", "--wait: wanted a number above 0, got 'never'"),
        ("probe Åsa", "'Asa' would do"),
        ("probe --wait --as 明", "--as: wanted"),
        ("token Zoë", "SUBJECT: wanted"),
        ("host", "the following arguments are required: env"),
        (f"host {GAME} --people 2", "--people and --seat want --partner"),
        (f"host {GAME} --reaction-ms 200", "--reaction-ms and --actions-per-second want --partner"),
        (f"host {GAME} --next survey.example.org", "--next: wanted http(s)://"),
        (f"host {GAME} --next javascript:1", "--next: wanted http(s)://"),
        (f"host {GAME} --record all.p2preplay", "--record: a host has many matches: name a folder"),
        (f"host {GAME} --stand-in random", "--stand-in goes with --while-away stand_in"),
        (
            f"host {GAME} --while-away default_action --rejoin-timeout 0",
            "--while-away wants --rejoin-timeout",
        ),
        (f"host {GAME} --rejoin-timeout -1", "--rejoin-timeout: wanted 0 to 3600"),
        (f"host {GAME} --server http://127.0.0.1:1 --port 70000", "--port: wanted 0 to 65535"),
        (f"host {GAME} --links -1", "--links: wanted a whole number from 1"),
        (f"host {GAME} --host 0.0.0.0 --port 0", "--public-url: '0.0.0.0' is every address"),
        (f"host {GAME} --port 70000", "--port: wanted 0 to 65535"),
        (f"host {GAME} --host no.such.name.invalid", "--host: cannot listen on"),
        (f"host {GAME} --public-url play.example.org", "--public-url: wanted http(s)://"),
        (f"host {GAME} --exports {__file__}", "--exports: cannot write to"),
        (f"host {GAME} --exports-fallback {__file__}", "--exports-fallback: cannot write to"),
        (f"demo --exports-fallback {__file__}", "--exports-fallback: cannot write to"),
        (f"demo {GAME}", f"gym-p2p demo: unrecognized arguments: {GAME} (gym-p2p demo --help tells all)"),
        (f"host no_such:env --exports {__file__}", "--exports: cannot write to"),  # nothing was tried
        (f"host no_such:env --record {__file__}", "--record: cannot write to"),
        (f"host {GAME} --links-file {__file__}", "--links-file: cannot read"),
        (f"host {GAME} --links 2 --links-last 1e12", "--links-last: wanted 0.01 to 87600"),
        (f"host {GAME} --seats 0", "--seats: wanted a whole number from 1"),
        ("host gym_p2p/Raly-v0 --port 0", "did you mean 'gym_p2p/Rally-v0'"),
        ("host CartPole-v1 --port 0", "CartPole-v1 has the single seat"),
        ("host tests.toys:Blend --port 0", "no pictures"),
        (f"host {GAME} --port 0 --partner no_such_module:act", "no module 'no_such_module'"),
        (f"host {GAME} --port 0 --partner scripted --seat middle", "--seat: gym_p2p/Rally-v0 has the seats"),
        (f"host {GAME} --port 0 --keys no-such.json", "--keys: cannot read"),
        ("serve --host 0.0.0.0", "--open"),
        ("serve --host 0.0.0.0", "GYM_P2P_JOIN_SECRET_FILE="),
        ("serve --port 70000", "--port: wanted 0 to 65535"),
        (f"serve --data-dir {__file__}", "--data-dir: cannot use"),
        (f"demo --exports {__file__}", "--exports: cannot write to"),
        (f"demo --human --env no_such:env --exports {__file__}/x", "--exports: cannot write to"),
        ("demo --players two", "--players: wanted a whole number"),
        ("demo --policy clever", "--policy: no policy 'clever'; wanted random, scripted, module:function"),
        ("demo --human --policy no_such:act", "--policy: no module 'no_such'"),
        ("demo --policy sb3:none.zip", "--policy: policy sb3:none.zip: cannot read none.zip"),
        ("demo --env CartPole-v1 --policy scripted", "--policy: CartPoleEnv has no scripted policy"),
        ("demo --env pettingzoo.classic.tictactoe_v3 --reaction-ms 9", "--reaction-ms: a game whose agents"),
        ("demo --spectators 99", "--spectators: wanted 0 to 16, got 99"),
        ("demo --input-delay 500", "--input-delay: wanted 0 to 60, got 500"),
        ("demo --fps 0", "--fps: wanted 0.01 to 10000, got 0"),
        ("demo --seed -1", "--seed: wanted a whole number from 0 to 2**64 - 1, got -1"),
        (f"join {GAME} --human --seed -1", "--seed: wanted a whole number from 0 to 2**64 - 1, got -1"),
        (f"join {GAME} --stand-in clever", "--stand-in: no policy 'clever'; wanted random, scripted"),
        (f"host {GAME} --partner clever", "--partner: no policy 'clever'; wanted random, scripted"),
        (f"host {GAME} --stand-in clever", "--stand-in: no policy 'clever'; wanted random, scripted"),
        (f"simulate {GAME} --policy left=clever", "--policy: no policy 'clever'; wanted random, scripted"),
        ("demo --env CartPole-v1 --players 9", "a match has 2 to 8 players"),
        ("demo --env CartPole-v1 --players 1", "a match has 2 to 8 players"),
        ("simulate CartPole-v1 --frames 5", "--watchers: CartPole-v1 has the single seat 'player'"),
        (f"join {GAME} --watchers 1", "seat: name one of 'left', 'right', 'watcher_1'"),
        (
            f"join {GAME} --policy nope",
            "wanted random, scripted, module:function, sb3:FILE.zip or onnx:FILE.onnx",
        ),
        ("serve --ice-server foo", "--ice-server: wanted stun:"),
        ("serve --cors-origin foo", "--cors-origin: wanted origins"),
        ("serve --give-up-after -1", "--give-up-after: wanted 0.1"),
        ("serve --set nope=3", "--set nope: the matchmaker widening has max_p2p_rtt_ms, initial_rtt_ms"),
        ("serve --matchmaker fifo --set initial_rtt_ms=3", "--set initial_rtt_ms: the matchmaker fifo has"),
        ("matchmaking simulate --group-size 1 --arrivals 5", "--group-size: wanted 2 to 16"),
        ("probe ann --wait", "--wait goes without PEER"),
        ("simulate CartPole-v1 --loss much", "--loss: wanted 0 to 1, got 'much'"),
        ("check CartPole-v1 --seed one", "--seed: wanted a whole number"),
        ("bench nothing", "invalid choice: 'nothing'"),
        ("bench echo --full", "--full is an option of service; echo has none such"),
        ("bench data --rounds 2", "--rounds is an option of connect, echo, step,"),
        ("bench step --jitter-ms 3", "--jitter-ms is an option of telemetry; step has none such"),
        ("bench telemetry --loss 2", "--loss: wanted 0 to 1, got 2"),
        ("bench telemetry --jitter-ms -1", "--jitter-ms: wanted 0 to 10000, got -1"),
        ("matchmaking", "the following arguments are required"),
        ("nonsense", "invalid choice: 'nonsense'"),
    ],
)
def test_wrong_usage_is_one_line_that_names_the_option_as_it_was_given(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: str,
    told: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("GYM_P2P_JOIN_SECRET", "GYM_P2P_JOIN_SECRET_FILE"):
        monkeypatch.delenv(name, raising=False)
    code, err = said(capsys, *arguments.split())
    lines = [line for line in err.splitlines() if not line.endswith(" ...")]  # but for what was being done
    assert code == 2, err
    assert len(lines) == 1
    assert lines[0].startswith("gym-p2p")
    assert told in lines[0]
    assert "None" not in lines[0], "nobody can give that here"
    assert list(tmp_path.iterdir()) == []


_WRONG_TABLES = {
    '{"ArrowUp": 1, "w": 99}': "'w' is for no action of Discrete(6): wanted a whole number from 0 to 5",
    '{"left": {"ArrowUp": 1}, "middle": {"w": 1}}': "'left' is for no action of Discrete(6)",
    '[{"ArrowUp": 1}]': "Discrete(6) wants a table, got a list of 1",
    '{"ArrowUp": 1, "ArrowUp": 2}': "'ArrowUp' stands twice in one table",
    '{"ArrowUp": 1, "up": 2}': "'ArrowUp' and 'up' are the same keys, for two actions: 1 and 2",
    '{"Arowup": 1}': "did you mean 'ArrowUp'",
    '{"": 1}': "by which no key does anything",
}


@pytest.mark.parametrize("text", _WRONG_TABLES)
@pytest.mark.parametrize("command", ["demo --human", f"join {GAME} --human", f"host {GAME} --port 0"])
def test_a_table_of_keys_that_does_not_fit_is_told_before_anything_is_opened(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    text: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("keys.json").write_text(text)
    code, err = said(capsys, *command.split(), "--keys", "keys.json")
    lines = [line for line in err.splitlines() if not line.endswith(" ...")]  # but for what was being done
    assert code == 2, err
    assert len(lines) == 1, err
    assert lines[0].startswith(f"gym-p2p {command.split(maxsplit=1)[0]}: --keys: ")
    assert "keys.json: " in lines[0]
    assert _WRONG_TABLES[text] in lines[0]
    assert [path.name for path in tmp_path.iterdir()] == ["keys.json"]


def test_a_title_that_no_page_can_show_is_told_before_anybody_comes(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, err = said(capsys, "host", GAME, "--port", "0", "--title", "x" * 10_001)
    assert code == 2
    assert "--title: wanted at most 10000 characters, got 10001" in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["join", "watch", "probe", "token"])
def test_the_alphabet_of_names_stands_in_the_help(capsys: pytest.CaptureFixture[str], command: str) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    assert PUBLIC_ID in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "option", "called"),
    [
        ("token ann", "subject", "subject"),
        ("probe ann", "peer", "peer"),
        ("replay match.p2preplay", "file", "file"),
        ("report exports", "path", "path"),
        ("probe ann", "pings", "--pings"),
    ],
)
def test_what_has_no_dashes_on_the_command_line_has_none_in_an_error(
    line: str, option: str, called: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = line.split(maxsplit=1)[0]

    def run(_arguments: object) -> int:
        raise ConfigurationError(option, "is wrong")

    monkeypatch.setattr(f"gym_p2p.cli.{command}.run", run)
    assert said(capsys, *line.split()) == (2, f"gym-p2p {command}: {called}: is wrong\n")


@pytest.mark.parametrize(
    ("command", "told"), [("join", "as fast as possible"), ("demo", "30"), ("host", "the game's own rate")]
)
def test_help_tells_the_rate_of_frames_that_is_taken(
    capsys: pytest.CaptureFixture[str], command: str, told: str
) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    assert f"frames a second (default: {told})" in capsys.readouterr().out


def test_help_tells_every_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    for command in COMMANDS:
        with pytest.raises(SystemExit):
            main([command, "--help"])
        told = capsys.readouterr().out
        assert all(f"\n  {code} " in told for code in (0, 1, 2, 3, 130, 141))
    assert make_parser().format_help()


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "CartPole-v1", "--no-fresh-process", "--steps", "5"],
        ["simulate", GAME, "--frames", "30", "--one-way-ms", "0"],
        ["matchmaking", "simulate", "--arrivals", "50", "--json"],
    ],
)
def test_a_reader_that_goes_away_ends_it_without_a_word(arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "gym_p2p", *arguments],
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            timeout=100,
            check=False,
        )
    finally:
        os.close(writing)
    assert done.returncode == 141, done.stderr
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def _on_a_terminal(arguments: list[str], **environment: str) -> bytes:
    """Return what a command writes to a terminal, standard error and output together, until it ends."""
    main_end, its_end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "gym_p2p", *arguments],
        stdin=its_end,
        stdout=its_end,
        stderr=its_end,
        env={**os.environ, "TERM": "xterm-256color", **environment},
    )
    os.close(its_end)
    written = b""
    deadline = time.monotonic() + 100
    try:
        while time.monotonic() < deadline and select.select([main_end], [], [], 100)[0]:
            try:
                chunk = os.read(main_end, 65536)
            except OSError:  # Linux's way to say that the other end is closed
                break
            if not chunk:
                break
            written += chunk
        assert process.wait(PATIENCE_S) == 0
    finally:
        process.kill()
        process.wait()
        os.close(main_end)
    return written


def test_a_command_says_that_it_begins_before_it_has_imported_what_it_needs() -> None:
    arguments = ["check", "CartPole-v1", "--no-fresh-process", "--steps", "5"]
    written = _on_a_terminal(arguments)
    assert written.startswith(b"gym-p2p check ...\r\x1b[K")
    assert b"verdict" in written


def test_a_dumb_terminal_gets_no_control_sequences() -> None:
    written = _on_a_terminal(["simulate", GAME, "--frames", "30", "--one-way-ms", "0"], TERM="dumb")
    assert b"\x1b" not in written
    assert written.startswith(b"gym-p2p simulate ...\r\n")
    assert b"rollback" in written


def test_where_there_is_no_service_nobody_is_asked_to_come_to_a_page(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    server = f"http://127.0.0.1:{lasting_port()}"
    code, err = said(capsys, "join", GAME, "--human", "--no-browser", "--server", server)
    assert code == 3
    assert f"no gym_p2p service answers at {server}" in err
    assert "take the seat" not in err


def test_who_may_come_back_is_not_turned_away_where_the_service_is_away(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def entered(_seat: HumanSeat) -> NoReturn:
        raise UsageError("here is the page")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(HumanSeat, "__enter__", entered)
    server = ("--server", f"http://127.0.0.1:{lasting_port()}")
    _, err = said(capsys, "join", GAME, "--human", "--no-browser", *server, "--rejoin-timeout", "5")
    assert "here is the page" in err


def test_who_has_nobody_to_play_with_is_told_before_the_page(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = f"http://127.0.0.1:{listening.getsockname()[1]}"
        code, err = said(capsys, "join", "CartPole-v1", "--human", "--no-browser", "--server", server)
    assert code == 2
    assert "--watchers: CartPole-v1 has the single seat 'player'" in err
    assert "take the seat" not in err


INTERRUPTED_IMPORT = """
import runpy, sys

class Interrupts:
    def find_spec(self, name, path=None, target=None):
        if name == "gym_p2p.cli.surroundings":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupts())
sys.argv = ["gym-p2p", "demo"]
runpy.run_module("gym_p2p", run_name="__main__")
"""


def test_ctrl_c_while_the_command_is_imported_ends_it_as_later() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_IMPORT], capture_output=True, text=True, check=False, timeout=40
    )
    assert (ended.returncode, ended.stderr) == (130, "interrupted\n")
