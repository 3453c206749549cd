from __future__ import annotations

from gym_p2p.core.spectating.log import BroadcastLog
from gym_p2p.core.spectating.messages import EpisodeOver, FrameDigest, decode_feed, encode_frames
from tests.core.spectating.parties import begun, frame


def log_of(frames: int, max_bytes: int = 10**9) -> BroadcastLog:
    log = BroadcastLog(max_bytes)
    log.take(begun(1), None)
    for number in range(frames):
        log.take(frame(number), None)
    return log


def numbers(log: BroadcastLog) -> list[int]:
    found = []
    number = 0
    while (episode := log.first_from(number)) is not None:
        found.append(episode.number)
        number = episode.number + 1
    return found


def test_frames_stand_as_they_travel() -> None:
    episode = log_of(3).newest
    assert episode is not None
    pieces = episode.piece(1, 10_000)
    shown = decode_feed(encode_frames(1, 1, 3, pieces))
    assert getattr(shown, "frames", None) == (frame(1).by_seat, frame(2).by_seat)


def test_a_piece_is_as_much_as_fits_and_one_frame_at_least() -> None:
    episode = log_of(10).newest
    assert episode is not None
    size = len(episode.frames[0])
    assert len(episode.piece(0, 3 * size)) == 3
    assert len(episode.piece(0, 3 * size - 1)) == 2
    assert len(episode.piece(0, 0)) == 1
    assert episode.piece(10, 1000) == []


def test_what_comes_without_a_running_episode_is_ignored() -> None:
    log = BroadcastLog()
    for shown in (frame(0), FrameDigest(1, 0, b"x"), EpisodeOver(1, 1, completed=True)):
        log.take(shown, None)
    assert log.newest is None
    log = log_of(1)
    log.take(EpisodeOver(1, 1, completed=True), None)
    log.take(frame(1), None)
    assert log.newest is not None
    assert (log.newest.count, log.newest.completed) == (1, True)


def test_a_new_episode_ends_the_one_before_as_not_completed() -> None:
    log = log_of(1)
    log.take(begun(2), None)
    first = log.first_from(1)
    assert first is not None
    assert first.completed is False


def test_old_episodes_are_forgotten_unless_somebody_is_in_the_middle_of_one() -> None:
    log = log_of(1)
    for number in (2, 3, 4):
        log.take(begun(number), 1)
    assert numbers(log) == [1, 2, 3, 4]
    log.take(begun(5), 4)
    assert numbers(log) == [4, 5]


def test_the_older_half_is_forgotten_of_an_episode_that_is_too_long() -> None:
    log = log_of(100, max_bytes=50 * 80)
    episode = log.newest
    assert episode is not None
    assert episode.count == 100
    assert 0 < len(episode.frames) <= 60
    assert log.keeps(episode, episode.base)
    assert not log.keeps(episode, episode.base - 1)
    assert decode_feed(encode_frames(1, 99, 100, episode.piece(99, 100)))


def test_digests_below_the_first_kept_frame_are_forgotten_with_the_frames() -> None:
    log = log_of(10)
    episode = log.newest
    assert episode is not None
    for number in (2, 5, 8):
        log.take(FrameDigest(1, number, b"x"), None)
    assert (episode.digest_count, episode.digests_from(3), episode.digests_from(9)) == (3, 1, 3)
    episode.forget_half()
    assert (episode.base, episode.digest_count) == (5, 3)
    assert episode.digest(0) == FrameDigest(1, 5, b"x")
    assert episode.digests_from(0) == 1
