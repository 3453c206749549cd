from __future__ import annotations

import copy
import json
import math
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from gym_p2p.errors import InvalidAction, ProtocolError, UnsupportedEnvironment
from gym_p2p.game.checksum import checksum
from gym_p2p.game.spaces.codec import MAX_ACTION_BYTES, ActionCodec

_INTEGER_DTYPES: list[Any] = [np.int8, np.uint8, np.int16, np.int32, np.int64]
_BOX_DTYPES: list[Any] = [np.float16, np.float32, np.float64, np.uint8, np.int8, np.int16, np.int64, np.bool_]
_BINARY_SHAPES: list[Any] = [1, 7, 8, 9, [2, 5]]


@st.composite
def _discrete(draw: st.DrawFn) -> spaces.Space[Any]:
    n = draw(st.one_of(st.integers(1, 300), st.integers(1, 2**40)))
    return spaces.Discrete(n, start=draw(st.integers(-(2**40), 2**40)))


@st.composite
def _multi_discrete(draw: st.DrawFn) -> spaces.Space[Any]:
    dtype = draw(st.sampled_from(_INTEGER_DTYPES))
    shape = draw(st.sampled_from([(1,), (4,), (2, 3)]))
    info = np.iinfo(dtype)
    start = np.array(draw(st.lists(st.integers(info.min, info.max), min_size=6, max_size=6)), dtype)
    most = np.minimum(info.max - start.astype(object), info.max - 1)  # nvec is of the same dtype
    size = math.prod(shape)
    nvec = [draw(st.integers(1, max(1, int(m)))) for m in most[:size]]
    start = np.minimum(start[:size], info.max - 1 - np.array(nvec, dtype=object)).astype(dtype)
    start = np.maximum(start.astype(object), info.min).astype(dtype)
    return spaces.MultiDiscrete(np.array(nvec, dtype).reshape(shape), dtype=dtype, start=start.reshape(shape))


@st.composite
def _box(draw: st.DrawFn) -> spaces.Space[Any]:
    dtype: Any = np.dtype(draw(st.sampled_from(_BOX_DTYPES)))
    shape = draw(st.sampled_from([(), (1,), (3,), (2, 2)]))
    if dtype.kind == "f":
        low, high = draw(st.sampled_from([(-1.0, 1.0), (-np.inf, np.inf), (0.0, np.inf), (2.5, 2.5)]))
        return spaces.Box(low, high, shape, dtype.type)
    if dtype.kind == "b":
        return spaces.Box(0, 1, shape, dtype.type)
    ends = st.integers(np.iinfo(dtype).min, np.iinfo(dtype).max - 1)
    a, b = sorted((draw(ends), draw(ends)))
    return spaces.Box(np.full(shape, a, dtype), np.full(shape, b, dtype), shape, dtype.type)


_LEAVES = st.one_of(
    _discrete(),
    _multi_discrete(),
    _box(),
    st.sampled_from(_BINARY_SHAPES).map(lambda n: spaces.MultiBinary(n=n)),
    st.tuples(st.integers(0, 3), st.integers(3, 9), st.sampled_from(["ab", "aé漢", "0123"])).map(
        lambda t: spaces.Text(min_length=t[0], max_length=t[1], charset=t[2])
    ),
)


