from __future__ import annotations

import contextlib
import io
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from gym_p2p.cli import queue
from gym_p2p.cli.commands import make_parser
from gym_p2p.config import ServiceConfig
from gym_p2p.core.api.payloads import decode
from gym_p2p.core.matchmaking.commands import TicketRow
from gym_p2p.core.matchmaking.report import QueueReport
from gym_p2p.errors import ConfigurationError, ServiceRefused, ServiceUnreachable
from gym_p2p.server import Service, serve_in_thread
from tests.server.raw import RawClient
from tests.waiting import PATIENCE_S, lasting_port

ROOT = Path(__file__).parents[2]


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def service(data_dir: Path) -> Iterator[Service]:
    with serve_in_thread(ServiceConfig(port=0, data_dir=str(data_dir))) as running:
        yield running


@pytest.fixture
def waiting(service: Service) -> Iterator[None]:
    """Somebody waits in a queue."""
    with RawClient(service.url, subject="ann") as ann:
        assert ann.call("join_queue", {"queue": "lab", "seats": ["a", "b"]})["ok"]
        yield


def command(*arguments: str) -> int:
    """Run ``gym-p2p queue`` in this process."""
    parsed = make_parser(["queue"]).parse_args(["queue", *arguments])
    code: int = parsed.run(parsed)
    return code


@pytest.mark.usefixtures("waiting")
def test_one_look_shows_who_waits(
    service: Service, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("--server-url", service.url, "--data-dir", str(data_dir), "--once") == 0
    shown = capsys.readouterr().out
    assert [text for text in ("lab (1)", "ann", "waiting", "1 connections") if text not in shown] == []


@pytest.mark.usefixtures("waiting")
def test_one_look_can_be_json(service: Service, data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("--server", service.url, "--data-dir", str(data_dir), "--once", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["type"] == "queues"
    assert [row.subject_id for row in decode(QueueReport, told).queues["lab"]] == ["ann"]


def test_empty_queues_are_said_to_be_empty(
    service: Service, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("--server", service.url, "--data-dir", str(data_dir), "--once") == 0
    assert "nobody waits" in capsys.readouterr().out


def test_another_data_directory_is_a_clear_error(service: Service, tmp_path: Path) -> None:
    other = tmp_path / "other"
    with serve_in_thread(ServiceConfig(port=0, data_dir=str(other))):
        pass
    with pytest.raises(ServiceRefused, match="is not that service's data directory") as refused:
        command("--server", service.url, "--data-dir", str(other), "--once")
    assert refused.value.code == "unauthenticated"


def test_a_directory_without_a_secret_is_a_clear_error(service: Service, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="GYM_P2P_OPERATOR_TOKEN"):
        command("--server", service.url, "--data-dir", str(tmp_path / "nowhere"), "--once")
    assert not (tmp_path / "nowhere").exists()


def test_a_printed_token_opens_the_service_from_elsewhere(
    service: Service,
    data_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert command("--print-token", "--data-dir", str(data_dir)) == 0
    token = capsys.readouterr().out.strip()
    elsewhere = ("--server", service.url, "--data-dir", str(tmp_path / "nowhere"), "--once")
    monkeypatch.setenv("GYM_P2P_OPERATOR_TOKEN", token)
    assert command(*elsewhere) == 0
    monkeypatch.setenv("GYM_P2P_OPERATOR_TOKEN", token[:-1])
    with pytest.raises(ServiceRefused, match="GYM_P2P_OPERATOR_TOKEN has expired, or is of another"):
        command(*elsewhere)


def test_no_service_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GYM_P2P_OPERATOR_TOKEN", "any")
    with pytest.raises(ServiceUnreachable, match="gym-p2p serve"):
        command("--server", "http://127.0.0.1:9", "--once")


@pytest.mark.parametrize("option", [("--interval", "0"), ("--interval", "x"), ("--server", "nonsense")])
def test_a_wrong_option_is_refused(option: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GYM_P2P_OPERATOR_TOKEN", "any")
    with pytest.raises((SystemExit, ConfigurationError)):
        command(*option, "--once")


@contextlib.contextmanager
def watching(
    url: str, data_dir: Path, *options: str, **environment: str
) -> Iterator[subprocess.Popen[bytes]]:
    """A ``gym-p2p queue`` that watches; killed at the end if it still runs."""
    where = ("--server", url, "--data-dir", str(data_dir), "--interval", "0.2")
    process = subprocess.Popen(
        [sys.executable, "-m", "gym_p2p", "queue", *where, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        cwd=ROOT,
        env={**os.environ, **environment},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE_S)


def comes_to_show(process: subprocess.Popen[bytes], text: str) -> bool:
    """Tell whether a text appears on its standard output before the deadline."""
    assert process.stdout is not None
    shown, deadline = b"", time.monotonic() + PATIENCE_S
    while text.encode() not in shown and time.monotonic() < deadline:
        readable, _, _ = select.select([process.stdout], [], [], 0.2)
        shown += os.read(process.stdout.fileno(), 65_536) if readable else b""
    return text.encode() in shown


def interrupt(process: subprocess.Popen[bytes]) -> str:
    """Press Ctrl-C; return what was said on standard error."""
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    return errors.decode()


def test_watching_goes_on_until_ctrl_c(service: Service, data_dir: Path) -> None:
    with watching(service.url, data_dir, "--json") as process:
        assert comes_to_show(process, '"tickets": 0')
        with RawClient(service.url, subject="ann") as ann:
            assert ann.call("join_queue", {"queue": "lab", "seats": ["a", "b"]})["ok"]
            assert comes_to_show(process, '"tickets": 1')
        assert comes_to_show(process, '"tickets": 0')
        assert interrupt(process) == "interrupted\n"


def test_the_live_table_outlives_a_service_that_is_away_for_a_moment(data_dir: Path) -> None:
    with contextlib.ExitStack() as stack:
        config = ServiceConfig(port=lasting_port(), data_dir=str(data_dir))
        with serve_in_thread(config) as first:
            url = first.url
            process = stack.enter_context(watching(url, data_dir, FORCE_COLOR="1", COLUMNS="200"))
            assert comes_to_show(process, "nobody waits")
        assert comes_to_show(process, "no gym_p2p service answers")
        with serve_in_thread(config):
            assert comes_to_show(process, "nobody waits")
        assert "Traceback" not in interrupt(process)


def test_the_picture_has_room_in_eighty_columns() -> None:
    row = TicketRow(
        subject_id="somebody-with-a-name-of-ordinary-length",
        state="probing",
        wait_s=3599.9,
        threshold_ms=None,
        best_estimate_ms=1234.5,
        probes=12,
        rejections=10,
    )
    report = QueueReport.of({"lab": (row,), "[red]": (row,)}, matches=1000, connections=2000)
    out = io.StringIO()
    Console(file=out, width=80).print(queue.report_view(report))
    shown = out.getvalue()
    wanted = ("lab (1)", "[red] (1)", "probing", "3599.9", "1234", "-", "2 probing", "1000 matches")
    assert [text for text in wanted if text not in shown] == []
    assert max(map(len, shown.splitlines())) <= 80
