from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gym_p2p.cli import main, serve
from tests.waiting import PATIENCE_S

ROOT = Path(__file__).parents[2]


def start(*options: str, data_dir: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "gym_p2p", "serve", "--data-dir", str(data_dir), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    readable, _, _ = select.select([process.stdout], [], [], PATIENCE_S)
    return process.stdout.readline() if readable else ""


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    process = start("--port", "0", data_dir=tmp_path / "data")
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE_S)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_it_is_and_ends_cleanly_when_told_to(
    serving: subprocess.Popen[str], number: signal.Signals
) -> None:
    assert first_line(serving).startswith("gym_p2p service ready at http://127.0.0.1:")
    serving.send_signal(number)
    output, errors = serving.communicate(timeout=PATIENCE_S)
    assert serving.returncode == 0
    assert output == errors == ""


def test_where_the_address_does_not_say_it_all_it_says_on_what_it_listens(tmp_path: Path) -> None:
    process = start("--host", "localhost", "--port", "0", data_dir=tmp_path / "data")
    try:
        port = first_line(process).rpartition(":")[2].strip()
        assert process.stdout is not None
        assert f"127.0.0.1:{port}" in process.stdout.readline()  # it may have come with the first line
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE_S)


def test_a_port_in_use_is_one_clear_line_and_an_exit_code(
    serving: subprocess.Popen[str], tmp_path: Path
) -> None:
    port = first_line(serving).rpartition(":")[2].strip()
    second = start("--port", port, data_dir=tmp_path / "other")
    _, errors = second.communicate(timeout=PATIENCE_S)
    assert second.returncode == 2
    assert errors.count("\n") == 1
    assert "in use" in errors


def test_listening_beyond_loopback_is_warned_of(tmp_path: Path) -> None:
    process = start("--port", "0", "--host", "0.0.0.0", "--open", data_dir=tmp_path)  # noqa: S104  # what is tested
    assert "http://127.0.0.1:" in first_line(process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert "warning: listening on 0.0.0.0" in errors


@pytest.mark.parametrize(
    "options",
    [
        ("--port", "70000"),
        ("--ice-server", "http://example.org"),
        ("--ice-server", "turn:user:confidential@example.org"),
        ("--cors-origin", "*"),
        ("--host", "0.0.0.0"),  # noqa: S104  # without --open or a join secret
        ("--host", "no.such.host.invalid"),
        ("--data-dir", "/proc/not/writable"),
    ],
)
def test_a_wrong_option_is_one_clear_line(
    options: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", *options]) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("gym-p2p serve: ")
    assert errors.count("\n") == 1
    assert "confidential" not in errors


def test_turn_credentials_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GYM_P2P_TURN_USERNAME", "someone")
    monkeypatch.setenv("GYM_P2P_TURN_CREDENTIAL", "confidential")
    turn = serve._ice_server("turn:turn.example:3478")
    assert (turn.urls, turn.username) == (("turn:turn.example:3478",), "someone")
    assert turn.credential == "confidential"
    assert serve._ice_server("stun:stun.example").credential is None
