"""The service below a path of a web server, with and without TLS: signalling and uploads both."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from gym_p2p.config import ServiceConfig
from gym_p2p.exports.upload import Upload, UploadOutcome, upload
from gym_p2p.net.client.signaling import SignalingClient
from gym_p2p.server import serve_in_thread
from tests.certificates import write_certificate
from tests.requirements import require
from tests.server.clients import folder_of
from tests.server.proxy import nginx
from tests.waiting import PATIENCE_S, until

SEATS = ["first", "second"]

PLAYER = """
import sys, gymnasium, gym_p2p.envs
from gym_p2p import P2PEnv

seat, url, exports = sys.argv[1:]
env = P2PEnv(
    gymnasium.make("gym_p2p/Rally-v0"),
    seat=seat,
    server_url=url,
    room="lab",
    exports=exports,
    sync="lockstep",
)
env.reset(seed=1)
for _ in range(90):
    env.step(env.action_space.sample())
env.close()
"""


@attrs.frozen
class Front:
    plain: str
    tls: str
    certificate: Path
    data: Path


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    require("nginx", "apt-get install nginx-light")
    folder = tmp_path_factory.mktemp("nginx")
    certificate = write_certificate(folder / "own.pem")
    with (
        serve_in_thread(ServiceConfig(port=0, data_dir=str(folder / "data"))) as service,
        nginx(service.url, folder, certificate) as (plain, tls),
    ):
        yield Front(plain, tls, certificate, folder / "data")


@pytest.mark.parametrize("path", ["/lab", "/lab/", "/left/as/it/is"])
def test_players_meet_and_leave_their_documents_below_a_path(front: Front, path: str) -> None:
    url = front.plain + path

    async def meet() -> tuple[str, str]:
        ann, bob = SignalingClient(), SignalingClient()
        try:
            async with asyncio.timeout(30):
                for name, client in (("ann", ann), ("bob", bob)):
                    await client.connect(url, name, timeout_s=PATIENCE_S)
                    await client.join_room("r", SEATS)
                found = await ann.wait_for_match(PATIENCE_S)
                return found.match_id, found.token.reveal()
        finally:
            await ann.close()
            await bob.close()

    match_id, token = asyncio.run(meet())
    target = Upload.of_document(
        server_url=url, match_id=match_id, player_id="first", kind="multiplayer", token=token
    )
    document = json.dumps({"gameId": match_id, "playerId": "first"}).encode()
    reply = upload(target, [document], deadline_s=10)
    assert reply.outcome is UploadOutcome.STORED, reply
    stored = folder_of(front.data, match_id) / "first.multiplayer.json"
    assert stored.read_bytes() == document


def test_health_is_seen_below_a_path_and_the_counts_are_not(front: Front) -> None:
    for path in ("/lab", "/left/as/it/is"):
        with urllib.request.urlopen(f"{front.plain}{path}/healthz", timeout=PATIENCE_S) as answer:  # noqa: S310  # ours
            assert json.load(answer)["ok"] is True
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{front.plain}/left/as/it/is/metrics", timeout=PATIENCE_S)  # noqa: S310  # ours


def test_a_whole_match_is_played_and_compared_through_tls_below_a_path(front: Front, tmp_path: Path) -> None:
    environment = {**os.environ, "SSL_CERT_FILE": str(front.certificate)}
    players = [
        subprocess.Popen(
            [sys.executable, "-c", PLAYER, seat, f"{front.tls}/lab", str(tmp_path / seat)],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for seat in ("left", "right")
    ]
    problems = [player.communicate(timeout=60)[1] for player in players]
    assert [player.returncode for player in players] == [0, 0], problems
    until(lambda: any(front.data.glob("*/aggregate.json")))
    (aggregate,) = front.data.glob("*/aggregate.json")
    assert json.loads(aggregate.read_bytes())["summary"]["fullySynced"] is True
