"""Who sits where: links that are spent, rooms that fill, a house that is full."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.hosting.house import Enter, House, Refuse, Why
from gym_p2p.hosting.links import Link, Links

NOW = 1_000.0


def link(code: str, expires_at: float | None = None) -> Link:
    return Link(code=code, token=f"token-of-{code}", expires_at=expires_at)


def test_a_link_has_one_seat_however_often_it_is_opened() -> None:
    house = House(seats=2)
    assert house.visit(link("a"), NOW) == Enter(new=True)
    assert house.visit(link("a"), NOW) == Enter(new=False)
    assert house.taken == 1


def test_who_comes_to_a_full_house_is_asked_to_wait_and_gets_the_next_seat_that_is_free() -> None:
    house = House(seats=1)
    house.visit(link("a"), NOW)
    assert house.visit(link("b"), NOW) == Refuse(Why.FULL)
    house.ended("a")
    assert house.visit(link("b"), NOW) == Enter(new=True)


def test_a_seat_that_was_given_up_before_a_match_can_be_taken_again() -> None:
    house = House(seats=1)
    house.visit(link("a"), NOW)
    house.ended("a", {"phase": "over"})
    assert house.visit(link("a"), NOW) == Enter(new=True)


def test_a_link_is_spent_with_its_match_and_tells_how_that_ended() -> None:
    house = House(seats=1)
    house.visit(link("a"), NOW)
    house.began("a")
    house.ended("a", {"phase": "over", "code": "c0de"})
    told = Refuse(Why.OVER, {"phase": "over", "code": "c0de"})
    assert house.visit(link("a"), NOW) == house.visit(link("a"), NOW) == told
    assert house.taken == 0


def test_an_expired_link_takes_no_seat_and_keeps_the_one_it_has() -> None:
    house = House(seats=2)
    old = link("a", expires_at=NOW)
    assert house.visit(old, NOW - 1) == Enter(new=True)
    assert house.visit(old, NOW) == Enter(new=False)
    assert house.visit(link("b", expires_at=NOW), NOW) == Refuse(Why.EXPIRED)


def test_a_process_that_died_is_told_and_started_again_by_a_reload() -> None:
    house = House(seats=2)
    house.visit(link("a"), NOW)
    house.ended("a", crashed=True)
    assert house.visit(link("a"), NOW) == Refuse(Why.CRASHED, {"phase": "over", "again": True})
    assert house.visit(link("a"), NOW) == Enter(new=True)
    house.began("a")
    house.ended("a", crashed=True)
    assert house.visit(link("a"), NOW) == Refuse(Why.CRASHED, {"phase": "over", "again": True})
    assert house.visit(link("a"), NOW) == Enter(new=True)


def test_a_match_that_the_host_broke_off_does_not_spend_a_link_and_one_that_was_played_does() -> None:
    house = House(seats=2)
    house.visit(link("a"), NOW)
    house.began("a")
    house.ended("a", {"phase": "over"}, spends=False)
    assert not house.has_begun("a")
    assert house.visit(link("a"), NOW) == Enter(new=True)
    house.began("a")
    house.ended("a", {"phase": "over"})
    assert house.visit(link("a"), NOW) == Refuse(Why.OVER, {"phase": "over"})


def test_a_link_that_was_spent_before_a_host_was_started_again_tells_how_its_match_ended() -> None:
    house = House(seats=2)
    house.spend("a", {"phase": "over", "code": "c0de"})
    told = Refuse(Why.OVER, {"phase": "over", "code": "c0de"})
    assert house.visit(link("a"), NOW) == house.visit(link("a"), NOW) == told
    assert house.visit(link("b"), NOW) == Enter(new=True)


def test_nobody_new_is_let_into_a_house_that_closes() -> None:
    house = House(seats=2)
    house.visit(link("a"), NOW)
    house.closing = True
    assert house.visit(link("a"), NOW) == Enter(new=False)
    assert house.visit(link("b"), NOW) == Refuse(Why.CLOSING)


def test_people_who_play_with_programs_fill_one_room_after_the_other() -> None:
    house = House(seats=9, people=2, room_prefix="lab")
    entered = [house.visit(link(code), NOW) for code in "abcd"]
    assert entered == [
        Enter(new=True, room="lab.1", place=0, first=True),
        Enter(new=True, room="lab.1", place=1),
        Enter(new=True, room="lab.2", place=0, first=True),
        Enter(new=True, room="lab.2", place=1),
    ]


def test_who_gives_up_before_the_match_makes_room_in_it_and_the_last_one_ends_its_programs() -> None:
    house = House(seats=9, people=2, room_prefix="lab")
    house.visit(link("a"), NOW)
    house.visit(link("b"), NOW)
    assert house.ended("a") is None
    assert house.visit(link("c"), NOW) == Enter(new=True, room="lab.1", place=0)
    house.began("c")
    house.began("b")
    assert house.ended("b") is None
    assert house.visit(link("d"), NOW) == Enter(new=True, room="lab.2", place=0, first=True)
    assert house.ended("c") == "lab.1"
    assert house.ended("d") == "lab.2"


def test_that_a_process_died_is_told_to_who_hears_it_and_not_used_up_before() -> None:
    house = House(seats=1)
    house.visit(link("a"), NOW)
    house.ended("a", crashed=True)
    crashed = Refuse(Why.CRASHED, {"phase": "over", "again": True})
    assert house.visit(link("a"), NOW, hears=False) == house.visit(link("a"), NOW, hears=False) == crashed
    assert house.visit(link("a"), NOW) == crashed
    assert house.visit(link("a"), NOW) == Enter(new=True)


def test_nobody_is_let_into_a_room_whose_programs_have_gone_to_wait_there_in_vain() -> None:
    house = House(seats=9, people=2, room_prefix="lab")
    house.visit(link("a"), NOW)
    assert house.give_up("lab.1") == ["a"]
    assert house.visit(link("b"), NOW) == Enter(new=True, room="lab.2", place=0, first=True)
    assert house.ended("a") == "lab.1"
    assert house.visit(link("a"), NOW) == Enter(new=True, room="lab.2", place=1)
    house.began("a")
    assert house.give_up("lab.2") == [], "who plays is told by the match"


@given(
    st.lists(st.tuples(st.sampled_from(["visit", "began", "ended", "died"]), st.sampled_from("abcdef"))),
    st.integers(1, 4),
    st.sampled_from([None, 1, 2]),
)
def test_no_more_sit_than_there_are_seats_and_nobody_twice(
    happens: list[tuple[str, str]], seats: int, people: int | None
) -> None:
    house = House(seats=seats, people=people)
    sitting: dict[str, str | None] = {}
    for what, code in happens:
        if what == "visit":
            answer = house.visit(link(code), NOW)
            if isinstance(answer, Enter):
                assert answer.new == (code not in sitting)
                if answer.new:
                    sitting[code] = answer.room
            else:
                assert code not in sitting
                assert answer.why is not Why.FULL or len(sitting) == seats
        elif what == "began" and code in sitting:
            house.began(code)
        elif what in {"ended", "died"}:
            house.ended(code, crashed=what == "died")
            sitting.pop(code, None)
        assert house.taken == len(sitting) <= seats
        rooms = [room for room in sitting.values() if room is not None]
        assert all(rooms.count(room) <= (people or 0) for room in rooms)


def test_links_are_found_by_their_whole_token_alone() -> None:
    links = Links([link("a"), link("b")], lambda: link("new"))
    assert links.find("token-of-a") == link("a")
    for wrong in ("", "token-of-", "token-of-c", "token-of-a\0", "\ud800", "token-of-a" * 1000):
        assert links.find(wrong) is None
    assert "token-of-a" not in repr(link("a"))


def test_a_door_gives_everybody_a_link_and_forgets_the_oldest_that_nobody_used() -> None:
    numbers = iter(range(20_000))
    links = Links([], lambda: link(f"v{next(numbers)}"))
    first, second = links.give(), links.give()
    links.used(first)
    for _ in range(10_000):
        links.give()
    assert links.find(first.token) == first
    assert links.find(second.token) is None
