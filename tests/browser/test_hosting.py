"""People with links in a real browser: what the host and their seats tell their pages."""

from __future__ import annotations

from pathlib import Path

from tests.browser.driver import Driver
from tests.browser.seat_page import DRAWN, PHASES, Page
from tests.hosting.hosts import LONG, Host
from tests.waiting import until


def says(page: Page, words: str) -> None:
    page.until(f"document.body.innerText.includes({words!r})")


def test_strangers_wait_play_reload_and_read_how_it_ended_and_what_is_next(
    browser: Driver, tmp_path: Path
) -> None:
    arguments = (
        "--links",
        "3",
        "--seats",
        "2",
        *LONG,
        "--env-arg",
        "max_frames=480",
        "--next",
        "http://127.0.0.1:1/{code}",
    )
    with Host(tmp_path, *arguments) as host:
        one, two, three = host.links
        first = Page(browser, one, init=PHASES)
        says(first, "Nobody else is here yet")
        assert first.ask("value", expression="document.title") == "Waiting · Rally"
        second = Page(browser, two, width=390, height=844, touch=True)
        late = Page(browser, three)
        says(late, "All places are taken")
        first.has_been("countdown")
        first.has_been("playing")
        first.until(DRAWN)
        first.ask("reload")
        first.until(DRAWN)
        first.ask("press", code="ArrowUp")
        second.ask("tap", selector="#pad [data-code=ArrowDown]")
        for page in (first, second):
            page.phase("over")
            says(page, "Code of this game: ")
            assert "close this page" not in page.text()
        until(lambda: host.said("p001 has played: done") and host.said("p002 has played: done"))
        for page in (first, second):
            page.ask("reload")  # the host tells it once more
            says(page, "Code of this game: ")
            page.until("document.getElementById('card-button').textContent === 'Continue'")
            assert page.ask("value", expression="document.title") == "Over · Rally"
        for page in (first, second, late):
            seen = page.ask("seen")
            assert seen["errors"] == []
            assert all(url.startswith("http://127.0.0.1:") for url in seen["requests"])


def test_a_door_gives_a_seat_that_the_page_keeps_and_a_way_to_leave_and_come_again(
    browser: Driver, tmp_path: Path
) -> None:
    with Host(tmp_path) as host:
        page = Page(browser, host.door)
        says(page, "Waiting for the others")
        own = page.ask("value", expression="location.href")
        assert own != host.door
        page.ask("reload")
        says(page, "Waiting for the others")
        assert page.ask("value", expression="location.href") == own
        page.ask("value", expression="document.getElementById('leave').focus()")
        page.ask("press", code="Enter")  # the keyboard alone suffices
        page.ask("release", code="Enter")
        page.ask("value", expression="document.getElementById('leave').focus()")
        page.ask("press", code="Enter")
        page.ask("release", code="Enter")
        says(page, "You left the game")
        until(lambda: not host.seats())
        page.ask("click", selector="#card-button")
        says(page, "Waiting for the others")


def test_a_page_is_told_that_its_process_died_and_that_the_host_is_stopped(
    browser: Driver, tmp_path: Path
) -> None:
    arguments = (
        "--partner",
        "random",
        "--links",
        "2",
        "--seats",
        "2",
        "--hold",
        "5",
        "--rejoin-timeout",
        "0",
        *LONG,
    )
    with Host(tmp_path, *arguments) as host:
        one, two = host.links
        first = Page(browser, one)
        first.phase("playing")
        host.seats()[0].kill()
        says(first, "The game stopped")
        second = Page(browser, two)
        second.phase("playing")
        assert host.end() == 0
        says(second, "It was stopped by whoever runs it.")
