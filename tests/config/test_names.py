from __future__ import annotations

import json
import shutil

import pytest

from gym_p2p.config.names import did_you_mean, load_callable, load_named, name_of, without_addresses
from gym_p2p.errors import ConfigurationError


def test_a_function_or_a_method_is_found_by_its_name() -> None:
    assert load_named("hook", "shutil:which") is shutil.which
    assert load_named("hook", "json:JSONDecoder.decode") is json.JSONDecoder.decode


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("shutil", "module:function"),
        (":which", "module:function"),
        ("shutil:", "module:function"),
        ("no_such_module:f", "No module"),
        ("shutil:no_such_function", "no attribute"),
        ("json:decoder.nothing", "no attribute"),
        ("..up:f", "module:function"),
        ("shutil:COPY_BUFSIZE", "cannot be called"),
    ],
)
def test_what_leads_nowhere_names_the_option_and_the_reason(name: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        load_named("hook", name)
    assert caught.value.option == "hook"


def test_a_name_that_comes_near_is_proposed_and_all_are_listed_where_none_does() -> None:
    known = ["rollback", "lockstep", "lockscrew"]
    assert did_you_mean("lockstpe", known) == "; did you mean 'lockstep'?"
    assert did_you_mean("lockstew", known, most=2) == "; did you mean 'lockstep' or 'lockscrew'?"
    assert did_you_mean("zzz", known) == "; known are lockscrew, lockstep, rollback"
    assert did_you_mean("zzz", known, list_all=False) == ""


def test_what_documents_call_a_function_leads_back_to_it() -> None:
    assert load_named("hook", name_of(shutil.which)) is shutil.which
    assert load_named("hook", name_of(json.JSONDecoder.decode)) is json.JSONDecoder.decode


@pytest.mark.parametrize(
    ("shown", "left"),
    [
        ("<lab.Greedy object at 0x7f5c3a2b1d90>", "<lab.Greedy object>"),
        (
            "<bound method Greedy.act of <lab.Greedy object at 0x7f5c>>",
            "<bound method Greedy.act of <lab.Greedy object>>",
        ),
        ("<Greedy 0x7f5c>", "<Greedy>"),
        (
            "functools.partial(<function act at 0x7f5c>, ' 0x1f')",
            "functools.partial(<function act>, ' 0x1f')",
        ),
        ("partial(f, 0x1f, g=<function g at 0x7f5c>)", "partial(f, 0x1f, g=<function g>)"),
        ("<A at 0x1 of <function f.<locals>.<lambda> at 0x2>>", "<A of <function f.<locals>.<lambda>>>"),
    ],
)
def test_addresses_are_left_out_and_arguments_are_not(shown: str, left: str) -> None:
    assert without_addresses(shown) == left


def test_a_function_is_taken_as_it_is_or_by_its_name() -> None:
    assert load_callable("hook", shutil.which) is shutil.which
    assert load_callable("hook", "shutil:which") is shutil.which
    with pytest.raises(ConfigurationError, match="wanted a callable or 'module:function', got 5") as caught:
        load_callable("hook", 5)
    assert caught.value.option == "hook"
