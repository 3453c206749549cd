from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gym_p2p.cli import main
from gym_p2p.core.api.matches import QueueTicket
from gym_p2p.errors import NoMatch
from gym_p2p.net.client.signaling import SignalingClient
from tests.waiting import PATIENCE_S

ROOT = Path(__file__).parents[2]
PLUG_INS = """
import pathlib
from gym_p2p import FIFOMatchmaker

class Mine(FIFOMatchmaker):
    pass

async def refuse(match):
    pathlib.Path("asked.txt").write_text(",".join(sorted(c.subject_id for c in match.candidates)))
    return "reject"

nothing = None
"""


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A working directory with plug-ins in it."""
    (tmp_path / "my_lab.py").write_text(PLUG_INS)
    return tmp_path


@contextlib.contextmanager
def serving(lab: Path, *options: str) -> Iterator[str]:
    """A ``gym-p2p serve`` in a process of its own; yields its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "gym_p2p", "serve", "--port", "0", "--data-dir", "data", *options],
        stdout=subprocess.PIPE,
        text=True,
        cwd=lab,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        assert process.stdout is not None
        readable, _, _ = select.select([process.stdout], [], [], PATIENCE_S)
        assert readable
        yield process.stdout.readline().split()[-1]
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE_S)


async def wait_in_queue(client: SignalingClient) -> str:
    """Wait for a match; return it, or why there is none."""
    try:
        await client.join_queue(QueueTicket(queue="lab", seats=("a", "b")))
        return (await client.wait_for_match(PATIENCE_S)).match_id
    except NoMatch as error:
        return error.reason
    finally:
        await client.close()


def two_in_queue(url: str) -> tuple[str, str]:
    async def work() -> tuple[str, str]:
        clients = {"ann": SignalingClient(), "bob": SignalingClient()}
        for subject, client in clients.items():  # first, so that they wait at the same time
            await client.connect(url, subject, timeout_s=PATIENCE_S)
        one, other = await asyncio.gather(*map(wait_in_queue, clients.values()))
        return one, other

    return asyncio.run(work())


def test_a_matchmaker_and_a_hook_of_ones_own_decide(lab: Path) -> None:
    options = ("--matchmaker", "my_lab:Mine", "--pre-match", "my_lab:refuse", "--give-up-after", "4")
    with serving(lab, *options) as url:
        assert two_in_queue(url) == ("refused", "refused")
    assert (lab / "asked.txt").read_text() == "ann,bob"
    records = [json.loads(line) for line in (lab / "data" / "decisions.jsonl").read_text().splitlines()]
    assert records, "no decision was logged"


def test_without_a_hook_the_known_matchmakers_match_and_the_log_can_be_left_out(lab: Path) -> None:
    with serving(lab, "--matchmaker", "fifo", "--no-decision-log", "--give-up-after", "never") as url:
        one, other = two_in_queue(url)
    assert one == other
    assert one.startswith("match-")
    assert not (lab / "data" / "decisions.jsonl").exists()


def test_the_matchmakers_options_count(lab: Path) -> None:
    # Nobody here answers a probe; only with a threshold is there one.
    limit = ("--set", "max_p2p_rtt_ms=50")
    with serving(lab, "--matchmaker", "fifo", *limit, "--give-up-after", "1") as url:
        assert all(not outcome.startswith("match-") for outcome in two_in_queue(url))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--matchmaker", "chess"), "known are fifo"),
        (("--matchmaker", "my_lab:Nobody"), "no attribute"),
        (("--matchmaker", "my_lab:refuse"), "my_lab:refuse"),
        (("--set", "speed=1"), "speed"),
        (("--set", "slack"), "KEY=VALUE"),
        (("--pre-match", "refuse"), "module:function"),
        (("--pre-match", "my_lab:nothing"), "cannot be called"),
        (("--pre-match", "no_such_module:f"), "No module"),
        (("--give-up-after", "0"), "--give-up-after: wanted"),
    ],
)
def test_a_wrong_option_is_one_clear_line(
    options: tuple[str, str],
    said: str,
    lab: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(lab)
    monkeypatch.syspath_prepend(str(lab))
    assert main(["serve", *options]) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("gym-p2p serve: ")
    assert errors.count("\n") == 1
    assert said in errors


def test_a_limit_that_is_no_number_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["serve", "--give-up-after", "soon"])
    assert "or 'never', got 'soon'" in capsys.readouterr().err
