from __future__ import annotations

import contextlib
import json
import random
import socket
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator

import pytest

from gym_p2p.exports import upload as uploads
from gym_p2p.exports.upload import PART_BYTES, Reply, UploadOutcome, _Sending, upload
from tests.exports.service import TOKEN, Service, away, target
from tests.waiting import PATIENCE_S


def test_an_upload_carries_the_token_and_the_gzipped_document_to_its_address() -> None:
    with Service.running() as service:
        reply = upload(target(service.url + "/", "a/b é"), [b'{"a":', b"1}"], deadline_s=5)
        assert reply.outcome is UploadOutcome.STORED
        ((path, headers, document),) = service.received
    assert document == {"a": 1}
    assert headers["Authorization"] == f"Bearer {TOKEN}"
    assert headers["Content-Encoding"] == "gzip"
    prefix, player, kind = path.rsplit("/", 2)
    assert (prefix, kind) == ("/v1/matches/m/players", "multiplayer")
    assert json.loads(urllib.parse.unquote(player)) == "a/b é"


def test_the_player_one_and_the_player_named_1_have_two_addresses() -> None:
    assert target("http://x", 1).path.endswith("/players/1/multiplayer")
    assert target("http://x", "1").path.endswith("/players/%221%22/multiplayer")


def test_the_token_is_not_in_the_representation() -> None:
    assert TOKEN not in repr(target("http://x"))


def test_a_failing_service_is_tried_again_until_it_has_stored() -> None:
    with Service.running(500, 503, 404, 429) as service:
        assert upload(target(service.url), [b"{}"], deadline_s=20).outcome is UploadOutcome.STORED
        assert (service.requests, len(service.received)) == (5, 1)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(401, UploadOutcome.UNAUTHENTICATED), (413, UploadOutcome.DEFERRED), (507, UploadOutcome.DEFERRED)],
)
def test_a_refusal_that_can_change_is_not_final_and_not_repeated_at_once(
    status: int, outcome: UploadOutcome
) -> None:
    with Service.running(status) as service:
        reply = upload(target(service.url), [b"{}"], deadline_s=20)
        assert reply.outcome is outcome
        assert str(status) in reply.detail
        assert service.requests == 1


@pytest.mark.parametrize("status", [400, 403, 414])
def test_a_proxys_refusal_is_not_taken_for_the_services_own(status: int) -> None:
    with Service.running(status, refusal=b"<html>no</html>") as service:
        reply = upload(target(service.url), [b"{}"], deadline_s=20)
        assert reply.outcome is UploadOutcome.DEFERRED
        assert str(status) in reply.detail


@pytest.mark.parametrize(("status", "words"), [(413, "too large for a proxy"), (507, "disk of a proxy")])
def test_what_a_proxy_does_not_take_is_told_by_what_it_means(status: int, words: str) -> None:
    with Service.running(status, refusal=b"<html>no</html>") as service:
        assert words in upload(target(service.url), [b"{}"], deadline_s=20).detail


def test_a_refusal_is_told_in_the_services_words() -> None:
    why = b'{"ok":false,"error":{"code":"too_large","message":"a document has at most 9 bytes"}}'
    with Service.running(413, refusal=why) as service:
        assert "at most 9 bytes" in upload(target(service.url), [b"{}"], deadline_s=5).detail


@pytest.mark.parametrize("status", [400, 403, 415, 422])
def test_a_refusal_is_not_repeated(status: int) -> None:
    with Service.running(status) as service:
        reply = upload(target(service.url), [b"{}"], deadline_s=20)
        assert reply.outcome is UploadOutcome.REFUSED
        assert str(status) in reply.detail
        assert service.requests == 1


@pytest.mark.parametrize("answer", [b"", b"<html>", b"[]", b'{"ok":true}', b'{"ok":true,"stored":false}'])
def test_an_answer_that_does_not_say_stored_is_no_acknowledgement(answer: bytes) -> None:
    with Service.running(answer=answer) as service:
        reply = upload(target(service.url), [b"{}"], deadline_s=PATIENCE_S, give_up=lambda: True)
        assert reply.outcome is UploadOutcome.UNREACHABLE
        assert service.requests == 1


