"""Probes, queues and documents on a Flask-SocketIO application: python with_flask_socketio.py 8000."""

import eventlet

eventlet.monkey_patch()

import json
import sqlite3
import sys
from typing import Any

import flask
import flask_socketio

from gym_p2p import ProposedMatch, ServiceConfig
from gym_p2p.server import mount, wsgi_app

app = flask.Flask(__name__)
sio = flask_socketio.SocketIO(app, async_mode="eventlet", max_http_buffer_size=64 * 1024)  # yours


def near_enough(proposed: ProposedMatch) -> bool:  # what was measured, before a match is made
    return proposed.worst_rtt_ms is not None and proposed.worst_rtt_ms < 150


def store(match_id: str, player_id: str | int, kind: str, document: dict[str, Any]) -> None:
    with sqlite3.connect("documents.db") as db:
        db.execute("CREATE TABLE IF NOT EXISTS documents (match_id, player_id, kind, document)")
        row = (match_id, str(player_id), kind, json.dumps(document))
        db.execute("INSERT INTO documents VALUES (?, ?, ?, ?)", row)


service = mount(sio, ServiceConfig(), pre_match=near_enough, on_document=store)
app.wsgi_app = wsgi_app(service, app.wsgi_app)  # type: ignore[assignment, method-assign]  # as Flask has it
sio.run(app, host="127.0.0.1", port=int(sys.argv[1]))
