from __future__ import annotations

import array
import ctypes
import io
import itertools
import random
from collections import Counter, OrderedDict, defaultdict, deque
from types import SimpleNamespace
from typing import Any

import attrs
import numpy as np
import pytest
from gymnasium import spaces

from gym_p2p.game.checksum import checksum
from gym_p2p.game.state.fields import fields_of
from gym_p2p.game.state.graph import path_to, put_back, record
from gym_p2p.game.state.kinds import Unreachable


class _Slotted:
    __slots__ = ("left", "right")

    def __init__(self) -> None:
        self.left = 1


class _Thing:
    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)


def _set(thing: Any, **attributes: Any) -> Any:
    for name, value in attributes.items():
        setattr(thing, name, value)
    return thing


def _drop(thing: Any, name: str) -> Any:
    delattr(thing, name)
    return thing


class _NamedDict(dict[str, int]):
    name = "class"


@attrs.define
class _Valued:
    value: int = 1


def _mutations() -> dict[str, tuple[Any, Any]]:
    """Return things, and how each is changed."""
    named = _NamedDict(a=1)
    named.name = "first"
    return {
        "list": ([1, [2]], lambda x: (x[1].append(3), x.append(4))),
        "dict": ({"a": {"b": 1}}, lambda x: (x["a"].update(b=2, c=3), x.pop("a"))),
        "ordered dict": (OrderedDict(a=1, b=2), lambda x: (x.update(c=3), x.move_to_end("a"))),
        "default dict": (defaultdict(list, a=[1]), lambda x: (x["a"].append(2), x["new"])),
        "counter": (Counter("aab"), lambda x: x.update("abc")),
        "dict with attributes": (named, lambda x: (x.update(a=2), _set(x, name="second"))),
        "set": ({1, 2}, lambda x: (x.add(3), x.discard(1))),
        "deque": (deque([1, 2], maxlen=3), lambda x: x.extend([3, 4])),
        "bytearray": (bytearray(b"ab"), lambda x: x.extend(b"c")),
        "array of the standard library": (array.array("i", [1, 2]), lambda x: x.append(3)),
        "array": (np.arange(6.0).reshape(2, 3), lambda x: x.__setitem__((0, 0), 7)),
        "array of another size": (np.arange(6), lambda x: x.resize((2, 2), refcheck=False)),
        "array of objects": (np.array([[1], None], dtype=object), lambda x: x[0].append(2)),
        "structured array": (np.zeros(2, [("a", "i4"), ("b", "f8")]), lambda x: x["a"].fill(3)),
        "read-only view": (_view_of(np.arange(3)), lambda x: x.base.__setitem__(0, 9)),
        "attributes": (_Thing(a=1, b=[2]), lambda x: (x.b.append(1), x.__dict__.pop("a"), _set(x, c=1))),
        "slots": (_Slotted(), lambda x: (_set(x, right=5), _drop(x, "left"))),
        "attrs": (_Valued(), lambda x: _set(x, value=2)),
        "namespace": (SimpleNamespace(a=1), lambda x: _set(x, a=2)),
        "tuple of lists": (([1], [2]), lambda x: x[0].append(1)),
        "bound method": (deque([1]).append, lambda x: x(2)),
        "generator": (np.random.default_rng(1), lambda x: x.random()),
        "random state": (np.random.RandomState(1), lambda x: x.randn()),
        "bit generator": (np.random.MT19937(1), lambda x: x.random_raw()),
        "standard generator": (random.Random(1), lambda x: x.gauss(0, 1)),
        "closure": (_closure(), lambda x: x()),
    }


