"""The requests of a real Flask-SocketIO server, with its own test client in the place of a page."""

from __future__ import annotations

from typing import Any

import pytest

from gym_p2p.plugins.mug import ProbeCoordinator
from gym_p2p.plugins.mug.context import Requests
from tests.requirements import require


class Host:
    """A Flask-SocketIO server with one page.

    Attributes:
        sid: the page's socket.
    """

    def __init__(self) -> None:
        import flask  # noqa: PLC0415 - the fixture has looked whether it is there
        import flask_socketio  # noqa: PLC0415 - the same

        self.app = flask.Flask(__name__)
        self.socketio: Any = flask_socketio.SocketIO(self.app, async_mode="threading")
        self.requests = Requests(self.socketio)
        said: list[str | None] = []
        self.socketio.on_event("hello", lambda: said.append(self.requests.sender()))
        self.page: Any = self.socketio.test_client(self.app)
        self.page.emit("hello")
        [sid] = said
        assert sid is not None
        self.sid = sid

    def joined(self, room: str) -> bool:
        """Return whether what is sent to a room reaches the page."""
        self.socketio.emit("news", room=room)
        return any(one["name"] == "news" for one in self.page.get_received())


@pytest.fixture
def host() -> Host:
    require("flask_socketio", "pip install -e '.[test]'")
    return Host()


def test_the_sender_of_an_event_is_its_socket_and_outside_of_one_there_is_none(host: Host) -> None:
    assert host.sid == next(iter(host.socketio.server.manager.get_participants("/", None)))[0]
    assert host.requests.sender() is None
    with host.app.test_request_context("/"):
        assert host.requests.sender() is None  # a page is loaded


def test_rooms_are_joined_in_the_request_of_the_first_that_is_connected(host: Host) -> None:
    import flask_socketio  # noqa: PLC0415 - the fixture has looked whether it is there

    assert not host.joined("room")
    with host.requests.of([None, "gone", host.sid]):
        assert host.requests.sender() == host.sid
        flask_socketio.join_room("room")
    assert host.joined("room")
    assert host.requests.sender() is None


@pytest.mark.parametrize("sockets", [[], [None, None], ["gone", None]])
def test_where_nobody_is_connected_there_is_a_request_all_the_same(
    host: Host, sockets: list[str | None]
) -> None:
    import flask  # noqa: PLC0415 - the fixture has looked whether it is there

    with host.requests.of(sockets):
        assert flask.request.path == "/"
        assert not host.requests.sender()


def test_who_has_left_before_any_page_has_sent_an_event_of_a_probe_is_told_of_in_a_request(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    import flask  # noqa: PLC0415 - the fixture has looked whether it is there

    monkeypatch.setattr(host.socketio, "start_background_task", lambda *_task: None)
    coordinator = ProbeCoordinator(host.socketio, dict[str, str]().get)
    said: list[Any] = []
    coordinator.create_probe("ada", "bob", lambda *answer: said.append((answer, flask.has_request_context())))
    [ended] = coordinator._ended
    ended.call.done(ended.outcome)
    assert said == [(("ada", "bob", None), True)]
