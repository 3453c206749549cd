"""Hosts with our service mounted on them, as their users write them: one kind in each process.

What a test wants of a host is asked through an event of the host's own, ``host``, so that all of it is the
host's traffic beside ours.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import socketio

from gym_p2p.config import MatchmakingConfig, ServiceConfig
from gym_p2p.core.probing.outcome import ProbeOutcome
from gym_p2p.errors import UsageError
from gym_p2p.server import mount
from tests.waiting import PATIENCE_S

KIND = sys.argv[1]
INLINE = KIND.endswith("-inline")
"""Whether the host has its handlers run where events are received."""


class Log(logging.Handler):
    """Keeps what a host's author would read."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


LOG = Log()
for name in ("gym_p2p", "engineio.server", "socketio.server"):
    logging.getLogger(name).addHandler(LOG)
logging.getLogger("gym_p2p").setLevel(logging.INFO)


class Host:
    """What every kind of host here has in common: its state, and what its ``host`` event can be told."""

    def __init__(self, sio: Any, mounted_on: Any, data_dir: str) -> None:
        self.sio = sio
        self.mounted_on = mounted_on
        self.config = ServiceConfig(
            data_dir=data_dir,
            events_per_s=100,
            event_burst=400,
            joins_per_s=1000,
            join_burst=1000,
            matchmaking=MatchmakingConfig(hook_timeout_s=1.0),
        )
        self.service: Any = None
        self.seen: list[list[str]] = []
        self.outcomes: list[dict[str, Any]] = []
        self.proposed: list[str] = []
        self.connect: str = ""
        """What the host's handler does at the next connect: "refuse" or "raise"."""

    def mount(self, **options: Any) -> Any:
        return mount(self.mounted_on, self.config, pre_match=self.pre_match, **options)

    def pre_match(self, proposed: Any) -> bool:
        """Refuse nobody, take forever, or raise: as the queue is called."""
        self.proposed.append(proposed.queue)
        if proposed.queue == "slow":
            time.sleep(3)
        if proposed.queue == "broken":
            raise RuntimeError("the host's hook is broken")
        return True

    def on_connect(self, sid: str) -> bool | None:
        self.seen.append(["connect", sid])
        wanted, self.connect = self.connect, ""
        if wanted == "raise":
            raise RuntimeError("the host's connect is broken")
        return False if wanted == "refuse" else None

    def on_disconnect(self, sid: str) -> None:
        self.seen.append(["disconnect", sid])

    def note(self, outcome: ProbeOutcome) -> None:
        self.outcomes.append(plain(outcome))

    def note_and_raise(self, outcome: ProbeOutcome) -> None:
        self.note(outcome)
        raise RuntimeError("the host's listener is broken")

    def tell(self, what: Mapping[str, Any]) -> Any:
        """Do at once what a test wants; what has to wait is not here."""
        match what["do"]:
            case "state":
                return {
                    "connections": 0 if self.service is None else self.service.connection_count,
                    "seen": self.seen,
                    "outcomes": self.outcomes,
                    "proposed": self.proposed,
                    "log": LOG.lines,
                }
            case "connect":
                self.connect = what["as"]
            case "listen":
                self.service.on_probe_outcome(self.note_and_raise)
            case "connect later":
                self.sio.on("connect", self.later_connect)
            case "clash":
                return self.refusal(self.mount)
            case "clash later":
                return self.refusal(lambda: self.sio.on("join_room", print))
            case "start probe":
                self.service.start_probe(what["a"], what["b"], self.note)
            case "mount":
                self.service = self.mount()
        return None

    def later_connect(self, sid: str, _environ: Any, _auth: Any = None) -> bool | None:
        self.seen.append(["later", sid])
        return self.on_connect(sid)

    @staticmethod
    def refusal(attempt: Callable[[], object]) -> str:
        try:
            attempt()
        except UsageError as error:
            return str(error)
        return ""


def plain(outcome: ProbeOutcome) -> dict[str, Any]:
    return {"reason": str(outcome.reason), "rtt_ms": outcome.rtt_ms}


def ready(listener: socket.socket) -> None:
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)  # noqa: T201  # that is its protocol


# ---- asynchronous hosts


def make_async(data_dir: str) -> Host:
    sio = socketio.AsyncServer(
        async_mode="aiohttp" if KIND == "aiohttp" else "asgi", cors_allowed_origins="*"
    )
    host = Host(sio, sio, data_dir)

    async def connect(sid: str, _environ: Any) -> bool | None:
        return host.on_connect(sid)

    def disconnect(sid: str) -> None:
        host.on_disconnect(sid)

    async def count(sid: str) -> int:
        async with sio.session(sid) as session:
            session["count"] = session.get("count", 0) + 1
            counted: int = session["count"]
            return counted

    async def tell(_sid: str, what: dict[str, Any]) -> Any:
        match what["do"]:
            case "probe":
                return plain(await host.service.probe(what["a"], what["b"]))
            case "start probe":
                task = asyncio.create_task(host.service.probe(what["a"], what["b"]))
                task.add_done_callback(lambda done: host.note(done.result()))
                return None
            case "stop":
                await host.service.stop()
                return None
        return host.tell(what)

    async def relay(_sid: str, what: dict[str, Any]) -> None:
        await sio.emit("relayed", what, to=what["to"])

    for handler in (connect, disconnect, count, relay):
        sio.on(handler.__name__, handler)
    sio.on("host", tell)
    sio.on("who", lambda sid: sid)
    return host


