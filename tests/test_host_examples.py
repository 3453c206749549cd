"""The programs of ``examples/hosts`` as their users run them: two are matched, and leave documents."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from gym_p2p import ProbeManager
from gym_p2p.core.api.matches import QueueTicket
from gym_p2p.core.api.rooms import MatchFound
from gym_p2p.exports.upload import Upload, UploadOutcome, upload
from gym_p2p.net.client.signaling import SignalingClient
from tests.requirements import require
from tests.waiting import PATIENCE_S, lasting_port, until

HOSTS = Path(__file__).parent.parent / "examples" / "hosts"
PROGRAMS = {
    "with_fastapi": ["-m", "uvicorn", "with_fastapi:app", "--log-level", "warning", "--port"],
    "with_aiohttp": [str(HOSTS / "with_aiohttp.py")],
    "with_flask_socketio": [str(HOSTS / "with_flask_socketio.py")],
}
NEEDS = {"with_fastapi": "fastapi", "with_aiohttp": "aiohttp", "with_flask_socketio": "flask_socketio"}


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=PATIENCE_S) as answer:  # noqa: S310 - our own
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


async def match_two(url: str) -> list[MatchFound]:
    clients = [SignalingClient(), SignalingClient()]
    managers: list[ProbeManager] = []
    try:
        for name, client in zip(("ann", "bob"), clients, strict=True):
            await client.connect(url, name, PATIENCE_S)
            managers.append(ProbeManager(client, name))
            await client.join_queue(QueueTicket(queue="lab", seats=("left", "right")))
        return [await client.wait_for_match(PATIENCE_S) for client in clients]
    finally:
        for manager in managers:
            await manager.close()
        for client in clients:
            await client.close()


def rows(database: Path) -> list[tuple[str, ...]]:
    if not database.exists():
        return []
    with sqlite3.connect(database) as db:
        try:
            return db.execute("SELECT match_id, player_id, kind FROM documents").fetchall()
        except sqlite3.OperationalError:
            return []


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_host_matches_two_players_and_has_their_documents_in_its_database(
    tmp_path: Path, name: str
) -> None:
    require(NEEDS[name], "pip install -e '.[test]'")
    port = lasting_port()
    command = [sys.executable, *PROGRAMS[name], str(port)]
    path = os.pathsep.join([str(HOSTS), os.environ.get("PYTHONPATH", "")])
    with subprocess.Popen(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}) as host:
        try:
            url = f"http://127.0.0.1:{port}"
            until(lambda: host.poll() is not None or answers(url))
            assert host.poll() is None
            for found in asyncio.run(match_two(url)):
                assert found.uploads
                assert found.probe is not None
                target = Upload.of_document(
                    server_url=url,
                    match_id=found.match_id,
                    player_id=found.player_id,
                    kind="session",
                    token=found.token,
                )
                body = f'{{"gameId":"{found.match_id}","playerId":"{found.player_id}"}}'.encode()
                assert upload(target, [body], deadline_s=PATIENCE_S).outcome is UploadOutcome.STORED
            until(lambda: len(rows(tmp_path / "documents.db")) == 2)
        finally:
            host.terminate()
            host.wait(PATIENCE_S)
    assert {player for _, player, _ in rows(tmp_path / "documents.db")} == {"left", "right"}


@pytest.mark.parametrize("program", sorted(HOSTS.glob("*.py")), ids=lambda path: path.stem)
def test_it_takes_less_than_thirty_lines(program: Path) -> None:
    lines = [line for line in program.read_text(encoding="utf-8").splitlines() if line.strip()]
    assert len(lines) < 30
