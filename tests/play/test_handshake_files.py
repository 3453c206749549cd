"""Policies and ROMs that are not the same on both sides: what each player reads of that."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest

from gym_p2p.config import P2PConfig, SyncConfig
from gym_p2p.core.match.handshake import handshake_differences
from gym_p2p.core.wire.codec import JsonObject
from gym_p2p.core.wire.messages import PROTOCOL_VERSION, Hello
from gym_p2p.errors import ConfigurationError, HandshakeRefused
from gym_p2p.game.env.game import Game
from gym_p2p.game.env.seats import make_game
from gym_p2p.play.handshake import make_plan
from gym_p2p.play.sync_mode import SyncOffer
from gym_p2p.policies.stand_in import PolicyStandIn
from tests.toys import Blend

OFFER = SyncOffer(wants="auto", able=False, why="a test")


def _description(stand_in: Any, game: Game | None = None) -> dict[str, Any]:
    sync = SyncConfig(on_peer_loss="stand_in", stand_in=stand_in)
    game = make_game(Blend()) if game is None else game
    return dict(make_plan(game, P2PConfig(sync=sync), take=None, votes=False, offer=OFFER).description)


def _differences(ours: dict[str, Any], theirs: dict[str, Any]) -> tuple[tuple[str, str, str], ...]:
    return handshake_differences(ours, Hello(PROTOCOL_VERSION, JsonObject(theirs), b"", 0, 0))


def _model(file: Path, content: bytes) -> PolicyStandIn:
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)
    return PolicyStandIn(f"onnx:{file}")


def test_of_two_stand_ins_from_files_both_sides_read_which_file_is_where(tmp_path: Path) -> None:
    ours = _description(_model(tmp_path / "of_ann" / "march.onnx", b"one"))
    theirs = _description(_model(tmp_path / "of_bob" / "may.onnx", b"another"))
    ((what, mine, yours),) = _differences(ours, theirs)
    assert what == "stand_in"
    assert mine.endswith("of file 'march.onnx'")
    assert yours.endswith("of file 'may.onnx'")
    text = str(HandshakeRefused("bob", ((what, mine, yours),)))
    assert "march.onnx" in text
    assert "may.onnx" in text
    assert str(tmp_path) not in text
    assert not [text for text in (str(ours), str(theirs)) if str(tmp_path) in text], "nor does it travel"


def test_files_with_the_same_contents_are_the_same_stand_in_whatever_they_are_called(tmp_path: Path) -> None:
    one, other = (_model(tmp_path / name, b"one") for name in ("march.onnx", "may.onnx"))
    assert not _differences(_description(one), _description(other))


def test_of_two_roms_both_sides_read_which_file_is_where(tmp_path: Path) -> None:
    sides = []
    for name in ("pong.bin", "pong_beta.bin"):
        env: Any = Blend()
        env.rom_path = str(tmp_path / name)
        (tmp_path / name).write_bytes(name.encode())
        sides.append(_description(_heuristic, make_game(env)))
    ((what, ours, theirs),) = _differences(*sides)
    assert what == "game ROM"
    assert ours.endswith("of file 'pong.bin'")
    assert theirs.endswith("of file 'pong_beta.bin'")


class _Greedy:
    """Shows itself as every object does that says nothing else."""

    def __init__(self, greed: int) -> None:
        self.greed = greed

    def __call__(self, _seat: Any, _observation: Any, _frame: int) -> int:
        return self.greed


class _Told(_Greedy):
    def __repr__(self) -> str:
        return f"greedy({self.greed})"


def _heuristic(_seat: Any, _observation: Any, _frame: int, *_args: Any, **_options: Any) -> int:
    return 0


@pytest.mark.parametrize(
    "make",
    [
        _Told,
        lambda greed: _Told(greed).__call__,
        lambda greed: functools.partial(_Told(greed)),
        lambda greed: functools.partial(_heuristic, 0, _Told(greed)),
        lambda greed: functools.partial(_heuristic, greed=greed),
        lambda greed: functools.partial(_heuristic, [_heuristic, greed]),
        lambda greed: functools.partial(_heuristic, mask=f" at 0x{greed}"),
        lambda greed: functools.partial(functools.partial(_heuristic, _Told(greed)), other=_heuristic),
    ],
)
def test_a_stand_in_that_is_an_object_is_compared_by_what_it_says_and_not_by_where_it_lies(make: Any) -> None:
    assert not _differences(_description(make(1)), _description(make(1)))
    ((what, ours, theirs),) = _differences(_description(make(1)), _description(make(2)))
    assert what == "stand_in"
    assert ours != theirs
    if " at 0x1" not in ours:
        assert "0x" not in ours + theirs


@pytest.mark.parametrize(
    "stand_in",
    [
        _Greedy(1),
        functools.partial(_Greedy(1)),
        functools.partial(_heuristic, _Greedy(1)),
        functools.partial(_heuristic, how=functools.partial(_heuristic, _Greedy(1))),
    ],
)
def test_a_stand_in_that_does_not_say_what_it_does_is_refused_before_anybody_is_met(stand_in: Any) -> None:
    with pytest.raises(ConfigurationError, match="give it a __repr__ that does, or pass the name") as raised:
        _description(stand_in)
    assert raised.value.option == "stand_in"
    assert "test_handshake_files:_Greedy" in str(raised.value)


def test_a_method_of_an_object_that_does_not_say_what_it_does_is_compared_by_its_name() -> None:
    assert not _differences(_description(_Greedy(1).__call__), _description(_Greedy(1).__call__))
    ((what, _, _),) = _differences(_description(_Greedy(1).__call__), _description(_heuristic))
    assert what == "stand_in"


def test_what_holds_something_that_does_not_say_what_it_does_never_agrees() -> None:
    both = [_Greedy(1), _Greedy(2)]  # at the same time: no two are at one address
    assert _differences(*(_description(functools.partial(_heuristic, [greedy])) for greedy in both))


def test_a_function_is_compared_by_its_name_however_it_was_passed() -> None:
    by_name = _description(f"{__name__}:_heuristic")
    assert not _differences(_description(_heuristic), by_name)