def _view_of(base: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    view = base[:]
    view.flags.writeable = False
    return view


def _closure() -> Any:
    count = [0]
    total = 0

    def add() -> int:
        nonlocal total
        total += 1
        count[0] += 1
        return total

    return add


def _digest(thing: Any) -> bytes:
    return checksum(list(fields_of({"it": thing}, record([thing])).items()))


@pytest.mark.parametrize("kind", list(_mutations()))
def test_what_was_changed_comes_back_as_often_as_one_likes(kind: str) -> None:
    thing, change = _mutations()[kind]
    original = _digest(thing)
    entries = record([thing])
    for _ in range(2):
        change(thing)
        assert _digest(thing) != original, "the change shows"
        put_back(entries)
        assert _digest(thing) == original


def test_an_order_comes_back() -> None:
    world = OrderedDict(a=1, b=2)
    entries = record([world])
    world.move_to_end("a")
    put_back(entries)
    assert list(world) == ["a", "b"]


def test_what_is_shared_stays_shared_and_the_same_object() -> None:
    shared = np.zeros(2)
    view = shared[1:]
    world: Any = _Thing(here=shared, there=[shared], window=view)
    entries = record([world])
    world.here, world.there[0] = np.ones(2), np.ones(2)
    put_back(entries)
    assert world.here is shared
    assert world.there[0] is shared
    world.there[0][1] = 5
    assert world.window[0] == 5, "the view still looks into the same memory"


def test_objects_that_were_dropped_come_back_and_new_ones_go() -> None:
    world: Any = _Thing(bodies=[_Thing(x=1), _Thing(x=2)])
    first = world.bodies[0]
    entries = record([world])
    first.x = 10
    world.bodies = [_Thing(x=3)]
    put_back(entries)
    assert [body.x for body in world.bodies] == [1, 2]
    assert world.bodies[0] is first


def test_what_contains_itself_is_recorded_once() -> None:
    world: Any = _Thing(parts=[])
    world.parts.append(world)
    entries = record([world])
    assert len(entries) == 2
    world.parts.clear()
    put_back(entries)
    assert world.parts == [world]


def test_viewers_stay_as_they_are_and_what_a_space_draws_by_is_state() -> None:
    space = spaces.Discrete(3, seed=1)
    world: Any = _Thing(space=space, viewer=None, screen=4, clock=_Thing(ticks=1), canvas=None)
    entries = record([world])
    before = space.np_random.bit_generator.state
    space.sample()
    assert space.np_random.bit_generator.state != before
    world.viewer = _Thing(window=1, screen=io.StringIO())
    world.screen = 5
    world.clock.ticks = 2
    world.canvas = _Thing(drawn=1)
    put_back(entries)
    assert space.np_random.bit_generator.state == before
    assert world.viewer.window == 1, "made since, and not to be made again after every return"
    assert world.screen == 4, "plain data is state whatever its name"
    assert world.clock.ticks == 1, "and so is an object of the game's own"
    assert world.canvas is None


@pytest.mark.parametrize("thing", [itertools.count(), iter([1]), (x for x in "ab"), memoryview(b"a")])
def test_what_cannot_be_rewound_is_refused_with_the_thing_itself(thing: Any) -> None:
    world: Any = _Thing(parts=[{"it": thing}])
    with pytest.raises(Unreachable, match="out of Python's reach") as refused:
        record([world])
    assert refused.value.found is thing
    assert path_to(thing, {"world": world}) == "world.parts[0]['it']"


def test_a_walk_that_does_not_end_is_refused() -> None:
    with pytest.raises(Unreachable, match="more than"):
        record([[[] for _ in range(60_000)]])


@pytest.mark.parametrize("name", ["window", "_window", "viewer", "renderer", "visualizer"])
@pytest.mark.parametrize(
    "make",
    [
        lambda: deque([1], maxlen=3),
        lambda: array.array("i", [1]),
        lambda: _Thing(seen=[1]),
        lambda: _Valued(1),
    ],
)
def test_state_under_the_name_of_a_display_is_state(name: str, make: Any) -> None:
    world: Any = _Thing(**{name: make()})
    before = fields_of({"world": world}, record([world]))
    entries = record([world])
    inside = getattr(world, name)
    if isinstance(inside, deque | array.array):
        inside.append(2)
    elif isinstance(inside, _Valued):
        inside.value = 2
    else:
        inside.seen.append(2)
    assert checksum(fields_of({"world": world}, record([world]))) != checksum(before)
    put_back(entries)
    assert checksum(fields_of({"world": world}, record([world]))) == checksum(before)


@pytest.mark.parametrize("name", ["clock", "screen", "font", "viewer", "possible_agents", "action_spaces"])
@pytest.mark.parametrize("before", [[], [None], [3], [[4]]])
@pytest.mark.parametrize("after", [[], [None], [5], [[6]]])
def test_what_is_made_late_under_such_a_name_is_gone_again(
    name: str, before: list[Any], after: list[Any]
) -> None:
    world: Any = _Thing(**dict.fromkeys([name] * len(before), *before))
    entries = record([world])
    vars(world).pop(name, None)
    vars(world).update(dict.fromkeys([name] * len(after), *after))
    put_back(entries)
    assert vars(world) == dict.fromkeys([name] * len(before), *before)


class _Pair(ctypes.Structure):
    _fields_ = [("left", ctypes.c_int), ("right", ctypes.c_double * 2)]


class _Pointing(ctypes.Structure):
    _fields_ = [("to", ctypes.POINTER(ctypes.c_int))]


def _figures() -> list[Any]:
    pygame = pytest.importorskip("pygame")
    made = [pygame.Rect(1, 2, 3, 4), pygame.Vector2(1, 2), pygame.Vector3(1, 2, 3), pygame.Color(1, 2, 3, 4)]
    mine = type("_Mine", (pygame.Rect,), {})(1, 2, 3, 4)
    mine.speed = 1
    return [*made, mine]


def test_pygame_s_figures_are_recorded() -> None:
    for figure in _figures():
        world: Any = _Thing(at=figure)
        entries = record([world])
        before = fields_of({"world": world}, entries)
        was = list(figure)
        figure[0] = 7
        assert checksum(fields_of({"world": world}, record([world]))) != checksum(before)
        put_back(entries)
        assert world.at is figure
        assert list(figure) == was
        assert checksum(fields_of({"world": world}, record([world]))) == checksum(before)


def test_numbers_in_c_are_recorded_and_pointers_refused() -> None:
    number, row, pair = ctypes.c_int(3), (ctypes.c_uint8 * 3)(1, 2, 3), _Pair(1, (2.0, 3.0))
    world: Any = _Thing(number=number, row=row, pair=pair)
    entries = record([world])
    before = checksum(fields_of({"world": world}, entries))
    number.value, row[1], pair.right[1] = 4, 9, 5.0
    assert checksum(fields_of({"world": world}, record([world]))) != before
    put_back(entries)
    assert checksum(fields_of({"world": world}, record([world]))) == before
    assert (number.value, list(row), list(pair.right)) == (3, [1, 2, 3], [2.0, 3.0])
    for pointer in (ctypes.pointer(number), ctypes.c_char_p(b"a"), _Pointing()):
        with pytest.raises(Unreachable):
            record([_Thing(it=pointer)])


def test_an_attribute_is_a_path_by_what_is_in_it() -> None:
    def seen(**attributes: Any) -> bytes:
        world = _Thing(**attributes)
        return checksum(fields_of({"world": world}, record([world])))

    assert seen(agent_dir=1) != seen(agent_dir=2)
    assert seen(wind_dir="north") != seen(wind_dir="south")
    assert seen(goal_path=[(0, 1)]) != seen(goal_path=[(1, 1)])
    assert seen(rank_file=b"a") != seen(rank_file=b"b")
    assert seen(log_dir="/here") == seen(log_dir="C:\\there")
