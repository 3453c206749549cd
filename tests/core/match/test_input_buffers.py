from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.core.match.input_buffers import LocalInputs, RemoteInputs
from gym_p2p.core.wire.messages import INPUT_HEAD_BYTES, MAX_INPUTS_PER_MESSAGE


def test_remote_inputs_take_what_continues_and_skip_what_is_there() -> None:
    remote_inputs = RemoteInputs()
    assert remote_inputs.add(0, (b"a", b"b")) == (b"a", b"b")
    assert remote_inputs.add(0, (b"a", b"b", b"c")) == (b"c",)
    assert remote_inputs.add(1, (b"b",)) == ()
    assert remote_inputs.add(5, (b"f",)) == ()
    assert remote_inputs.count == 3


def test_local_inputs_repeat_what_is_not_acknowledged_as_far_as_it_fits() -> None:
    local_inputs = LocalInputs()
    for number in range(10):
        local_inputs.add(bytes([number]))
    assert local_inputs.after(7, 1000) == (7, (b"\x07", b"\x08", b"\x09"))
    assert local_inputs.after(0, 12) == (0, (b"\x00", b"\x01", b"\x02"))
    local_inputs.forget(8)
    assert local_inputs.after(0, 1000) == (8, (b"\x08", b"\x09"))
    assert local_inputs.count == 10


def test_no_message_holds_more_inputs_than_it_may() -> None:
    local_inputs = LocalInputs()
    for _ in range(MAX_INPUTS_PER_MESSAGE + 1):
        local_inputs.add(b"")
    start, inputs = local_inputs.after(0, 1_000_000)
    assert (start, len(inputs)) == (0, MAX_INPUTS_PER_MESSAGE)


@given(st.lists(st.binary(max_size=40), max_size=30), st.integers(0, 30), st.integers(0, 300))
def test_what_fits_is_the_longest_beginning_within_the_budget(
    data: list[bytes], start: int, budget: int
) -> None:
    local_inputs = LocalInputs()
    for one in data:
        local_inputs.add(one)
    first, inputs = local_inputs.after(start, budget)
    assert first == start
    assert list(inputs) == data[start : start + len(inputs)]
    costs = [len(one) + INPUT_HEAD_BYTES for one in data[start : start + len(inputs) + 1]]
    assert sum(costs[: len(inputs)]) <= budget
    assert len(costs) == len(inputs) or sum(costs) > budget


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 8)), max_size=40))
def test_whatever_is_repeated_or_missing_each_input_is_taken_once_and_in_order(
    batches: list[tuple[int, int]],
) -> None:
    remote_inputs = RemoteInputs()
    taken: list[bytes] = []
    for start, count in batches:
        taken += remote_inputs.add(start, [bytes([frame]) for frame in range(start, start + count)])
    assert taken == [bytes([frame]) for frame in range(remote_inputs.count)]


def test_inputs_are_forgotten_only_below_what_everybody_holds() -> None:
    remote_inputs = RemoteInputs()
    remote_inputs.add(0, [b"a", b"b", b"c"])
    remote_inputs.forget(2)
    assert remote_inputs.after(2, 100) == (2, (b"c",))
    remote_inputs.forget(99)
    assert remote_inputs.after(0, 100) == (3, ())
    assert remote_inputs.add(3, [b"d"]) == [b"d"]
