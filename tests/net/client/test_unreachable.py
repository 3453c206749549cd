"""Why no line to the service came about is told by its cause, whatever the libraries call it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gym_p2p.config import ServiceConfig
from gym_p2p.errors import ConfigurationError, ServiceRefused, ServiceUnreachable
from gym_p2p.exports.unreachable import why_unreachable
from gym_p2p.exports.upload import Upload, UploadOutcome, upload
from gym_p2p.net.client.operator import QueueView
from gym_p2p.net.client.signaling import SignalingClient
from gym_p2p.server import Service, serve_in_thread
from tests.certificates import write_certificate
from tests.waiting import PATIENCE_S


def http(status: str) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()


NOT_FOUND = http("404 Not Found")


@contextlib.asynccontextmanager
async def answering(
    answer: bytes, certificate: Path | None = None, *, answers: float = math.inf
) -> AsyncIterator[str]:
    """Answer so many that come to a port of this machine; yield what follows the scheme of its URL."""
    comes = itertools.count()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if next(comes) >= answers:
            await reader.read()
        with contextlib.suppress(OSError):
            await reader.read(4096)
            writer.write(answer)
            await writer.drain()
        writer.transport.abort() if not answer else writer.close()

    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield f"://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def failure(url: str, timeout_s: float = 5) -> str:
    client = SignalingClient()
    with pytest.raises(ServiceUnreachable) as caught:
        await client.connect(url, "ann", timeout_s=timeout_s)
    await client.close()
    return str(caught.value)


def told(
    scheme: str, answer: bytes = NOT_FOUND, certificate: Path | None = None, timeout_s: float = PATIENCE_S
) -> str:
    async def main() -> str:
        async with asyncio.timeout(2 * PATIENCE_S), answering(answer, certificate) as rest:
            return await failure(scheme + rest, timeout_s)

    return asyncio.run(main())


def test_a_certificate_that_is_not_trusted_is_told_as_that(tmp_path: Path) -> None:
    words = told("https", certificate=write_certificate(tmp_path / "own.pem"))
    assert "certificate is not trusted" in words
    assert "SSL_CERT_FILE" in words
    assert "not permitted" not in words


@pytest.mark.parametrize(
    ("hosts", "days", "problem"),
    [(("127.0.0.1",), -1, "has expired"), (("lab.example",), 1, "not for this address")],
)
def test_what_is_wrong_with_a_trusted_certificate_is_named(
    tmp_path: Path, hosts: tuple[str, ...], days: int, problem: str
) -> None:
    certificate = write_certificate(tmp_path / "own.pem", hosts=hosts, days=days)

    async def main() -> str:
        context = ssl.create_default_context(cafile=str(certificate))
        async with asyncio.timeout(2 * PATIENCE_S), answering(NOT_FOUND, certificate) as rest:
            host, port = rest.removeprefix("://").split(":")
            with pytest.raises(ssl.SSLCertVerificationError) as caught:
                await asyncio.open_connection(host, int(port), ssl=context)
        return why_unreachable(caught.value)

    assert problem in asyncio.run(main())


def test_https_where_nobody_speaks_tls_is_told_as_that() -> None:
    assert "does not speak TLS: try http://" in told("https")
    assert "does not speak TLS" in told("https", b"SSH-2.0-OpenSSH_9.2\r\n")


def test_http_where_tls_is_spoken_is_told_as_that(tmp_path: Path) -> None:
    assert "speaks TLS: try https://" in told("http", certificate=write_certificate(tmp_path / "own.pem"))


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("404 Not Found", "nothing is served at this path"),
        ("502 Bad Gateway", "a proxy answers there, and the service behind it does not"),
        ("403 Forbidden", "wants a permission of its own"),
        ("200 OK", "no gym_p2p service"),
        ("400 Bad Request", "passes no WebSocket on"),
    ],
)
def test_what_a_web_server_answers_is_told_by_what_it_means(status: str, words: str) -> None:
    assert words in told("http", http(status))


def test_what_is_no_web_server_is_no_service() -> None:
    assert "no gym_p2p service" in told("http", b"SSH-2.0-OpenSSH_9.2\r\n")


def test_name_servers_that_do_not_answer_are_not_an_unknown_name() -> None:
    assert "no name server answers" in why_unreachable(socket.gaierror(socket.EAI_AGAIN, "again"))
    assert "unknown" in why_unreachable(socket.gaierror(socket.EAI_NONAME, "none"))


def test_an_upload_tells_the_same_causes_in_the_same_words(tmp_path: Path) -> None:
    async def upload_to(url: str) -> str:
        target = Upload(url, "/v1", "token")
        reply = await asyncio.to_thread(upload, target, [b"{}"], deadline_s=PATIENCE_S, give_up=lambda: True)
        assert reply.outcome is UploadOutcome.UNREACHABLE
        return reply.detail

    async def main() -> tuple[str, str]:
        certificate = write_certificate(tmp_path / "own.pem")
        async with (
            asyncio.timeout(2 * PATIENCE_S),
            answering(NOT_FOUND, certificate) as tls,
            answering(NOT_FOUND) as plain,
        ):
            return await upload_to(f"https{tls}"), await upload_to(f"https{plain}")

    untrusted, no_tls = asyncio.run(main())
    assert "certificate is not trusted" in untrusted
    assert "does not speak TLS" in no_tls


def test_the_operators_view_tells_them_too(tmp_path: Path) -> None:
    async def main() -> None:
        certificate = write_certificate(tmp_path / "own.pem")
        async with (
            asyncio.timeout(2 * PATIENCE_S),
            answering(NOT_FOUND, certificate) as rest,
            QueueView("https" + rest) as view,
        ):
            with pytest.raises(ServiceUnreachable, match="certificate is not trusted"):
                await view.fetch("token")

    asyncio.run(main())


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    config = ServiceConfig(port=0, data_dir=str(tmp_path), connects_per_s=2.0, connect_burst=1)
    with serve_in_thread(config) as running:
        yield running


def test_whoever_comes_while_too_many_others_do_is_let_in_a_little_later(service: Service) -> None:
    async def main() -> None:
        clients = [SignalingClient() for _ in range(3)]
        async with asyncio.timeout(2 * PATIENCE_S):
            await asyncio.gather(
                *(
                    client.connect(service.url, f"s{n}", timeout_s=PATIENCE_S)
                    for n, client in enumerate(clients)
                )
            )
        await asyncio.gather(*(client.close() for client in clients))

    asyncio.run(main())


def test_whoever_is_let_in_later_and_refused_then_is_told_why(tmp_path: Path) -> None:
    async def refusal(url: str, name: str) -> str:
        client = SignalingClient()
        with pytest.raises(ServiceRefused) as caught:
            await client.connect(url, name, timeout_s=PATIENCE_S)
        await client.close()
        return caught.value.code

    async def main(url: str) -> list[str]:
        async with asyncio.timeout(2 * PATIENCE_S):
            return await asyncio.gather(*(refusal(url, f"s{n}") for n in range(3)))

    config = ServiceConfig(
        port=0, data_dir=str(tmp_path), connects_per_s=2.0, connect_burst=1, join_secret="s" * 32
    )
    with serve_in_thread(config) as service:
        assert asyncio.run(main(service.url)) == ["unauthenticated"] * 3


@pytest.mark.parametrize("answers", [math.inf, 1, 3], ids=["always", "once", "three times"])
def test_a_service_that_stays_busy_is_told_as_that_also_where_the_last_attempt_is_cut_off(
    answers: float,
) -> None:
    async def main() -> str:
        async with asyncio.timeout(2 * PATIENCE_S), answering(http("429 Slow"), answers=answers) as rest:
            return await failure(f"http{rest}", timeout_s=3.0)

    assert "takes no more connections for the moment" in asyncio.run(main())


@pytest.mark.parametrize("url", ["http://h/?x=1", "http://h/#x", "http://ann:word@h/"])
def test_an_address_with_what_a_services_address_cannot_have_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="server_url"):
        asyncio.run(SignalingClient().connect(url, "ann", timeout_s=1))
