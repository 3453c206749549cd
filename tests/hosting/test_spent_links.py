"""Links whose matches are over, from one start of a host to the next."""

from __future__ import annotations

from pathlib import Path

from tests.hosting.hosts import Host, wait_for
from tests.human.fake_page import FakePage
from tests.waiting import until


def test_a_link_that_is_spent_is_so_when_a_host_is_started_again(tmp_path: Path) -> None:
    arguments = ("--partner", "random", "--links", "1", "--env-arg", "max_frames=20")
    with Host(tmp_path, *arguments) as host:
        (link,) = host.links
        with FakePage(link) as page:
            wait_for(page, "over")
        until(lambda: host.said("p001 has played: done"))
    path = tmp_path / "p2p-exports" / "links.spent.jsonl"
    assert path.stat().st_mode & 0o077 == 0
    with Host(tmp_path, *arguments) as host:
        assert host.said("1 of these links are spent")
        (link,) = host.links
        with FakePage(link) as again:
            until(lambda: again.code == 4003)
        assert again.states[-1] == page.states[-1]
        assert host.seats() == []
