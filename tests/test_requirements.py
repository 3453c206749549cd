from __future__ import annotations

import pytest

from tests.requirements import require


def test_what_is_installed_lets_the_test_run() -> None:
    require("attrs", "pip install attrs")
    require("python3", "apt install python3")


def test_what_is_missing_skips_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GYM_P2P_REQUIRE_ALL", raising=False)
    with pytest.raises(pytest.skip.Exception, match="pip install no-such"):
        require("no_such_module.at_all", "pip install no-such")


def test_what_is_missing_fails_when_everything_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GYM_P2P_REQUIRE_ALL", "1")
    with pytest.raises(pytest.fail.Exception, match="pip install no-such"):
        require("no-such-program", "pip install no-such")
