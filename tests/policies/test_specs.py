from __future__ import annotations

from pathlib import Path

import pytest

from gym_p2p.errors import UsageError
from gym_p2p.policies.specs import PolicySpec, read_spec


@pytest.mark.parametrize(
    ("text", "spec", "shown"),
    [
        ("random", PolicySpec(kind="random"), "random"),
        ("scripted", PolicySpec(kind="scripted"), "scripted"),
        ("a.b:c.d", PolicySpec(kind="function", module="a.b", function="c.d"), "a.b:c.d"),
        ("sb3:x.zip", PolicySpec(kind="sb3", file=Path("x.zip")), "sb3:x.zip"),
        ("sb3:PPO:a/x.zip", PolicySpec(kind="sb3", file=Path("a/x.zip"), algorithm="PPO"), "sb3:PPO:x.zip"),
        ("sb3:C:x.zip", PolicySpec(kind="sb3", file=Path("C:x.zip")), "sb3:C:x.zip"),
        ("sb3:PPO:a:b.zip", PolicySpec(kind="sb3", file=Path("a:b.zip"), algorithm="PPO"), "sb3:PPO:a:b.zip"),
        ("onnx:/m/x.onnx", PolicySpec(kind="onnx", file=Path("/m/x.onnx")), "onnx:x.onnx"),
    ],
)
def test_what_is_written_is_read_and_shown_without_a_folder(text: str, spec: PolicySpec, shown: str) -> None:
    assert read_spec(text) == spec
    assert str(spec) == shown


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("randon", "did you mean 'random'"),
        ("model.zip", "did you mean 'sb3:model.zip'"),
        ("models/a.onnx", "did you mean 'onnx:models/a.onnx'"),
        ("sb3:", "which file"),
        ("sb3:PPO:", "no policy 'sb3:PPO:'"),
        ("onnx:", "which file"),
        ("", "no policy ''"),
        (":", "no policy ':'"),
        ("a b:c", "no policy 'a b:c'"),
    ],
)
def test_what_is_no_policy_is_refused_with_what_could_be(text: str, said: str) -> None:
    with pytest.raises(UsageError) as error:
        read_spec(text)
    assert said in str(error.value)
    assert "onnx:FILE.onnx" in str(error.value)
