"""Signals, streams and folders that a command finds itself with."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from gym_p2p import P2PEnv
from gym_p2p.cli import main
from gym_p2p.cli.commands import COMMANDS
from gym_p2p.cli.surroundings import ended_by_signals, heeded, past_a_signal
from gym_p2p.game.env.load import load_environment
from tests.players import Lobby, auto_peers, together
from tests.waiting import PATIENCE_S, until

RALLY = "gym_p2p/Rally-v0"
GYM_P2P = [sys.executable, "-m", "gym_p2p"]


def _start(*arguments: str, **changes: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*GYM_P2P, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **changes,
    )


def _lines_until(process: subprocess.Popen[str], wanted: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if wanted in line:
            return
    raise AssertionError(f"it ended without {wanted!r}")


# Signals.


def _right(lobby: Lobby) -> P2PEnv:
    options = lobby.options(
        exports=None, fps=60, room_timeout_s=60.0
    )  # the other one is a program that starts
    return P2PEnv(load_environment(RALLY, {}), seat="right", **options)


def _partner(lobby: Lobby, told: list[Mapping[str, Any]]) -> P2PEnv:
    """Play until the match ends, and note what was told of that."""
    env = _right(lobby)
    env.reset()
    while not told:
        _, _, terminated, truncated, info = env.step(0)
        if "p2p" in info and info["p2p"]["reason"] != "peer_reset":
            told.append(info["p2p"])
        elif terminated or truncated:
            env.reset()
    env.close()
    return env


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_signal_ends_a_player_with_a_goodbye_and_the_exports(
    number: signal.Signals, lobby: Lobby, tmp_path: Path
) -> None:
    command = ["join", RALLY, "--seat", "left", "--lines", "--fps", "60"]
    command += ["--server", lobby.url, "--room", lobby.room, "--exports", str(tmp_path / "theirs")]
    told: list[Mapping[str, Any]] = []

    def send() -> None:
        _lines_until(player, '"state": "playing"')
        player.send_signal(number)
        player.send_signal(number)  # a service manager may send several: the first one counts
        player.send_signal(signal.SIGTERM)

    with _start(*command) as player:
        family = psutil.Process(player.pid).children(recursive=True)
        results = together(partial(_partner, lobby, told), send)
        out, err = player.communicate(timeout=PATIENCE_S)
    assert isinstance(results[0], P2PEnv), results
    assert results[1] is None
    assert player.returncode == 130, err
    assert "Traceback" not in err
    assert json.loads(out.splitlines()[-1])["ending"] == "interrupted"
    assert told == [{"reason": "peer_left", "player": "left"}]
    (document,) = (tmp_path / "theirs").glob("*T*Z-*/left.multiplayer.json")
    assert json.loads(document.read_text())["sessionStatus"]["terminationReason"] == "interrupted"
    assert psutil.wait_procs(family, timeout=PATIENCE_S)[1] == []


def test_a_hang_up_that_is_ignored_as_under_nohup_ends_nothing(tmp_path: Path) -> None:
    with _start(
        "serve", "--port", "0", cwd=tmp_path, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)
    ) as service:
        _lines_until(service, "ready")
        service.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            service.wait(0.5)
        service.send_signal(signal.SIGTERM)
        assert service.wait(PATIENCE_S) == 0


def test_a_hang_up_ends_the_service_in_good_order(tmp_path: Path) -> None:
    with _start("serve", "--port", "0", cwd=tmp_path) as service:
        _lines_until(service, "ready")
        service.send_signal(signal.SIGHUP)
        assert service.wait(PATIENCE_S) == 0
        assert service.stderr is not None
        assert "Traceback" not in service.stderr.read()


@pytest.mark.parametrize(
    "command",
    [
        ["bench", "step"],
        ["bench", "rollback", "--match"],
        ["simulate", RALLY, "--frames", "100000", "--repeat", "4", "--jobs", "2"],
        ["check", RALLY, "--steps", "200000"],
    ],
)
def test_ctrl_c_in_the_middle_ends_everything_with_one_word(command: list[str], tmp_path: Path) -> None:
    with _start(*command, cwd=tmp_path, start_new_session=True) as process:
        until(lambda: psutil.Process(process.pid).children() != [])
        time.sleep(0.5)  # whatever it does by then
        family = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode in {130, -signal.SIGINT}, err
    assert err.splitlines()[-1] == "interrupted"
    assert "Traceback" not in err
    assert psutil.wait_procs(family, timeout=PATIENCE_S)[1] == []


def test_only_the_first_signal_interrupts_and_what_was_there_before_comes_back() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    cleaned_up: list[bool] = []

    def clean_up() -> None:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGHUP)
        cleaned_up.append(True)

    def work() -> None:
        with ended_by_signals(), contextlib.ExitStack() as stack:
            stack.callback(clean_up)
            signal.raise_signal(signal.SIGHUP)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert cleaned_up
    assert {number: signal.getsignal(number) for number in before} == before


def test_what_signals_do_afterwards_is_what_they_did_before(tmp_path: Path) -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    (tmp_path / "file").touch()
    assert main(["serve", "--port", "0", "--data-dir", str(tmp_path / "file")]) == 2
    assert [signal.getsignal(number) for number in numbers] == before

    def end() -> None:
        until(lambda: signal.getsignal(signal.SIGTERM) is not before[1])  # it would end the tests
        time.sleep(0.3)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)

    threading.Thread(target=end).start()
    assert main(["serve", "--port", "0", "--data-dir", str(tmp_path / "data")]) in {
        0,
        130,
    }  # begun by then, or not
    assert [signal.getsignal(number) for number in numbers] == before


def test_a_command_runs_outside_the_main_thread(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    codes: list[int] = []
    seen: list[list[int]] = []

    def run() -> None:
        seen.append(heeded(signal.SIGTERM, signal.SIGINT))
        nobody = ["--server", "http://127.0.0.1:9", "--exports", str(tmp_path)]
        codes.append(main(["join", RALLY, *nobody]))
        codes.append(main(["simulate", RALLY, "--frames", "5", "--one-way-ms", "0", "--json"]))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60)
    assert codes == [3, 0]
    assert seen == [[]]
    assert "no gym_p2p service answers" in capsys.readouterr().err


# Folders.


@pytest.fixture
def deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    return gone


@pytest.mark.usefixtures("deleted")
@pytest.mark.parametrize("command", COMMANDS)
def test_in_a_deleted_folder_every_command_says_so_in_one_line(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"gym-p2p {command}: the working directory was deleted; change into another one (cd)\n"


@pytest.mark.usefixtures("deleted")
def test_the_program_itself_starts_in_a_deleted_folder() -> None:
    done = subprocess.run([*GYM_P2P, "check", "x"], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    done = subprocess.run([*GYM_P2P, "--help"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("command", "option"),
    [
        (["join", RALLY, "--exports", "file"], "exports"),
        (["join", RALLY, "--exports", "file/below"], "exports"),
        (["join", RALLY, "--exports", "out", "--record", "file"], "record"),
        (["join", RALLY, "--exports", "out", "--record", "file/x.p2preplay"], "record"),
        (["serve", "--port", "0", "--data-dir", "file"], "data-dir"),
        (["demo", "--exports", "file"], "exports"),
    ],
)
def test_a_folder_that_is_a_file_is_said_of_its_option(
    command: list[str],
    option: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    assert main(command) == 2
    err = capsys.readouterr().err
    assert option in err
    assert err.count("\n") == 1


def test_odd_surroundings_are_no_obstacle(tmp_path: Path) -> None:
    """A folder with another alphabet, a terminal with none, no home, nowhere for temporary files."""
    folder = tmp_path / "ein Verzeichnis: für alles"
    folder.mkdir()
    environment = {key: value for key, value in os.environ.items() if key not in {"HOME", "LANG"}}
    environment |= {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "TMPDIR": "/nowhere", "COLUMNS": "200"}
    done = subprocess.run(
        [*GYM_P2P, "demo", "--frames", "75", "--fps", "60", "--exports", "da draußen"],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=90,
        check=False,
        umask=0o077,
    )
    assert done.returncode == 0, done.stderr
    assert b"fully synchronised" in done.stdout
    assert len(list((folder / "da draußen").glob("*T*Z-*/*.json"))) == 6


# Streams.


def test_a_player_without_standard_streams_plays(lobby: Lobby, tmp_path: Path) -> None:
    with auto_peers([partial(_right, lobby)]):
        join = f"join {RALLY} --seat left --frames 20 --fps 60 --server {lobby.url}"
        command = f"exec {' '.join(GYM_P2P)} {join} --room {lobby.room} --exports out <&- >&- 2>&-"
        assert subprocess.run(["sh", "-c", command], cwd=tmp_path, timeout=60, check=False).returncode == 0
    assert len(list(tmp_path.glob("out/*T*Z-*/left.*.json"))) == 3


def test_a_program_without_standard_streams_that_prints_from_c_plays(lobby: Lobby, tmp_path: Path) -> None:
    """What is written to the numbers of its standard streams gets into no socket of ours."""
    options = lobby.options(exports=None, fps=60, network="process")
    program = f"""
