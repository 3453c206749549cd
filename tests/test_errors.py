"""Errors travel between processes as they are, and say which option, player or place they are about."""

from __future__ import annotations

import inspect
import pickle
from typing import Any

import gymnasium
import pytest
from gymnasium.vector import AsyncVectorEnv

from gym_p2p import errors
from gym_p2p.errors import (
    ConfigurationError,
    ConnectFailed,
    DamagedReplay,
    HandshakeRefused,
    InvalidAction,
    MatchOver,
    MatchRefused,
    NetworkEnded,
    NoMatch,
    NotWritten,
    P2PError,
    PeerLost,
    PersonGone,
    ProtocolError,
    ServiceRefused,
    ServiceUnreachable,
    UnreadableReplay,
    UnsupportedEnvironment,
    WatchDiverged,
)

EXAMPLES = [
    ConfigurationError("fps", "wanted 0.01 to 10000, got 0"),
    ConnectFailed(
        "the channel to 'right'", waited_s=15.0, seen="host candidates", advice="Use a TURN server."
    ),
    DamagedReplay("m.p2preplay", "record 3", "its digest is another one"),
    HandshakeRefused("right", [("fps", "30", "60"), ("wrappers", "none", "TimeLimit")]),
    InvalidAction("left", "wanted a whole number from 0 to 2, got int 3"),
    MatchOver("peer_left"),
    MatchRefused("duel", ("ann", "bob"), 123.4),
    MatchRefused("duel", ("ann", "bob"), None),
    NetworkEnded("the network process ended by itself (killed by SIGKILL)"),
    NoMatch("duel", "nobody_near_enough", 60.0),
    NotWritten("m.csv", "the disk is full"),
    PeerLost("right", "nothing came for 2 s"),
    PeerLost("right", "they have left the match", match_over=True),
    PersonGone("page_closed", "their page was closed"),
    ProtocolError("malformed action"),
    ServiceRefused("room_full", "it has two players", retry_after_s=3.0),
    ServiceUnreachable("http://127.0.0.1:8765", "connection refused"),
    UnreadableReplay("m.p2preplay", "is empty"),
    UnsupportedEnvironment("CartPole has one seat"),
    WatchDiverged(2, -1, "the state", theirs="aa", ours="bb"),
]


REFUSED = ServiceRefused("room_full", "it has two players", retry_after_s=3.0)


class Refusing(gymnasium.Env[Any, Any]):
    """Its players are not let in."""

    action_space = observation_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        del seed, options
        raise REFUSED


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_an_error_comes_out_of_a_pipe_as_it_went_in(error: P2PError) -> None:
    back = pickle.loads(pickle.dumps(error))  # noqa: S301  # what is tested
    assert type(back) is type(error)
    assert str(back) == str(error)
    assert vars(back) == vars(error)


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_an_error_made_again_from_itself_is_the_same(error: P2PError) -> None:
    """What vector environments do: ``raise type(error)(error)``, after it came out of a pipe."""
    kind: Any = type(error)
    again = kind(pickle.loads(pickle.dumps(error)))  # noqa: S301  # what is tested
    assert type(again) is kind
    assert str(again) == str(error)
    assert vars(again) == vars(error)
    assert vars(pickle.loads(pickle.dumps(again))) == vars(error)  # noqa: S301  # what is tested


@pytest.mark.parametrize("kind", [getattr(errors, name) for name in errors.__all__], ids=str)
def test_an_error_can_be_made_from_a_text_alone(kind: Any) -> None:
    error = kind("worker 3: it broke")
    assert "worker 3: it broke" in str(error)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301  # what is tested


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda error: type(error).__name__)
def test_the_fields_of_an_error_made_from_its_text_are_there_though_unknown(example: P2PError) -> None:
    kind: Any = type(example)
    error = kind(str(example))
    assert str(error) == str(example)
    assert set(vars(error)) == set(vars(example))


@pytest.mark.filterwarnings("ignore:.*ERROR")  # its way to log
def test_a_vector_environment_raises_an_error_of_its_workers_as_it_was() -> None:
    envs = AsyncVectorEnv([Refusing, Refusing], context="spawn")
    with pytest.raises(ServiceRefused) as raised:
        envs.reset()
    assert str(raised.value) == str(REFUSED)
    assert vars(raised.value) == vars(REFUSED)
    envs.close(terminate=True)


def test_an_error_of_ones_own_below_ours_follows_the_same_rules() -> None:
    class Mine(PeerLost):
        """Takes one argument."""

        def __init__(self, seat: str) -> None:
            super().__init__(seat, "it was me")

    for error in (Mine("left"), Mine(Mine("left"))):  # type: ignore[arg-type]  # what is tested
        assert (type(error), error.peer, error.reason) == (Mine, "left", "it was me")


def test_a_forgotten_argument_is_not_taken_for_a_text() -> None:
    kind: Any = PeerLost
    with pytest.raises(TypeError, match="reason"):
        kind(peer="right")
    with pytest.raises(TypeError, match="reason"):
        kind(3)


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_what_an_error_is_about_stands_in_its_text_and_in_its_fields(error: P2PError) -> None:
    assert str(error)
    for name, value in vars(error).items():
        assert f"{name}:" in (inspect.getdoc(type(error)) or ""), f"{name} is not documented"
        if isinstance(value, str) and name not in {"reason", "code"}:
            assert value in str(error)


def test_every_error_that_has_data_of_its_own_is_among_the_examples() -> None:
    kinds = {getattr(errors, name) for name in errors.__all__}
    assert {kind for kind in kinds if "__init__" in vars(kind)} <= {type(error) for error in EXAMPLES}


def test_a_configuration_error_is_a_value_error_and_an_unsupported_environment_a_type_error() -> None:
    assert issubclass(ConfigurationError, ValueError)
    assert issubclass(InvalidAction, ValueError)
    assert issubclass(UnreadableReplay, ValueError)
    assert issubclass(UnsupportedEnvironment, TypeError)
