from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.core.record.folders import match_folder, short_id


@given(st.text(max_size=200), st.integers(), st.text(max_size=200))
def test_no_ids_and_no_time_make_more_than_one_harmless_part_of_a_path(
    match_id: str, made_at_ms: int, place: str
) -> None:
    name = match_folder(match_id, made_at_ms=made_at_ms, place=place)
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,100}", name)
    assert not name.startswith(".")
    assert name.endswith(f"-{short_id(match_id)}")


@given(st.lists(st.text(), unique=True, min_size=2, max_size=20))
def test_different_matches_have_different_short_ids(match_ids: list[str]) -> None:
    assert len(set(map(short_id, match_ids))) == len(match_ids)


def test_folders_are_sorted_by_time_as_they_are_sorted_by_name() -> None:
    times_ms = range(0, 10**13, 86_400_000 * 37 + 12_345)
    names = [match_folder(str(at_ms), made_at_ms=at_ms, place="lab") for at_ms in times_ms]
    assert names == sorted(names)


def test_the_short_id_of_a_services_match_is_the_end_of_its_id() -> None:
    match_id = f"match-{0x51AB:032x}"
    assert match_folder(match_id, made_at_ms=0, place="a/b:c") == "1970-01-01T000000Z-a-b-c-000051ab"
