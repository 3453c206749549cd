"""The service's plain HTTP as a handler of aiohttp's, which takes no ASGI applications."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from gym_p2p.server.asgi import asgi_app
from gym_p2p.server.web import Mounted, RefusalError

__all__ = ["aiohttp_handler"]


def aiohttp_handler(service: Mounted) -> Any:
    """Return what answers all that a service's web application does; see :func:`~gym_p2p.server.asgi_app`.

    To be added last: ``app.router.add_route("*", "/{path:.*}", aiohttp_handler(service))``.

    Args:
        service: what ``mount`` has returned.
    """
    app = asgi_app(service)

    async def handle(request: web.Request) -> web.Response:
        started: dict[str, Any] = {}
        body = bytearray()

        async def receive() -> dict[str, Any]:
            try:
                chunk = await request.content.readany()
            except ConnectionError:  # whoever brought it is gone; no disk has failed
                return {"type": "http.disconnect"}
            except web.RequestPayloadError:
                wrong = "the body is not as content-encoding or transfer-encoding says"
                raise RefusalError(400, "bad_request", wrong) from None
            return {"type": "http.request", "body": chunk, "more_body": not request.content.at_eof()}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                started.update(message)
            else:
                body.extend(message["body"])

        # aiohttp has unpacked the body already.
        told_by = {name.lower(): value for name, value in request.headers.items()}
        told_by.pop("content-encoding", None)
        headers = [(name.encode(), value.encode()) for name, value in told_by.items()]
        scope = {"type": "http", "method": request.method, "path": request.path, "headers": headers}
        await app(scope, receive, send)
        told = {name.decode(): value.decode() for name, value in started["headers"]}
        return web.Response(status=started["status"], body=bytes(body), headers=told)

    return handle
