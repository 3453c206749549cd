"""By which word a match is closed, whatever ends it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from gym_p2p.errors import P2PError, PersonGone
from gym_p2p.play.whole_match import play_whole_match


class _Session:
    """Remembers how it was closed.

    Args:
        episode: that it is in; 0 before the first one, without a match.
    """

    def __init__(self, episode: int) -> None:
        self.progress = SimpleNamespace(episode=episode)
        self.recorder = object() if episode else None
        self.said: list[str] = []

    def close(self, reason: str) -> str:
        self.said.append(reason)
        return "documents"


class _Played:
    """A match that ends so: by a word, or by an error."""

    def __init__(self, end: str | BaseException, *, episode: int) -> None:
        self.session: Any = _Session(episode)
        self.guarded: list[str] = []
        self._end = end

    def run(self) -> tuple[str, Any]:
        return play_whole_match(self.session, self._play, self._guard)

    def _play(self) -> str:
        if isinstance(self._end, BaseException):
            raise self._end
        return self._end

    @contextlib.contextmanager
    def _guard(self, ending: str) -> Iterator[None]:
        assert self.session.said == []
        yield
        assert len(self.session.said) == 1
        self.guarded.append(ending)


GONE = PersonGone("left", "they left")
ENDS: list[tuple[str | BaseException, str, str]] = [
    ("done", "done", "normal"),
    ("peer_left", "peer_left", "peer_left"),
    (GONE, "left", "left"),
    (KeyboardInterrupt(), "interrupted", "interrupted"),
]


@pytest.mark.parametrize(("end", "ending", "said"), ENDS)
def test_a_match_that_ends_is_closed_with_how(end: str | BaseException, ending: str, said: str) -> None:
    played = _Played(end, episode=1)
    assert played.run() == (ending, "documents")
    assert (played.session.said, played.guarded) == ([said], [ending])


@pytest.mark.parametrize(
    ("end", "episode", "said"),
    [
        (GONE, 0, "left"),
        (KeyboardInterrupt(), 0, "interrupted"),
        (P2PError("nobody came"), 0, "connect_failed"),
        (P2PError("it broke"), 1, "failed"),
        (ValueError("of a policy"), 0, "failed"),
        (ValueError("of a policy"), 1, "failed"),
    ],
)
def test_what_was_no_match_or_went_wrong_is_closed_with_that_and_raised(
    end: BaseException, episode: int, said: str
) -> None:
    played = _Played(end, episode=episode)
    with pytest.raises(type(end)) as caught:
        played.run()
    assert caught.value is end
    assert (played.session.said, played.guarded) == ([said], [said])
