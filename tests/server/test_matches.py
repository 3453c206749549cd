"""Another upload token for a player whose own has expired, and what it is good for."""

from __future__ import annotations

from pathlib import Path

import pytest

from gym_p2p.cli.commands import main
from gym_p2p.config import ServiceConfig
from gym_p2p.errors import ConfigurationError
from gym_p2p.server import serve_in_thread
from gym_p2p.server.guard.tokens import UploadClaims
from gym_p2p.server.matches import MATCHES, MatchesFile, fresh_claims
from tests.server.clients import Match, folder_of
from tests.server.raw import match_two
from tests.waiting import until

CLAIMS = UploadClaims(
    match_id="match-1",
    player_id=1,
    player_ids=(1, "1", "left"),
    subject_ids=("ann", "bob", "eve"),
    expires_at=0.0,
    folder="2027-01-15T080000Z-lab-c0ffee00",
    made_at=1.0,
)


@pytest.mark.parametrize(
    ("player", "wanted"), [("1", 1), ('"1"', "1"), ("left", "left"), ('"left"', "left"), ("bob", "1")]
)
@pytest.mark.parametrize("match", ["match-1", "2027-01-15T080000Z-lab-c0ffee00"])
def test_a_player_is_named_by_id_or_subject_and_a_match_by_id_or_folder(
    tmp_path: Path, match: str, player: str, wanted: int | str
) -> None:
    MatchesFile(tmp_path).keep(CLAIMS)
    with (tmp_path / MATCHES).open("ab") as raw:
        raw.write(b'{"match_id": "to')
    MatchesFile(tmp_path).keep(CLAIMS)
    claims = fresh_claims(tmp_path, match, player, expires_at=9.0)
    assert claims.player_id == wanted
    assert type(claims.player_id) is type(wanted)
    assert (claims.expires_at, claims.player_ids, claims.made_at) == (9.0, CLAIMS.player_ids, 1.0)


@pytest.mark.parametrize(
    ("match", "player", "said"),
    [
        ("match-2", "left", "match: no match 'match-2' was made here"),
        ("match-1", "right", 'player: wanted one of 1 (ann), "1" (bob), "left" (eve), got \'right\''),
    ],
)
def test_whom_nobody_knows_is_said(tmp_path: Path, match: str, player: str, said: str) -> None:
    MatchesFile(tmp_path).keep(CLAIMS)
    with pytest.raises(ConfigurationError) as refused:
        fresh_claims(tmp_path, match, player, expires_at=9.0)
    assert said in str(refused.value)


def test_documents_are_taken_with_a_new_token_once_the_own_one_has_expired(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve_in_thread(ServiceConfig(port=0, data_dir=tmp_path, token_lifetime_s=1.0)) as service:
        ann, bob, found, _ = match_two(service.url)
        match = Match(service.url, found["match_id"], {"first": found["token"]})
        until(lambda: match.put(match.document())[0] == 401)
        command = ["exports", "token", "--data-dir", str(tmp_path), "--match", match.match_id]
        assert main([*command, "--player", "first"]) == 0
        token = capsys.readouterr().out.strip()
        assert match.put(match.document(), token=token)[0] == 200
        assert match.put(match.document("second"), player="second", token=token)[0] == 403
        ann.close()
        bob.close()
    assert folder_of(tmp_path, match.match_id).is_dir()


def test_a_folder_that_is_no_services_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["exports", "token", "--data-dir", str(tmp_path), "--match", "m", "--player", "p"]
    assert main(command) == 2
    assert "is no service's data directory" in capsys.readouterr().err
