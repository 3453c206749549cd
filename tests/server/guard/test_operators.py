from __future__ import annotations

import http.client
import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from gym_p2p.core.api.payloads import decode
from gym_p2p.core.matchmaking.report import QueueReport
from gym_p2p.errors import UsageError
from gym_p2p.server import Service
from gym_p2p.server.guard.tokens import OperatorClaims, TokenSigner, UploadClaims, read_secret
from tests.server.raw import RawClient
from tests.waiting import PATIENCE_S

SECRET = bytes(range(32))
LOOKING = OperatorClaims(expires_at=100.0)


def ask(service: Service, *, token: str | None = None, method: str = "GET") -> tuple[int, Any]:
    """Ask for the queues; return the status and the answer."""
    place = urlsplit(service.url)
    assert place.hostname is not None
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=PATIENCE_S)
    try:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        connection.request(method, "/v1/queues", headers=headers)
        response = connection.getresponse()
        body = response.read()
        return response.status, json.loads(body) if response.status != 405 else None
    finally:
        connection.close()


def operator(data_dir: Path, *, lasts_s: float = 60.0) -> str:
    return TokenSigner(read_secret(data_dir), OperatorClaims).issue(
        OperatorClaims(expires_at=time.time() + lasts_s)
    )


def test_a_token_is_good_until_it_expires() -> None:
    tokens = TokenSigner(SECRET, OperatorClaims)
    token = tokens.issue(LOOKING)
    assert tokens.verify(token, now=99.9)
    assert not tokens.verify(token, now=100.0)


def test_a_token_of_another_service_or_a_changed_one_is_not_good() -> None:
    tokens = TokenSigner(SECRET, OperatorClaims)
    token = tokens.issue(LOOKING)
    foreign = TokenSigner(SECRET[::-1], OperatorClaims).issue(LOOKING)
    body, _, signature = token.partition(".")
    wrong = [foreign, "", ".", body, f"{body}.", f"{body}A.{signature}", "naïve.token", "x" * 100_000]
    assert [shown for shown in wrong if tokens.verify(shown, now=0.0)] == []


def test_tokens_of_players_and_operators_do_not_open_each_others_doors() -> None:
    claims = UploadClaims(match_id="m", player_id="a", player_ids=("a", "b"), expires_at=100.0)
    uploads, operators = TokenSigner(SECRET, UploadClaims), TokenSigner(SECRET, OperatorClaims)
    assert operators.verify(uploads.issue(claims), now=0.0) is None
    assert uploads.verify(operators.issue(LOOKING), now=0.0) is None


def test_an_operator_sees_who_waits(service: Service, data_dir: Path) -> None:
    with RawClient(service.url, subject="ann") as ann:
        assert ann.call("join_queue", {"queue": "lab", "seats": ["a", "b"], "take": "a"})["ok"]
        status, answer = ask(service, token=operator(data_dir))
    assert (status, answer["ok"]) == (200, True)
    report = decode(QueueReport, answer)
    (row,) = report.queues["lab"]
    assert (row.subject_id, row.state, row.probes, row.rejections) == ("ann", "waiting", 0, 0)
    assert row.threshold_ms is not None
    assert 0 <= row.wait_s == report.totals.longest_wait_s < 10
    assert report.totals.connections == 1
    assert answer["totals"]["tickets"] == 1


@pytest.mark.parametrize(
    ("token", "status"), [(None, 401), ("", 401), ("nonsense", 403), ("a.b", 403), ("\xe9.b", 403)]
)
def test_nobody_else_sees_anything(service: Service, token: str | None, status: int) -> None:
    got, answer = ask(service, token=token)
    assert got == status
    assert answer["error"]["code"] == "unauthenticated"
    assert set(answer) == {"ok", "error"}


def test_an_expired_token_shows_nothing(service: Service, data_dir: Path) -> None:
    assert ask(service, token=operator(data_dir, lasts_s=-1.0))[0] == 403


def test_the_queues_can_only_be_read(service: Service, data_dir: Path) -> None:
    assert ask(service, token=operator(data_dir), method="POST")[0] == 405


def test_a_service_that_does_not_run_has_no_queues() -> None:
    with pytest.raises(UsageError, match="start"):
        Service().queue_report()


def test_looking_for_a_secret_makes_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_secret(tmp_path)
    assert list(tmp_path.iterdir()) == []
