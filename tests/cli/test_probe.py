from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gym_p2p.cli import probe
from gym_p2p.cli.commands import make_parser
from gym_p2p.config import ServiceConfig
from gym_p2p.core.api.probes import ProbePath, ProbeVerdict
from gym_p2p.core.probing.statistics import PingStatistics
from gym_p2p.errors import ConfigurationError, ServiceUnreachable, UsageError
from gym_p2p.net.links.emulation import EARLY_S
from gym_p2p.net.probing.manager import ProbeResult
from gym_p2p.server import Service, serve_in_thread
from tests.waiting import PATIENCE_S, lasting_port, until

WAIT = "import sys, argparse; from tests.cli.test_probe import command; sys.exit(command(*sys.argv[1:]))"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serve_in_thread(ServiceConfig(port=0, data_dir=str(tmp_path_factory.mktemp("data")))) as running:
        yield running


def command(*arguments: str) -> int:
    """Run ``gym-p2p probe`` in this process."""
    parsed = make_parser(["probe"]).parse_args(["probe", *arguments])
    code: int = parsed.run(parsed)
    return code


def test_one_terminal_waits_and_the_other_probes_it(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    waiting = subprocess.Popen(
        [
            sys.executable,
            "-c",
            WAIT,
            "--wait",
            "--as",
            "ann",
            "--server",
            service.url,
            "--count",
            "1",
            "--json",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    try:
        assert waiting.stderr is not None
        assert "gym-p2p probe ann" in waiting.stderr.readline()
        assert command("ann", "--as", "bob", "--server", service.url, "--json", "--one-way-ms", "20") == 0
        theirs, _ = waiting.communicate(timeout=PATIENCE_S)
    finally:
        waiting.kill()
        waiting.wait()
    ours = json.loads(capsys.readouterr().out)
    told = json.loads(theirs)
    assert waiting.returncode == 0
    assert (ours["peer"], told["peer"]) == ("ann", "bob")
    assert ours["rtt_ms"] == told["rtt_ms"] == max(ours["median_ms"], told["median_ms"])
    assert 20 - EARLY_S * 1e3 < ours["min_ms"] <= ours["median_ms"] <= ours["p95_ms"]
    assert (ours["pings"], len(ours["samples_ms"]) + ours["lost"]) == (20, 20)
    assert ours["path"]["local"] in {"host", "prflx"}
    assert (ours["reason"], ours["failure"]) == ("measured", None)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_who_waits_with_one_word(service: Service, number: signal.Signals) -> None:
    command = [
        sys.executable,
        "-m",
        "gym_p2p",
        "probe",
        "--wait",
        "--as",
        number.name,
        "--server",
        service.url,
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as waiting:
        assert waiting.stderr is not None
        assert f"waiting as {number.name}" in waiting.stderr.readline()
        waiting.send_signal(number)
        assert waiting.stderr.read() == "interrupted\n"
        assert waiting.wait(PATIENCE_S) == 130


def test_nobody_of_that_name_is_a_clear_error(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("nobody", "--server", service.url) == probe.EXIT_NOT_MEASURED
    said = capsys.readouterr().err
    assert "nobody called 'nobody' waits" in said
    assert f"gym-p2p probe --wait --as nobody --server {service.url}" in said


def test_no_service_is_a_clear_error() -> None:
    with pytest.raises(ServiceUnreachable):
        command("ann", "--server", "http://127.0.0.1:9")


@pytest.mark.parametrize("arguments", [(), ("ann", "--wait")])
def test_either_a_peer_or_waiting_is_wanted(arguments: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="--wait"):
        command(*arguments)


def test_too_many_pings_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="pings"):
        command("ann", "--pings", "65")


def test_a_waiting_peer_is_found_again_after_the_service_restarts(tmp_path: Path) -> None:
    codes: list[int] = []
    config = ServiceConfig(port=lasting_port(), data_dir=str(tmp_path))
    with serve_in_thread(config) as first:
        url = first.url
        arguments = ("--wait", "--as", "ann", "--server", url, "--count", "2", "--json")
        waiting = threading.Thread(target=lambda: codes.append(command(*arguments)))
        waiting.start()
        until(lambda: found(url))
    with serve_in_thread(config):
        until(lambda: found(url))
        waiting.join(PATIENCE_S)
    assert codes == [0]


def found(url: str) -> bool:
    """Tell whether a probe of ``ann`` succeeds."""
    return command("ann", "--server", url, "--json") == 0


def test_the_histogram_counts_every_sample_once() -> None:
    lines = probe.histogram([10.0, 10.5, 11.0, 18.0])
    assert [int(line.split()[-1]) for line in lines] == [2, 1, 0, 0, 0, 0, 0, 1]
    assert lines[0].count("█") > lines[1].count("█") > lines[2].count("█") == 0
    assert probe.histogram([]) == []
    assert len(probe.histogram([5.0, 5.0])) == 1


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (
            ProbeResult(
                probe_session_id="p",
                peer_subject_id="ann",
                statistics=PingStatistics((20.0, 22.0, 21.0), count=4),
                path=ProbePath(local="srflx", remote="relay", protocol="udp"),
                verdict=ProbeVerdict(
                    probe_session_id="p", reason="measured", rtt_ms=25.0, marks=("one_sided",)
                ),
            ),
            ["25.0 ms", "21.0 ms", "25%", "1 of 4", "srflx to relay", "one_sided", "█"],
        ),
        (
            ProbeResult(probe_session_id="p", peer_subject_id="ann", failure="not_connected"),
            ["ann: not measured: not_connected"],
        ),
    ],
)
def test_what_is_shown_says_what_was_found(
    result: ProbeResult, expected: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    probe._show(result, as_json=False)
    shown = capsys.readouterr().out
    assert [text for text in expected if text not in shown] == []
    assert max(map(len, shown.splitlines())) <= 80
