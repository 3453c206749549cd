"""The file of links, from one start of a host to the next."""

from __future__ import annotations

from pathlib import Path

import pytest

from gym_p2p.errors import ConfigurationError
from gym_p2p.hosting.link_file import new_links, read_links, write_links

RALLY = "gym_p2p/Rally-v0"


def written(folder: Path, env: str) -> Path:
    path = folder / "links.csv"
    write_links(path, new_links([], 2, expires_at=2e9), lambda link: f"https://x.example/{link.token}/", env)
    return path


@pytest.mark.parametrize("env", [RALLY, f"gym_p2p.envs:{RALLY}"])
@pytest.mark.parametrize("other", [RALLY, f"gym_p2p.envs:{RALLY}"])
def test_links_are_read_again_by_whichever_name_of_their_environment(
    tmp_path: Path, env: str, other: str
) -> None:
    assert [link.code for link in read_links(written(tmp_path, env), other)] == ["p001", "p002"]


@pytest.mark.parametrize("other", ["CartPole-v1", f"others:{RALLY}", "games:make"])
def test_links_that_were_given_out_for_one_game_lead_to_no_other(tmp_path: Path, other: str) -> None:
    path = written(tmp_path, f"gym_p2p.envs:{RALLY}")
    with pytest.raises(ConfigurationError, match=r"are for gym_p2p.envs:gym_p2p/Rally-v0; name another"):
        read_links(path, other)


def test_a_file_that_does_not_say_what_its_links_are_for_holds_on(tmp_path: Path) -> None:
    path = tmp_path / "links.csv"
    path.write_text(f"code,expires,link\np001,,https://x.example/{'t' * 32}/\n")
    (link,) = read_links(path, RALLY)
    assert (link.code, link.expires_at) == ("p001", None)


def test_where_there_is_no_file_there_are_no_links(tmp_path: Path) -> None:
    assert read_links(tmp_path / "links.csv", RALLY) == []