import os, pathlib, sys
for number in (0, 1, 2):
    os.close(number)
from gym_p2p import P2PEnv
from gym_p2p.game.env.load import load_environment
env = P2PEnv(load_environment({RALLY!r}, {{}}), seat="left", **{dict(options)!r})
env.reset()
for _ in range(20):
    for number in (0, 1, 2):
        try:
            os.write(number, b"what a library has to say")
        except OSError:
            pass
    info = env.step(0)[4]
    assert "p2p" not in info, info
env.close()
pathlib.Path("done").touch()
"""
    with auto_peers([partial(_right, lobby)]):
        subprocess.run([sys.executable, "-c", program], cwd=tmp_path, timeout=60, check=False)
    assert (tmp_path / "done").exists()


def test_output_that_nobody_reads_is_no_traceback() -> None:
    command = ["simulate", RALLY, "--frames", "30", "--one-way-ms", "0", "10", "--json"]
    with _start(*command) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.wait(60) == 128 + signal.SIGPIPE  # as a shell counts it
        assert "Traceback" not in process.stderr.read()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device here that is always full")
@pytest.mark.parametrize("command", ["matchmaking simulate --arrivals 20 --json", "serve --port 0"])
def test_output_that_a_full_disk_does_not_take_is_told_in_a_line(command: str, tmp_path: Path) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [*GYM_P2P, *command.split()],
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, "gym-p2p: the output was not written: the disk is full\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_ends_by_itself_does_so_though_it_is_asked_to_and_two_ctrl_c_break_it_off(number: int) -> None:
    with ended_by_signals():
        before = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
        ended = False
        with past_a_signal():
            os.kill(os.getpid(), number)
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGHUP)
            ended = True
        assert ended
        assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before
        with pytest.raises(KeyboardInterrupt), past_a_signal():  # noqa: PT012 - signals come between statements
            os.kill(os.getpid(), number)
            os.kill(os.getpid(), signal.SIGINT)
