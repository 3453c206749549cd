from __future__ import annotations

import time
from pathlib import Path

import pytest

from gym_p2p.cli import main
from gym_p2p.cli.secret import JOIN_SECRET, secret
from gym_p2p.errors import ConfigurationError
from gym_p2p.server.guard.tokens import JoinClaims, TokenSigner

SECRET = "j" * 32


def test_a_token_is_printed_that_the_service_accepts_for_its_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(JOIN_SECRET, SECRET)
    assert main(["token", "ann", "--experiment", "pilot", "--ttl", "60"]) == 0
    token = capsys.readouterr().out.strip()
    tokens = TokenSigner(SECRET.encode(), JoinClaims)
    claims = tokens.verify(token, now=time.time())
    assert claims is not None
    assert (claims.subject_id, claims.experiment) == ("ann", "pilot")
    assert tokens.verify(token, now=time.time() + 61) is None


def test_the_secret_may_be_in_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    monkeypatch.setenv(f"{JOIN_SECRET}_FILE", str(tmp_path / "secret"))
    assert main(["token", "ann"]) == 0
    tokens = TokenSigner(SECRET.encode(), JoinClaims)
    assert tokens.verify(capsys.readouterr().out.strip(), now=0) is not None


@pytest.mark.parametrize("value", [None, "too short"])
def test_without_a_good_secret_there_is_no_token(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], value: str | None
) -> None:
    if value is not None:
        monkeypatch.setenv(JOIN_SECRET, value)
    assert main(["token", "ann"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert "too short" not in captured.err


def test_a_subject_that_cannot_be_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(JOIN_SECRET, SECRET)
    with pytest.raises(SystemExit) as ended:
        main(["token", "../../etc"])
    assert ended.value.code == 2


def test_a_secret_in_two_places_or_in_no_file_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(f"{JOIN_SECRET}_FILE", str(tmp_path / "none"))
    with pytest.raises(ConfigurationError, match="cannot read"):
        secret(JOIN_SECRET)
    monkeypatch.setenv(JOIN_SECRET, SECRET)
    with pytest.raises(ConfigurationError, match="not both"):
        secret(JOIN_SECRET)
