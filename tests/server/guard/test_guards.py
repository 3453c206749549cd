from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from gym_p2p.config import IceServer, ServiceConfig
from gym_p2p.core.api.replies import Code, Refused
from gym_p2p.core.presence.rate_limits import RateLimit
from gym_p2p.errors import ConfigurationError
from gym_p2p.server.guard.guards import Admission, Guards, Identity
from gym_p2p.server.guard.metrics import ServiceMetrics
from gym_p2p.server.guard.tokens import JoinClaims, TokenSigner, UploadClaims
from gym_p2p.server.guard.turn import TurnCredentials, ice_servers_for

SECRET = "s" * 32
TOKENS = TokenSigner(SECRET.encode(), JoinClaims)


class Clock:
    def __init__(self, now: float = 1_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def token(subject: str = "ann", *, secret: str = SECRET, experiment: str = "pilot") -> str:
    claims = JoinClaims(experiment=experiment, subject_id=subject, expires_at=2_000.0, token_id="t1")  # noqa: S106  # no secret
    return TokenSigner(secret.encode(), JoinClaims).issue(claims)


def code(refused: object) -> Code:
    assert isinstance(refused, Refused)
    return refused.code


# ---- join tokens


def test_a_join_token_says_who_it_is_until_it_expires() -> None:
    claims = TOKENS.verify(token(), now=1_999.9)
    assert claims is not None
    assert (claims.subject_id, claims.experiment, claims.token_id) == ("ann", "pilot", "t1")
    assert TOKENS.verify(token(), now=2_000.0) is None


def flipped(text: str, place: int) -> str:
    return text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]


FORGED = {
    "another secret": token(secret="x" * 32),
    "another experiment": token(experiment="main study"),
    "changed claims": flipped(token(), 5),
    "changed signature": flipped(token(), -10 % len(token())),
    "no signature": token().partition(".")[0],
    "empty signature": token().partition(".")[0] + ".",
    "an upload token of the same secret": TokenSigner(SECRET.encode(), UploadClaims).issue(
        UploadClaims(match_id="m", player_id=1, player_ids=(1, 2), expires_at=9e9)
    ),
    "empty": "",
    "a dot": ".",
    "no ascii": "é." + "é" * 43,
    "a lone surrogate": "\ud800",
    "nul": "\x00",
    "huge": "A" * 100_000,
}


@pytest.mark.parametrize("shown", FORGED.values(), ids=FORGED.keys())
def test_what_was_not_signed_for_this_experiment_is_no_token(shown: str) -> None:
    admission = Admission(SECRET, "pilot", now=Clock(0.0))
    assert code(admission.identify({"token": shown})) is Code.UNAUTHENTICATED


@pytest.mark.parametrize("subject", ["", "../../etc", "a/b", "x" * 129, "a\x00"])
def test_no_token_is_made_for_what_can_be_no_subject(subject: str) -> None:
    with pytest.raises(ConfigurationError):
        token(subject)


# ---- admission


def test_in_a_laboratory_everybody_comes_in_and_has_yet_to_say_who_it_is() -> None:
    assert Admission().identify(None) == Identity()


def test_a_token_says_who_comes_in_and_what_else_is_shown_is_passed_on() -> None:
    admission = Admission(SECRET, "pilot", now=Clock())
    assert admission.identify({"token": token()}) == Identity("ann")
    assert admission.identify({"token": token(), "resume_token": "r"}) == Identity("ann", "r")


@pytest.mark.parametrize(
    "auth", [None, "token", [], {}, {"token": None}, {"token": {}}, {"token": FORGED["changed claims"]}]
)
def test_who_shows_no_valid_token_does_not_come_in(auth: object) -> None:
    assert code(Admission(SECRET, "pilot", now=Clock()).identify(auth)) is Code.UNAUTHENTICATED


def test_a_forged_and_an_expired_token_are_not_told_apart() -> None:
    admission = Admission(SECRET, "pilot", now=Clock(3_000.0))
    answers = {admission.identify({"token": shown}) for shown in (token(), FORGED["changed claims"])}
    assert len(answers) == 1


# ---- limits


def make_guards() -> Guards:
    return Guards(
        admission=Admission(), events=RateLimit(30.0, 100), joins=RateLimit(1.0, 3), metrics=ServiceMetrics()
    )


def test_three_bursts_over_the_limit_within_ten_seconds_are_too_many() -> None:
    guards = make_guards()
    assert not any(guards.struck_out("s", 0.01 * number) for number in range(50))  # one burst
    assert not guards.struck_out("s", 2.0)
    assert not guards.struck_out("t", 2.0)
    assert guards.struck_out("s", 4.0)


def test_bursts_that_lie_far_apart_are_forgiven() -> None:
    guards = make_guards()
    assert not any(guards.struck_out("s", 6.0 * number) for number in range(10))


def test_the_tenth_violation_within_ten_seconds_is_one_too_many() -> None:
    guards = make_guards()
    assert [guards.violated("s", 0.5 * number) for number in range(10)] == [False] * 9 + [True]
    assert not guards.violated("s", 10.0)


# ---- TURN


def test_turn_credentials_have_the_form_that_coturn_checks() -> None:
    minted = TurnCredentials(SECRET, now=Clock(1_000.5))
    username, credential = minted.mint("ann", 120)
    expiry, _, tag = username.partition(":")
    assert expiry == "1120"
    assert "ann" not in username
    signature = hmac.new(SECRET.encode(), username.encode(), hashlib.sha1).digest()
    assert base64.b64decode(credential) == signature
    assert minted.mint("ann", 600)[0] == f"1600:{tag}"
    assert minted.mint("bob", 120)[0].partition(":")[2] != tag


def test_only_turn_servers_without_fixed_credentials_get_some() -> None:
    servers = (
        IceServer(urls="stun:a.example"),
        IceServer(urls="turn:b.example"),
        IceServer(urls="turns:c.example", username="u", credential="c"),
    )
    config = ServiceConfig(ice_servers=servers, turn_secret=SECRET)
    stun, turn, fixed = ice_servers_for(config, 120)("ann")
    assert (stun, fixed) == (servers[0], servers[2])
    assert turn.username is not None
    assert turn.urls == servers[1].urls
    with_credentials = (servers[0], servers[2])
    assert ice_servers_for(ServiceConfig(ice_servers=with_credentials), 120)("ann") == with_credentials


# ---- configuration


def test_beyond_loopback_there_is_a_secret_or_an_explicit_laboratory() -> None:
    with pytest.raises(ConfigurationError, match=r"join_secret.*open"):
        ServiceConfig(host="192.0.2.1")
    with pytest.raises(ConfigurationError, match="open"):
        ServiceConfig(join_secret=SECRET, open=True)
    assert ServiceConfig(host="192.0.2.1", open=True).passes_private_candidates
    assert not ServiceConfig(host="192.0.2.1", join_secret=SECRET).passes_private_candidates
    assert ServiceConfig(join_secret=SECRET, private_candidates=True).passes_private_candidates
    assert ServiceConfig().passes_private_candidates
    assert not ServiceConfig(private_candidates=False).passes_private_candidates


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_is_a_laboratory_by_itself(host: str) -> None:
    assert ServiceConfig(host=host).on_loopback


def test_a_short_secret_is_refused_and_no_secret_is_shown() -> None:
    with pytest.raises(ConfigurationError) as caught:
        ServiceConfig(join_secret="hunter2hunter2")  # noqa: S106  # a made-up one
    assert "hunter2" not in str(caught.value)
    assert SECRET not in repr(ServiceConfig(join_secret=SECRET, turn_secret=SECRET))
