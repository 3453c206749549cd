from __future__ import annotations

import json
import shutil

import pytest

from gym_p2p.config.names import load_named
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
