"""What the tests of the service do again and again, with raw frames."""

from __future__ import annotations

import itertools
import json
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, Self

import attrs
from prometheus_client.parser import text_string_to_metric_families

from gym_p2p.core.record.folders import short_id
from gym_p2p.server import Service
from tests.server.raw import OFFER, RawClient, before_its_end
from tests.waiting import PATIENCE_S, until

_numbers = itertools.count()


def health(service: Service) -> dict[str, Any]:
    with urllib.request.urlopen(f"{service.url}/healthz", timeout=PATIENCE_S) as answer:  # noqa: S310  # ours
        body: dict[str, Any] = json.load(answer)
    return body


def settle(service: Service, **wanted: int) -> None:
    """Wait until the service's health shows these numbers."""
    until(lambda: wanted.items() <= health(service).items())


def metrics(service: Service) -> dict[tuple[str, str], float]:
    """Every sample, by its name and the value of its label, if it has one."""
    with urllib.request.urlopen(f"{service.url}/metrics", timeout=PATIENCE_S) as answer:  # noqa: S310  # ours
        text = answer.read().decode()
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


class Pair:
    """Two raw clients in a probe, and a third one who is in none."""

    def __init__(self, service: Service, *, start: bool = True) -> None:
        number = next(_numbers)
        self.names = [f"{name}{number}" for name in ("ann", "bob", "eve")]
        self.ann, self.bob, self.eve = (RawClient(service.url, subject=name) for name in self.names)
        assert self.bob.call("probe_wait", {"waiting": True}) == {"ok": True}
        answer = self.ann.call("probe_request", {"target_subject_id": self.names[1]})
        assert answer["ok"], answer
        self.probe_id: str = answer["probe_session_id"]
        self.prepared = [client.event("probe_prepare") for client in (self.ann, self.bob)]
        if start:
            for client in (self.ann, self.bob):
                answer = before_its_end(client.call("probe_ready", {"probe_session_id": self.probe_id}))
                assert answer == {"ok": True}
            for client in (self.ann, self.bob):
                assert client.event("probe_start") == {"probe_session_id": self.probe_id}

    def signal(self, **changes: Any) -> dict[str, Any]:
        return {
            "probe_session_id": self.probe_id,
            "target_subject_id": self.names[1],
            "type": "offer",
            "payload": OFFER,
            **changes,
        }

    def result(self, rtt_ms: object, *, success: object = True, **more: Any) -> dict[str, Any]:
        return {"probe_session_id": self.probe_id, "rtt_ms": rtt_ms, "success": success, **more}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        for client in (self.ann, self.bob, self.eve):
            client.close()


def code(answer: Any) -> str:
    assert answer["ok"] is False, answer
    assert answer["error"]["message"]
    return str(answer["error"]["code"])


@attrs.frozen
class Match:
    url: str
    match_id: str
    tokens: dict[str, str]

    def put(
        self,
        body: bytes,
        *,
        player: str = "first",
        kind: str = "multiplayer",
        token: str | None = None,
        encoding: str | None = None,
        match_id: str | None = None,
    ) -> tuple[int, dict[str, Any]]:
        place = "/".join(urllib.parse.quote(p, safe="") for p in (player, kind))
        url = f"{self.url}/v1/matches/{match_id or self.match_id}/players/{place}"
        headers = {"Authorization": f"Bearer {self.tokens['first'] if token is None else token}"}
        if encoding is not None:
            headers["Content-Encoding"] = encoding
        request = urllib.request.Request(url, body, headers, method="PUT")  # noqa: S310  # ours
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:  # noqa: S310  # our own service
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def document(self, player: str = "first", **changes: Any) -> bytes:
        validation = {
            "allHashes": [{"episode": 1, "frame": 0, "hash": "x"}],
            "allActions": [{"episode": 1, "frame": 0, "playerId": "first", "action": 1}],
            "allDesyncEvents": [],
            "allRollbacks": [],
        }
        body = {"gameId": self.match_id, "playerId": player, "validation": validation, **changes}
        return json.dumps(body).encode()


def stored(data_dir: Path, match: Match) -> list[str]:
    folders = data_dir.glob(f"*-{short_id(match.match_id)}")
    return sorted(path.name for folder in folders for path in folder.iterdir())


def folder_of(data_dir: Path, match_id: str) -> Path:
    (folder,) = data_dir.glob(f"*-{short_id(match_id)}")
    return folder
