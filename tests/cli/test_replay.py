from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest

import gym_p2p.cli.replay
from gym_p2p.cli import main
from gym_p2p.cli.pictures import Gif, Mp4, Window, _is_whole_mp4, enlarged
from gym_p2p.errors import ConfigurationError
from gym_p2p.game.env.load import load_environment
from gym_p2p.game.env.seats import make_game
from gym_p2p.game.replay.writer import ReplayWriter
from tests.replays import CHECKED_EVERY, header_of, play_and_record, record, rewrite
from tests.requirements import require

RALLY = "gym_p2p/Rally-v0"
_VIDEO = "pip install 'gym_p2p[video]'"


@pytest.fixture(scope="module")
def rally(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rally") / "rally.p2preplay"
    record(path, RALLY, {"max_frames": 40}, seeds=(1, 2))
    return path


def run(*arguments: str | Path, hash_seed: int = 7) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gym_p2p", "replay", *map(str, arguments)],
        env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def run_here(*arguments: str | Path) -> int:
    return main(["replay", *map(str, arguments)])


def test_a_match_is_verified_in_a_fresh_process(rally: Path) -> None:
    done = run(rally)
    said = [line for line in done.stderr.splitlines() if not line.endswith(" ...")]  # but for what took long
    assert (done.returncode, said) == (0, [])
    assert "match-1" in done.stdout
    assert "80 frames and 8 checksums agree" in done.stdout
    assert "2023-11-14" in done.stdout


def test_a_reader_that_goes_away_is_no_difference(rally: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "gym_p2p", "replay", str(rally)]
    try:
        done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, timeout=60, check=False)
    finally:
        os.close(writing)
    assert done.returncode == 141