def test_a_service_that_is_away_costs_no_more_than_the_deadline() -> None:
    url = away()
    began = time.monotonic()
    assert upload(target(url), [b"{}"], deadline_s=0.5).outcome is UploadOutcome.UNREACHABLE
    assert time.monotonic() - began < PATIENCE_S


@pytest.mark.parametrize("url", ["file:///etc/passwd", "nonsense", "ftp://127.0.0.1"])
def test_an_address_that_is_not_http_is_refused(url: str) -> None:
    assert upload(target(url), [b"{}"], deadline_s=5).outcome is UploadOutcome.REFUSED


def test_a_redirection_within_the_host_is_followed_with_the_document_and_the_token() -> None:
    with Service.running() as service, Service.running(308, location=f"{service.url}/lab/x") as front:
        assert upload(target(front.url), [b"{}"], deadline_s=5).outcome is UploadOutcome.STORED
        ((path, headers, _),) = service.received
        assert (path, headers["Authorization"]) == ("/lab/x", f"Bearer {TOKEN}")


def test_a_redirection_to_another_host_does_not_learn_the_token() -> None:
    with Service.running() as service:
        elsewhere = service.url.replace("127.0.0.1", "localhost")
        with Service.running(308, location=elsewhere) as front:
            reply = upload(target(front.url), [b"{}"], deadline_s=PATIENCE_S, give_up=lambda: True)
            assert reply.outcome is UploadOutcome.UNREACHABLE
        assert service.requests == 0


def test_a_long_document_goes_whole_to_a_service_that_takes_no_parts() -> None:
    long = [json.dumps({"playerId": 0, "noise": random.Random(5).randbytes(PART_BYTES).hex()}).encode()]
    with Service.running() as service:
        assert upload(target(service.url), long, deadline_s=10).outcome is UploadOutcome.STORED
        assert service.received[0][2]["playerId"] == 0


def test_parts_go_on_where_the_service_says_and_never_in_a_circle() -> None:
    sending = _Sending.of([random.Random(5).randbytes(PART_BYTES).hex().encode() * 3])
    first, second = sending.packed[:PART_BYTES], sending.packed[PART_BYTES : 2 * PART_BYTES]
    assert (sending.asks, sending.piece, sending.headers["Upload-Offset"]) == (True, b"", "0")
    assert _told(sending, 0)
    assert sending.piece == first
    assert _told(sending, PART_BYTES)
    assert sending.piece == second
    assert not _told(sending, PART_BYTES)  # it did not arrive: wait before it is sent again
    assert not _told(sending, 0)  # what arrived was damaged
    assert sending.piece == first
    assert not sending.goes_on(Reply(UploadOutcome.STORED, received=len(sending.packed)))


def _told(sending: _Sending, received: int) -> bool:
    return sending.goes_on(Reply(UploadOutcome.UNREACHABLE, received=received))


def test_a_last_attempt_that_is_cut_short_does_not_replace_what_the_service_said_before() -> None:
    with answering_once(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n") as (url, came):
        reply = upload(target(url), [b"{}"], deadline_s=0.6)
    assert came() > 1
    assert reply.outcome is UploadOutcome.UNREACHABLE
    assert reply.detail == "it is not available for the moment; try again (HTTP 503)"


def test_without_a_word_before_an_attempt_without_an_answer_is_told_as_that() -> None:
    with answering_once(None) as (url, _):
        reply = upload(target(url), [b"{}"], deadline_s=0.3)
    assert (reply.outcome, reply.detail) == (UploadOutcome.UNREACHABLE, "no answer in time")


def test_an_attempt_that_had_its_full_time_is_told_though_another_was_answered_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(uploads, "_ATTEMPT_TIMEOUT_S", 0.2)
    with answering_once(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n") as (url, came):
        reply = upload(target(url), [b"{}"], deadline_s=2.0, give_up=lambda: came() > 1)
    assert reply.detail == "no answer in time"


@contextlib.contextmanager
def answering_once(answer: bytes | None) -> Iterator[tuple[str, Callable[[], int]]]:
    """Answer the first request so, and let all others wait; yield the URL, and how many came."""
    held: list[socket.socket] = []

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                held.append(listening.accept()[0])
                if answer is not None and len(held) == 1:
                    held[0].recv(65536)
                    held[0].sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}", lambda: len(held)
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join(PATIENCE_S)
            for one in held:
                one.close()
