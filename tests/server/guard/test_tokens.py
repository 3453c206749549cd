from __future__ import annotations

import base64
import json
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.server.guard.tokens import TokenSigner, UploadClaims, load_secret
from tests.waiting import PATIENCE_S

SIGNER = TokenSigner(b"k" * 32, UploadClaims)
CLAIMS = UploadClaims(match_id="m", player_id=1, player_ids=(1, "1"), expires_at=100.0)


def test_a_token_says_what_was_put_in_until_it_expires() -> None:
    token = SIGNER.issue(CLAIMS)
    assert SIGNER.verify(token, now=99.9) == CLAIMS
    assert SIGNER.verify(token, now=100.0) is None


def test_a_signers_claims_are_prepared_before_threads_can_verify_tokens() -> None:
    program = """
from gym_p2p.server.guard.tokens import JoinClaims, OperatorClaims, TokenSigner, UploadClaims
for kind in (JoinClaims, OperatorClaims, UploadClaims):
    TokenSigner(b"k" * 32, kind)
    print("__msgspec_cache__" in vars(kind))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == ["True"] * 3


def test_another_services_token_is_refused() -> None:
    assert TokenSigner(b"x" * 32, UploadClaims).verify(SIGNER.issue(CLAIMS), now=0) is None


def test_claims_cannot_be_exchanged_under_a_signature() -> None:
    body, _, signature = SIGNER.issue(CLAIMS).partition(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    claims["player_id"] = "1"
    forged = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    assert SIGNER.verify(f"{forged}.{signature}", now=0) is None


@given(st.text() | st.text(alphabet="abcdef._-=", max_size=80))
def test_no_other_text_is_a_token(text: str) -> None:
    assert SIGNER.verify(text, now=0) is None


@given(st.integers(0, 10_000), st.sampled_from("ABCabc012-_."))
def test_no_character_of_a_token_can_be_changed(place: int, letter: str) -> None:
    token = SIGNER.issue(CLAIMS)
    place %= len(token)
    if token[place] != letter:
        assert SIGNER.verify(token[:place] + letter + token[place + 1 :], now=0) is None


def test_what_is_signed_and_nested_too_deeply_is_no_token() -> None:
    body = base64.urlsafe_b64encode(b'{"":' * 1_200).rstrip(b"=").decode()
    assert SIGNER.verify(f"{body}.{SIGNER._signature(body)}", now=0) is None


def test_the_secret_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    secret = load_secret(tmp_path)
    assert load_secret(tmp_path) == secret
    (file,) = tmp_path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(set(secret)) > 1


def test_processes_that_start_together_share_one_secret(tmp_path: Path) -> None:
    secrets: list[bytes] = []
    threads = [threading.Thread(target=lambda: secrets.append(load_secret(tmp_path))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert len(secrets) == 16
    assert len(set(secrets)) == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_a_damaged_secret_is_an_error_and_not_a_weak_key(tmp_path: Path) -> None:
    load_secret(tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_bytes(b"")
    with pytest.raises(OSError, match="damaged"):
        load_secret(tmp_path)