def test_json_says_everything(rally: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_here(rally, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is True
    assert told["frames"] == told["framesAgreed"] == 80
    assert told["differences"] == told["warnings"] == []
    assert told["header"]["environment"]["kwargs"] == {"max_frames": 40}


def test_a_forged_match_is_told_with_its_frame_and_exit_code_1(
    rally: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def change(records: list[Any]) -> None:
        frames = records[2]
        rewards = [*frames.rewards[:21], (1.0, 0.0), *frames.rewards[22:]]
        records[2] = attrs.evolve(frames, rewards=tuple(rewards))

    rewrite(rally, tmp_path / "forged.p2preplay", change)
    out = tmp_path / "out.jsonl"
    assert run_here(tmp_path / "forged.p2preplay", "--to", out) == 1
    told = capsys.readouterr().out
    assert "episode 1, frame 21: rewards differ: recorded [1.0, 0.0]" in told
    assert "all agreed up to frame 19" in told
    assert not out.exists()


def test_a_tampered_file_is_told_with_its_place_and_exit_code_1(
    rally: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = rally.read_bytes()
    tampered = tmp_path / "tampered.p2preplay"
    tampered.write_bytes(whole[:-80] + bytes([whole[-80] ^ 1]) + whole[-79:])
    assert run_here(tampered) == 1
    assert "digest is wrong" in capsys.readouterr().err
    assert run_here(tampered, "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is False
    assert "of episode 2" in told["damage"]["where"]


def test_a_cut_file_is_told_and_exit_code_1(
    rally: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cut = tmp_path / "cut.p2preplay.part"
    cut.write_bytes(rally.read_bytes()[:-60])
    assert run_here(cut) == 1
    assert "the end of the recording is missing" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.p2preplay"], "cannot be read"),
        ([__file__], "no recorded match"),
        (["RALLY", "--env-arg", "points=3"], "goes with --env"),
        (["RALLY", "--video", "a.avi"], r".gif or .mp4"),
        (["RALLY", "--video", "none/a.gif"], "no such folder"),
        (["RALLY", "--to", "a.txt"], ".jsonl, .csv, .parquet"),
        (["RALLY", "--env", "gym_p2p/Raly-v0"], "did you mean"),
        (["RALLY", "--env", "CartPole-v1"], "seats"),
    ],
)
def test_wrong_usage_is_exit_code_2(
    rally: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert run_here(*[rally if argument == "RALLY" else argument for argument in arguments]) == 2
    assert message in capsys.readouterr().err


def test_an_environment_that_the_file_does_not_name_is_named_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    game = make_game(load_environment("gym_p2p.envs.rally", {"max_frames": 20}))
    writer = ReplayWriter(tmp_path / "a.p2preplay", header_of(game), checked_every=CHECKED_EVERY)
    play_and_record(game, writer)
    writer.close()
    assert run_here(writer.path) == 2
    assert "name it (--env" in capsys.readouterr().err
    assert run_here(writer.path, "--env", "gym_p2p.envs.rally", "--env-arg", "max_frames=20") == 0
    assert run_here(writer.path, "--env", "gym_p2p.envs.rally", "--env-arg", "max_frames=10") == 1
    out = capsys.readouterr().out
    assert "not as then: argument max_frames: recorded 20, here 10" in out
    assert "ends differ" in out


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_atari_pong_is_verified_in_a_fresh_process_and_written(tmp_path: Path) -> None:
    for module in ("multi_agent_ale_py", "ale_py", "pygame"):
        require(module, "pip install 'gym_p2p[envs]'")
    path = tmp_path / "pong.p2preplay"
    (played,) = record(path, "pettingzoo.atari.pong_v3", {"obs_type": "ram"}, frames=120)
    done = run(path, "--to", tmp_path / "pong.jsonl", hash_seed=123)
    assert (done.returncode, "120 frames and 12 checksums agree" in done.stdout) == (0, True), done
    rows = [json.loads(line) for line in (tmp_path / "pong.jsonl").read_text().splitlines()]
    assert [row["observation"] for row in rows[2:4]] == [
        [int(number) for number in observation] for observation in played.outcomes[0].observations
    ]
    assert len(rows) == 240


def test_a_gif_has_as_many_images_as_the_match_has_frames(rally: Path, tmp_path: Path) -> None:
    require("PIL", _VIDEO)
    from PIL import Image  # noqa: PLC0415 - optional

    gif = tmp_path / "match.gif"
    assert run_here(rally, "--video", gif, "--fps", "25") == 0
    env = load_environment(RALLY, {"max_frames": 40, "render_mode": "rgb_array"})
    env.reset(seed=1)
    with Image.open(gif) as image:
        assert image.n_frames == 80  # type: ignore[attr-defined]  # of an animation
        shown = []
        for frame in range(80):
            image.seek(frame)
            assert image.info["duration"] == 40
            shown.append(np.asarray(image.convert("RGB"), int))
    assert shown[0].shape == env.render().shape
    assert any((a != b).any() for a, b in itertools.pairwise(shown))
    assert np.abs(shown[0] - env.render()).mean() < 4  # 256 colours, and one frame later
    assert list(tmp_path.iterdir()) == [gif]


def test_a_gif_shows_every_picture_as_it_is(tmp_path: Path) -> None:
    require("PIL", _VIDEO)
    from PIL import Image  # noqa: PLC0415 - optional

    pictures = [np.zeros((6, 9, 3), np.uint8) for _ in range(5)]
    pictures[1][2:4, 3:8] = (255, 0, 128)
    pictures[2][:] = pictures[1]  # nothing changes: an image of its own all the same
    pictures[3][5, 8] = (1, 2, 3)
    pictures[4][:] = (9, 200, 9)
    gif = Gif(tmp_path / "a.gif", fps=10)
    for picture in pictures:
        gif.add(picture)
    gif.close(keep=True)
    gif.close(keep=True)
    with Image.open(tmp_path / "a.gif") as image:
        assert image.n_frames == 5  # type: ignore[attr-defined]  # of an animation
        for frame, picture in enumerate(pictures):
            image.seek(frame)
            assert np.array_equal(np.asarray(image.convert("RGB")), picture)


def test_an_mp4_has_as_many_pictures_as_the_match_has_frames(rally: Path, tmp_path: Path) -> None:
    require("imageio_ffmpeg", _VIDEO)
    import imageio_ffmpeg  # noqa: PLC0415 - optional

    assert run_here(rally, "--video", tmp_path / "match.mp4") == 0
    frames, _seconds = imageio_ffmpeg.count_frames_and_secs(str(tmp_path / "match.mp4"))
    assert frames == 80
    odd = Mp4(tmp_path / "odd.mp4", 30)
    for _ in range(3):
        odd.add(np.zeros((33, 47, 3), np.uint8))
    odd.close(keep=True)
    assert imageio_ffmpeg.count_frames_and_secs(str(tmp_path / "odd.mp4"))[0] == 3


def test_what_is_optional_is_named_with_the_line_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("PIL", "imageio_ffmpeg", "pygame"):
        monkeypatch.setitem(sys.modules, module, None)
    for make in (lambda: Gif(tmp_path / "a.gif", 30), lambda: Mp4(tmp_path / "a.mp4", 30)):
        with pytest.raises(ConfigurationError, match=r"pip install 'gym_p2p\[video\]'"):
            make()
    with pytest.raises(ConfigurationError, match=r"pip install 'gym_p2p\[envs\]'"):
        Window("title", 30)


def test_render_shows_the_match_in_a_window(
    rally: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    require("pygame", "pip install 'gym_p2p[envs]'")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    shown: list[Any] = []
    monkeypatch.setattr(Window, "add", lambda _self, picture: shown.append(picture.shape))
    assert run_here(rally, "--render", "--fps", "1000") == 0
    assert shown == [(288, 512, 3)] * 80
    assert "80 frames" in capsys.readouterr().out


def test_closing_the_window_ends_the_show(monkeypatch: pytest.MonkeyPatch) -> None:
    require("pygame", "pip install 'gym_p2p[envs]'")
    import pygame  # noqa: PLC0415 - optional

    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    window = Window("title", 1000)
    picture = np.zeros((20, 30, 3), np.uint8)
    window.add(picture)
    shown = [window.open]
    pygame.event.post(pygame.event.Event(pygame.QUIT))
    window.add(picture)
    shown.append(window.open)
    assert shown == [True, False]
    window.close(keep=True)
    assert not pygame.display.get_init()


def test_render_without_a_screen_says_what_to_do(
    rally: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    require("pygame", "pip install 'gym_p2p[envs]'")
    monkeypatch.setenv("SDL_VIDEODRIVER", "none-such")
    assert run_here(rally, "--render") == 2
    assert "use --video FILE.gif instead" in capsys.readouterr().err


@pytest.mark.parametrize("env", [(), ("--env", "gym_p2p.envs.rally")])
def test_render_without_a_display_says_so_before_anything_is_played(
    rally: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], env: tuple[str, ...]
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(gym_p2p.cli.replay, "verify_replay", lambda *_args, **_kwargs: pytest.fail("played"))
    monkeypatch.setattr(gym_p2p.cli.replay, "load_environment", lambda *_args: pytest.fail("made"))
    assert run_here(rally, "--render", *env) == 2
    told = capsys.readouterr().err
    assert "there is no display here" in told
    assert "--video FILE.gif" in told


@pytest.mark.parametrize(
    ("size", "shown"),
    [((6, 9), (318, 477)), ((84, 84), (420, 420)), ((210, 160), (420, 320)), ((500, 20), (500, 20))],
)
def test_small_pictures_are_enlarged_by_whole_pixels(size: tuple[int, int], shown: tuple[int, int]) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    large = enlarged(picture)
    assert large.shape == (*shown, 3)
    factor = shown[0] // size[0]
    for row, column in itertools.product(range(factor), repeat=2):
        assert np.array_equal(large[row::factor, column::factor], picture)


@pytest.mark.parametrize(
    "output", ["--to a.jsonl", "--to a.csv", "--to a.parquet", "--video a.gif", "--video a.mp4"]
)
def test_a_disk_that_takes_no_more_is_told_and_nothing_is_left(
    rally: Path, tmp_path: Path, output: str
) -> None:
    require("pyarrow", "pip install 'gym_p2p[parquet]'")
    require("imageio_ffmpeg", _VIDEO)
    name = output.split()[1]
    (tmp_path / name).write_text("of yesterday")
    small = f"ulimit -f 1; exec {sys.executable} -m gym_p2p replay {rally} {output}"
    done = subprocess.run(
        ["bash", "-c", small], capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path
    )
    assert done.returncode == 1, done
    assert f"gym-p2p replay: {tmp_path / name} was not written: " in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "of yesterday"


def test_an_index_that_is_missing_makes_no_whole_mp4(tmp_path: Path) -> None:
    require("imageio_ffmpeg", _VIDEO)
    film = Mp4(tmp_path / "a.mp4", 30)
    for _ in range(3):
        film.add(np.zeros((32, 32, 3), np.uint8))
    film.close(keep=True)
    whole = (tmp_path / "a.mp4").read_bytes()
    assert _is_whole_mp4(tmp_path / "a.mp4")
    for part in (whole[:-40], whole[:60], b""):
        (tmp_path / "b.mp4").write_bytes(part)
        assert not _is_whole_mp4(tmp_path / "b.mp4")


def test_an_environment_that_draws_nothing_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.p2preplay"
    record(path, "tests.replays_toys:Deaf", frames=3)
    assert run_here(path, "--trust", "--video", tmp_path / "a.gif") == 2
    assert "draws no pictures" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [path]


def test_a_forged_match_leaves_no_video(rally: Path, tmp_path: Path) -> None:
    require("PIL", _VIDEO)

    def change(records: list[Any]) -> None:
        records[2] = attrs.evolve(records[2], rewards=((1.0, 0.0), *records[2].rewards[1:]))

    forged = tmp_path / "forged.p2preplay"
    rewrite(rally, forged, change)
    assert run_here(forged, "--video", tmp_path / "a.gif") == 1
    assert list(tmp_path.iterdir()) == [forged]
