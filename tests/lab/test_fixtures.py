"""Where there can be no laboratory, its tests say why, and pass nowhere by accident."""

from __future__ import annotations

import os

import pytest

from tests.lab import why_not
from tests.lab.fixtures import refuse


def test_missing_tool_is_named_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert "apt-get install iproute2 nftables" in (why_not() or "")


def test_want_of_root_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda tool: f"/usr/sbin/{tool}")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "root" in (why_not() or "")


def test_test_is_skipped_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GYM_P2P_REQUIRE_ALL", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no tools"):
        refuse("no tools")


def test_test_fails_where_nothing_may_be_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GYM_P2P_REQUIRE_ALL", "1")
    with pytest.raises(pytest.fail.Exception, match="no tools"):
        refuse("no tools")