async def serve_fastapi(data_dir: str) -> None:
    import uvicorn  # noqa: PLC0415  # this kind's alone
    from fastapi import FastAPI  # noqa: PLC0415  # this kind's alone

    host, app, listener = make_async(data_dir), FastAPI(), socket.create_server(("127.0.0.1", 0))

    def own() -> str:
        return "the host's"

    app.get("/own")(own)
    host.service = host.mount()
    config = uvicorn.Config(socketio.ASGIApp(host.sio, app), log_level="error", lifespan="off")
    ready(listener)
    await uvicorn.Server(config).serve(sockets=[listener])


async def serve_aiohttp(data_dir: str) -> None:
    from aiohttp import web  # noqa: PLC0415  # this kind's alone

    host, app, listener = make_async(data_dir), web.Application(), socket.create_server(("127.0.0.1", 0))

    async def own(_request: web.Request) -> web.Response:
        return web.json_response("the host's")

    app.router.add_get("/own", own)
    host.sio.attach(app)
    host.service = host.mount()
    runner = web.AppRunner(app)
    await runner.setup()
    await web.SockSite(runner, listener).start()
    ready(listener)
    await asyncio.Event().wait()


# ---- synchronous ones


def tell_sync(host: Host, what: Mapping[str, Any]) -> Any:
    match what["do"]:
        case "probe":
            found: list[Any] = []
            refusal = host.refusal(
                lambda: found.append(host.service.probe(what["a"], what["b"], **what.get("options", {})))
            )
            return plain(found[0]) if found else refusal
        case "stop":
            host.service.stop()
            return None
    return host.tell(what)


def serve_server(data_dir: str) -> None:
    """Serve a bare ``socketio.Server`` behind Werkzeug's threads."""
    from werkzeug.serving import make_server  # noqa: PLC0415  # this kind's alone

    sio = socketio.Server(async_mode="threading", async_handlers=not INLINE, cors_allowed_origins="*")
    host = Host(sio, sio, data_dir)
    sio.on("connect", lambda sid, _environ: host.on_connect(sid))
    sio.on("disconnect", lambda sid, _reason: host.on_disconnect(sid))
    sio.on("host", lambda _sid, what: tell_sync(host, what))

    def count(sid: str) -> int:
        with sio.session(sid) as session:
            session["count"] = session.get("count", 0) + 1
            counted: int = session["count"]
            return counted

    def own(_environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "application/json")])
        return [b'"the host\'s"']

    sio.on("count", count)
    sio.on("who", lambda sid: sid)
    sio.on("relay", lambda _sid, what: sio.emit("relayed", what, to=what["to"]))
    host.service = host.mount()
    server = make_server("127.0.0.1", 0, socketio.WSGIApp(sio, own), threaded=True)
    ready(server.socket)
    server.serve_forever()


def serve_flask(data_dir: str) -> None:
    import flask  # noqa: PLC0415  # this kind's alone
    import flask_socketio  # noqa: PLC0415  # this kind's alone

    app = flask.Flask(__name__)
    app.secret_key = "of a test"  # noqa: S105  # it is none
    before = flask_socketio.SocketIO()
    early = Host.refusal(lambda: mount(before))
    assert "init_app" in early, early
    mode = KIND.removeprefix("flask-").removesuffix("-inline")
    sockets = flask_socketio.SocketIO(
        app, async_mode=mode, async_handlers=not INLINE, cors_allowed_origins="*"
    )
    host = Host(sockets, sockets, data_dir)
    host.sio = sockets.server

    @app.get("/own")
    def own() -> Any:
        return flask.jsonify("the host's")

    request: Any = flask.request  # Flask-SocketIO adds to it

    def connect() -> bool | None:
        return host.on_connect(request.sid)

    def disconnect() -> None:
        host.on_disconnect(request.sid)

    def count() -> int:
        flask.session["count"] = flask.session.get("count", 0) + 1
        counted: int = flask.session["count"]
        return counted

    def tell(what: dict[str, Any]) -> Any:
        return tell_sync(host, what)

    def who() -> str:
        return str(request.sid)

    def relay(what: dict[str, Any]) -> None:
        sockets.emit("relayed", what, to=what["to"])

    for handler in (connect, disconnect, count, who, relay):
        sockets.on_event(handler.__name__, handler)
    sockets.on_event("host", tell)
    host.service = host.mount()
    free = socket.create_server(("127.0.0.1", 0))
    port = free.getsockname()[1]
    free.close()

    def announce() -> None:
        while True:
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S):
                    break
            except OSError:
                sockets.sleep(0.02)
        print(f"http://127.0.0.1:{port}", flush=True)  # noqa: T201  # that is its protocol

    sockets.start_background_task(announce)
    sockets.run(app, "127.0.0.1", port, allow_unsafe_werkzeug=True)


def main(data_dir: str) -> None:
    """Print the address, and serve until this process is killed."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    match KIND:
        case "fastapi":
            asyncio.run(serve_fastapi(data_dir))
        case "aiohttp":
            asyncio.run(serve_aiohttp(data_dir))
        case "server-threading" | "server-threading-inline":
            serve_server(data_dir)
        case _:
            serve_flask(data_dir)
