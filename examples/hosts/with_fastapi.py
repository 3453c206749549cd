"""Probes, queues and documents on a FastAPI application: uvicorn with_fastapi:app."""

import contextlib
import json
import sqlite3
from collections.abc import AsyncIterator
from typing import Any

import fastapi
import socketio

from gym_p2p import ProposedMatch, ServiceConfig
from gym_p2p.server import asgi_app, mount

sio = socketio.AsyncServer(async_mode="asgi", max_http_buffer_size=64 * 1024)  # yours


def near_enough(proposed: ProposedMatch) -> bool:  # what was measured, before a match is made
    return proposed.worst_rtt_ms is not None and proposed.worst_rtt_ms < 150


async def store(match_id: str, player_id: str | int, kind: str, document: dict[str, Any]) -> None:
    with sqlite3.connect("documents.db") as db:
        db.execute("CREATE TABLE IF NOT EXISTS documents (match_id, player_id, kind, document)")
        row = (match_id, str(player_id), kind, json.dumps(document))
        db.execute("INSERT INTO documents VALUES (?, ?, ?, ?)", row)


@contextlib.asynccontextmanager
async def lifespan(pages: fastapi.FastAPI) -> AsyncIterator[None]:
    service = mount(sio, ServiceConfig(), pre_match=near_enough, on_document=store)
    pages.mount("/", asgi_app(service))
    yield
    await service.stop()


app = socketio.ASGIApp(sio, other_asgi_app=fastapi.FastAPI(lifespan=lifespan))