def _composed(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    few = st.lists(inner, min_size=1, max_size=3)
    return st.one_of(
        few.map(spaces.Tuple),
        few.map(spaces.OneOf),
        st.dictionaries(st.sampled_from(["move", "aim", "say"]), inner, min_size=1).map(spaces.Dict),
    )


_SPACES = st.recursive(_LEAVES, _composed, max_leaves=4).filter(lambda space: space is not None)


@settings(max_examples=300, deadline=None)
@given(space=_SPACES, seed=st.integers(0, 2**32 - 1))
def test_any_action_of_any_space_comes_back_exactly(space: spaces.Space[Any], seed: int) -> None:
    codec = ActionCodec(space)
    space.seed(seed)
    action = codec.check(space.sample())
    assert action in space
    data = codec.encode(action)
    assert len(data) <= codec.max_bytes
    # The checksum compares types, dtypes and bits.
    assert checksum(codec.decode(data)) == checksum(action)
    assert codec.encode(codec.decode(data)) == data
    assert checksum(codec.from_json(json.loads(json.dumps(codec.to_json(action))))) == checksum(action)


@settings(max_examples=300, deadline=None)
@given(space=_SPACES)
def test_the_default_action_of_any_space_is_in_it(space: spaces.Space[Any]) -> None:
    codec = ActionCodec(space)
    assert codec.default() in space
    assert checksum(codec.check(codec.default())) == checksum(codec.default())


@settings(max_examples=500, deadline=None)
@given(space=_SPACES, data=st.binary(max_size=40))
def test_garbage_from_a_peer_is_an_action_or_a_protocol_error(space: spaces.Space[Any], data: bytes) -> None:
    codec = ActionCodec(space)
    try:
        action = codec.decode(data)
    except ProtocolError:
        return
    assert action in space
    assert codec.encode(action) == data, "two encodings of one action"


@settings(max_examples=200, deadline=None)
@given(space=_SPACES, seed=st.integers(0, 2**32 - 1), extra=st.binary(min_size=1, max_size=3))
def test_truncated_and_longer_bytes_are_refused(space: spaces.Space[Any], seed: int, extra: bytes) -> None:
    codec = ActionCodec(space)
    space.seed(seed)
    data = codec.encode(codec.check(space.sample()))
    with pytest.raises(ProtocolError):
        codec.decode(data + extra)
    if data:
        with pytest.raises(ProtocolError):
            codec.decode(data[:-1])


def test_a_small_discrete_takes_one_byte() -> None:
    codec = ActionCodec(spaces.Discrete(6, start=-2))
    assert codec.encode(codec.check(-2)) == b"\x00"
    assert codec.max_bytes == 1
    assert ActionCodec(spaces.Discrete(1000)).encode(np.int64(300)) == b"\xac\x02"


def test_a_longer_form_of_a_number_is_refused() -> None:
    for n in (6, 10**6):
        with pytest.raises(ProtocolError):
            ActionCodec(spaces.Discrete(n)).decode(b"\x81\x00")


class Tensor:
    """An array of another library, as these show theirs."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __array__(self, dtype: Any = None, *, copy: bool | None = None) -> Any:
        return np.array(self.value, dtype)


@pytest.mark.parametrize(
    "action",
    [
        2,
        np.int8(2),
        np.uint64(2),
        np.array(2),
        np.array([2]),
        np.array([[2]], np.uint8),
        True + 1,
        Tensor(2),
        [2],
        (np.int8(2),),
    ],
)
def test_whole_numbers_of_every_kind_are_taken_for_a_discrete(action: Any) -> None:
    checked = ActionCodec(spaces.Discrete(3)).check(action)
    assert checked == 2
    assert type(checked) is np.int64


@pytest.mark.parametrize(
    ("space", "action", "message"),
    [
        (spaces.Discrete(3), 3, "from 0 to 2, got int 3"),
        (spaces.Discrete(3, start=5), 4, "from 5 to 7, got int 4"),
        (spaces.Discrete(3), -1, "from 0 to 2"),
        (spaces.Discrete(3), 1.0, "whole number .* got float 1.0"),
        (spaces.Discrete(3), None, "got NoneType None"),
        (spaces.Discrete(3), "1", "got str '1'"),
        (spaces.Discrete(3), np.array([1, 1]), r"array of shape \(2,\)"),
        (spaces.Discrete(3), np.array([1.0]), r"float64 array of shape \(1,\)"),
        (spaces.MultiDiscrete([3, 4]), [0, 4], r"from 0 to \[2,3\], got 4 at \[1\]"),
        (spaces.MultiDiscrete([3, 4]), [0.0, 1.0], "wanted whole numbers"),
        (spaces.MultiDiscrete([3, 4]), [0, 1, 2], r"of shape \(2,\)"),
        (spaces.MultiBinary(3), [0, 1, 2], r"zeros and ones .* got 2 at \[2\]"),
        (spaces.Box(-1, 1, (2,)), [0.0, np.nan], r"from -1.0 to 1.0, got nan at \[1\]"),
        (spaces.Box(-1, 1, (2,)), [0.0, 1.5], r"got 1.5 at \[1\]"),
        (spaces.Box(-1, 1, (2,)), [[0.0, 0.5]], r"float32 numbers of shape \(2,\)"),
        (spaces.Box(-1, 1, (2,)), [[0.0], [0.5, 1]], "wanted float32 numbers"),
        (spaces.Box(-np.inf, np.inf, (1,)), [1e300], "got 1e"),
        (spaces.Box(0, 255, (1,), np.uint8), [256], "from 0 to 255, got 256"),
        (spaces.Box(0, 255, (1,), np.uint8), [1.0], "uint8 numbers"),
        (spaces.Box(0, 255, (1,), np.uint8), [2**70], "uint8 numbers"),
        (spaces.Text(3, charset="ab"), "abc", "0?1 to 3 of the characters 'ab', got str 'abc'"),
        (spaces.Tuple([spaces.Discrete(2)]), (0, 1), "tuple of 1 items, got 2"),
        (spaces.Tuple([spaces.Discrete(2)]), 5, "tuple of 1 items, got int 5"),
        (
            spaces.Dict(a=spaces.Tuple([spaces.Discrete(2)])),
            {"a": (7,)},
            r"action\['a'\]: \[0\]: wanted .* 7",
        ),
        (spaces.Dict(a=spaces.Discrete(2)), {"b": 1}, "keys 'a', got dict"),
        (spaces.OneOf([spaces.Discrete(2)]), (1, 0), "pair of 0 to 0"),
    ],
)
def test_what_is_not_in_the_space_is_refused_with_what_came_and_what_is_wanted(
    space: spaces.Space[Any], action: Any, message: str
) -> None:
    with pytest.raises(InvalidAction, match=message) as caught:
        ActionCodec(space, seat="left").check(action)
    assert caught.value.seat == "left"
    assert str(caught.value).startswith("seat 'left': action")


def test_a_box_takes_lists_and_other_dtypes_and_makes_them_its_own() -> None:
    codec = ActionCodec(spaces.Box(-1, 1, (2,)))
    for action in ([1, -1], (1.0, -1.0), np.array([1, -1], np.float64), np.array([1, -1], np.int8)):
        checked = codec.check(action)
        assert checked.dtype == np.float32
        assert checked.tolist() == [1, -1]


@pytest.mark.parametrize(
    ("space", "action", "meant"),
    [
        (spaces.Box(-1, 1, (2,)), [1.0000001, -1.0000001], [1, -1]),
        (
            spaces.Box(-1, 1, (2,)),
            np.nextafter(np.array([1, -1], np.float32), np.array([2, -2], np.float32)),
            [1, -1],
        ),
        (spaces.Box(0, 1, (2,)), [-1e-8, 1 + 3e-7], [0, 1]),
        (spaces.Box(-1, 1, (2,)), np.array([1.001, -1.001], np.float16), [1, -1]),
        (spaces.Box(-0.1, 0.1, (2,), np.float64), np.array([0.1, -0.1], np.float32), [0.1, -0.1]),
        (spaces.Box(-1, 1, (2,), np.float64), [np.nextafter(1, 2), -1], [1, -1]),
        (spaces.Box(0, 255, (1,)), [255.00003], [255]),
        (spaces.Box(0, np.inf, (1,)), [-1e-9], [0]),
        (spaces.Box(-1, 1, ()), np.float64(1.0000001), 1),
        (spaces.Box(-1, 1, (1,)), 0.5, [0.5]),
        (spaces.Box(-1, 1, ()), [0.5], 0.5),
        (
            spaces.Box(np.array([-1, -1000], np.float32), np.array([1, 1000], np.float32)),
            [1.0000001, 1000.0001],
            [1, 1000],
        ),
        (spaces.Dict(a=spaces.Box(-1, 1, (1,))), {"a": [1.0000001]}, {"a": [1]}),
    ],
)
def test_what_rounding_has_put_beyond_a_bound_is_the_bound_for_everybody(
    space: spaces.Space[Any], action: Any, meant: Any
) -> None:
    codec = ActionCodec(space)
    checked = codec.check(action)
    assert space.contains(checked)
    assert checksum(checked) == checksum(codec.check(meant))
    assert checksum(codec.decode(codec.encode(checked))) == checksum(checked)


@pytest.mark.parametrize(
    ("space", "action"),
    [
        (spaces.Box(-1, 1, (1,)), [1.00001]),
        (spaces.Box(-1, 1, (1,), np.float64), [1.0000001]),
        (spaces.Box(np.array([-1, -1000], np.float32), np.array([1, 1000], np.float32)), [1.0001, 0]),
        (spaces.Box(0, 0, (1,)), [1e-6]),
        (spaces.Box(0, np.inf, (1,)), [-1e-3]),
        (spaces.Box(-1, 1, (1,)), [-np.inf]),
        (spaces.Dict(aim=spaces.Box(-1, 1, (1,))), {"aim": [2.0]}),
    ],
)
def test_what_lies_beyond_a_bound_is_refused_with_what_clips_it(
    space: spaces.Space[Any], action: Any
) -> None:
    with pytest.raises(InvalidAction, match=r"gymnasium\.wrappers\.ClipAction"):
        ActionCodec(space).check(action)


@pytest.mark.parametrize("action", [[np.nan], [1e300], ["x"]])
def test_clipping_is_not_advised_where_it_would_not_help(action: Any) -> None:
    with pytest.raises(InvalidAction) as refused:
        ActionCodec(spaces.Box(-np.inf, np.inf, (1,))).check(action)
    assert "ClipAction" not in str(refused.value)


def test_a_checked_action_shares_nothing_with_what_came() -> None:
    codec = ActionCodec(spaces.Box(-1, 1, (2,)))
    mine = np.zeros(2, np.float32)
    checked = codec.check(mine)
    mine[0] = 1
    assert checked.tolist() == [0, 0]
    assert codec.decode(codec.encode(checked)).flags.writeable


def test_negative_zero_and_infinities_survive() -> None:
    codec = ActionCodec(spaces.Box(-np.inf, np.inf, (3,)))
    action = codec.check([-0.0, np.inf, -np.inf])
    for back in (
        codec.decode(codec.encode(action)),
        codec.from_json(json.loads(json.dumps(codec.to_json(action)))),
    ):
        assert np.signbit(back).tolist() == [True, False, True]
        assert np.isinf(back).tolist() == [False, True, True]


def test_an_action_of_shape_nothing_is_an_array_like_the_others() -> None:
    codec = ActionCodec(spaces.Box(1, 2, ()))
    for action in (
        codec.default(),
        codec.check(1.5),
        codec.check(np.float32(1.5)),
        codec.decode(b"\0\0\xc0?"),
    ):
        assert type(action) is np.ndarray
        assert action.shape == ()


def test_bits_beyond_the_last_item_have_to_be_zero() -> None:
    codec = ActionCodec(spaces.MultiBinary(3))
    assert codec.encode(codec.check([1, 0, 1])) == b"\xa0"
    with pytest.raises(ProtocolError):
        codec.decode(b"\xa1")


def test_a_peer_cannot_send_nan() -> None:
    codec = ActionCodec(spaces.Box(-np.inf, np.inf, (1,)))
    with pytest.raises(ProtocolError):
        codec.decode(np.array([np.nan], np.float32).tobytes())


def test_a_sequence_is_taken_up_to_what_fits_a_message() -> None:
    space = spaces.Sequence(spaces.Tuple([spaces.Discrete(9), spaces.Box(0, 1, ())]))
    codec = ActionCodec(space)
    action = codec.check([(3, 0.5)] * 7)
    assert checksum(codec.decode(codec.encode(action))) == checksum(action)
    assert codec.from_json(json.loads(json.dumps(codec.to_json(action)))) == action
    assert codec.default() == ()
    with pytest.raises(InvalidAction, match=f"at most {MAX_ACTION_BYTES} fit"):
        codec.check([(3, 0.5)] * 200)
    with pytest.raises(ProtocolError):
        codec.decode(b"\x05" * (MAX_ACTION_BYTES + 1))
    with pytest.raises(ProtocolError):
        codec.decode(b"\xff\xff\xff\xff\x0f")


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (spaces.Box(0, 1, (200,)), "up to 800 bytes.*512 fit"),
        (spaces.MultiBinary(8 * 600), "up to 600 bytes"),
        (spaces.Text(2000), "bytes"),
        (spaces.Tuple([spaces.Discrete(2), spaces.Box(0, 1, (200,))]), "801 bytes"),
        (spaces.Graph(spaces.Discrete(2), None), "a Graph"),
        (spaces.Sequence(spaces.Discrete(2), stack=True), "stack=False"),
        (spaces.Box(0, 1, (2,), np.longdouble), "longdouble"),
    ],
)
def test_a_space_whose_actions_cannot_be_sent_is_refused(space: spaces.Space[Any], message: str) -> None:
    with pytest.raises(UnsupportedEnvironment, match=message):
        ActionCodec(space, seat=0)


def test_the_space_itself_is_left_alone() -> None:
    space = spaces.Dict(a=spaces.Box(-1, 1, (2,)), b=spaces.Discrete(3))
    before = copy.deepcopy(space)
    codec = ActionCodec(space)
    codec.check(codec.default())["a"][:] = 1
    assert space == before
    assert codec.space is space
