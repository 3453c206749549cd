"""Probes, queues and documents on an aiohttp application: python with_aiohttp.py 8000."""

import json
import sqlite3
import sys
from typing import Any

import socketio
from aiohttp import web

from gym_p2p import ProposedMatch, ServiceConfig
from gym_p2p.server import aiohttp_handler, mount

sio = socketio.AsyncServer(async_mode="aiohttp", max_http_buffer_size=64 * 1024)  # yours


def near_enough(proposed: ProposedMatch) -> bool:  # what was measured, before a match is made
    return proposed.worst_rtt_ms is not None and proposed.worst_rtt_ms < 150


async def store(match_id: str, player_id: str | int, kind: str, document: dict[str, Any]) -> None:
    with sqlite3.connect("documents.db") as db:
        db.execute("CREATE TABLE IF NOT EXISTS documents (match_id, player_id, kind, document)")
        row = (match_id, str(player_id), kind, json.dumps(document))
        db.execute("INSERT INTO documents VALUES (?, ?, ?, ?)", row)


async def make() -> web.Application:
    app = web.Application()
    sio.attach(app)
    service = mount(sio, ServiceConfig(), pre_match=near_enough, on_document=store)
    app.router.add_route("*", "/{path:.*}", aiohttp_handler(service))
    app.on_shutdown.append(lambda _app: service.stop())
    return app


web.run_app(make(), host="127.0.0.1", port=int(sys.argv[1]))
