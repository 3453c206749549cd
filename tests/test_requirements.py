from __future__ import annotations

import pytest

from tests.requirements import require


def outcome(module_or_program: str) -> str:
    """Return what becomes of a test that requires this."""
    try:
        require(module_or_program, "pip install it")
    except pytest.skip.Exception as skipped:
        return f"skipped: {skipped}"
    except pytest.fail.Exception as failed:
        return f"failed: {failed}"
    return "runs"


NO_MODULE = "no_such_module.at_all"
NO_PROGRAM = "no-such-program"


@pytest.mark.parametrize("everything", ["0", "1"])
@pytest.mark.parametrize("there", ["attrs", "importlib.util", "python3"])
def test_what_is_installed_lets_the_test_run(
    monkeypatch: pytest.MonkeyPatch, there: str, everything: str
) -> None:
    monkeypatch.setenv("GYM_P2P_REQUIRE_ALL", everything)
    assert outcome(there) == "runs"


@pytest.mark.parametrize("missing", [NO_MODULE, NO_PROGRAM])
def test_what_is_missing_skips_with_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.delenv("GYM_P2P_REQUIRE_ALL", raising=False)
    assert outcome(missing) == f"skipped: needs {missing}; install it with: pip install it"


@pytest.mark.parametrize("missing", [NO_MODULE, NO_PROGRAM])
def test_what_is_missing_fails_when_everything_is_required(
    monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.setenv("GYM_P2P_REQUIRE_ALL", "1")
    assert outcome(missing) == f"failed: needs {missing}; install it with: pip install it"
