"""Where the pictures of a replay go: a GIF, an MP4, or a window.

Knows pictures as arrays of shape (height, width, 3), one a frame, and what is optional to install. A file
appears under its name when it is finished.
"""

from __future__ import annotations

import abc
import contextlib
import io
import os
import secrets
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from gym_p2p.config.extras import how_to_install
from gym_p2p.errors import ConfigurationError, NotWritten
from gym_p2p.files.private import open_private
from gym_p2p.files.problems import disk_problem, telling_the_disk

__all__ = ["Gif", "Mp4", "Pace", "Pictures", "Window", "enlarged", "open_video", "require_display"]

Picture = np.ndarray[Any, np.dtype[np.uint8]]


_LARGE_PX = 480
"""What is smaller is shown larger, by whole pixels: each becomes a square, and stays as sharp as it is."""


def enlarged(picture: Picture) -> Picture:
    """Return a picture as large as it is shown."""
    factor = max(1, _LARGE_PX // max(picture.shape[:2]))
    return picture.repeat(factor, axis=0).repeat(factor, axis=1) if factor > 1 else picture


class Pictures(abc.ABC):
    """Takes one picture a frame."""

    @abc.abstractmethod
    def add(self, picture: Picture) -> None:
        """Take the next picture."""

    @abc.abstractmethod
    def close(self, *, keep: bool) -> None:
        """Finish, or leave nothing behind. Idempotent."""


def open_video(path: str | Path, fps: float) -> Pictures:
    """Return what writes a video of that name.

    Raises:
        ConfigurationError: it is neither ``.gif`` nor ``.mp4``, no file can be written, or what writes it is
            not installed.
    """
    path = Path(path).absolute()
    kind = {".gif": Gif, ".mp4": Mp4}.get(path.suffix.lower())
    if kind is None:
        raise ConfigurationError("video", f"wanted .gif or .mp4, got {path.name!r}")
    if not path.parent.is_dir():
        raise ConfigurationError("video", f"cannot write {str(path)!r}: there is no such folder")
    made: Pictures = kind(path, fps)
    return made


class Gif(Pictures):
    """An animated GIF, one image a frame, written as it comes: memory does not grow.

    GIF counts in hundredths of a second and viewers take no less than two: 50 frames a second at most.
    """

    def __init__(self, path: Path, fps: float) -> None:
        try:
            from PIL import Image  # noqa: PLC0415 - an optional extra
        except ImportError as error:
            raise ConfigurationError("video", f"a GIF needs Pillow: {how_to_install('PIL')}") from error
        self._image: Any = Image
        self._target = _Target(path)
        self._file = self._target.open()
        self._fps = fps
        self._frames = self._shown_cs = 0
        self._before: Picture | None = None

    def add(self, picture: Picture) -> None:
        """Take the next picture: what changed since the last one is stored.

        Raises:
            NotWritten: the disk takes no more.
        """
        with telling_the_disk(self._target.path):
            self._add(picture)
        self._before = picture.copy()

    def _add(self, picture: Picture) -> None:
        height, width = picture.shape[:2]
        if self._before is None:
            screen = width.to_bytes(2, "little") + height.to_bytes(2, "little")
            self._file.write(b"GIF89a" + screen + b"\x00\x00\x00" + _REPEAT_FOREVER)
        elif self._before.shape != picture.shape:
            raise ConfigurationError("video", "the environment's pictures change their size")
        top, bottom, left, right = _changed(self._before, picture)
        self._frames += 1
        delay = max(2, round(self._frames * 100 / self._fps) - self._shown_cs)
        self._shown_cs += delay
        self._file.write(b"\x21\xf9\x04\x04" + delay.to_bytes(2, "little") + b"\x00\x00")
        self._file.write(self._encoded(picture[top:bottom, left:right], left, top))

    def close(self, *, keep: bool) -> None:
        """Finish the file; without a picture there is none.

        Raises:
            NotWritten: the disk takes no more.
        """
        keep = keep and self._before is not None and not self._file.closed
        written = False
        try:
            if keep:
                with telling_the_disk(self._target.path):
                    self._file.write(b"\x3b")
                    self._file.flush()
                written = True
        finally:
            with contextlib.suppress(OSError):
                self._file.close()  # what it still held is for nobody
            self._target.close(keep=written)

    def _encoded(self, part: Picture, left: int, top: int) -> bytes:
        """Return an image of its own within the animation: its place, its colours, its pixels."""
        alone = io.BytesIO()
        image = self._image.fromarray(np.ascontiguousarray(part))
        image.convert("P", palette=self._image.Palette.ADAPTIVE).save(alone, "GIF", interlace=False)
        data = alone.getvalue()
        # Header and screen are 13 bytes, the third last of which tells how many colours follow them.
        colour_bits = data[10] & 7
        colours_end = 13 + 3 * (2 << colour_bits)
        at = colours_end
        while data[at] == 0x21:  # an extension: its label, then blocks up to an empty one
            at = _after_blocks(data, at + 2)
        place = left.to_bytes(2, "little") + top.to_bytes(2, "little")
        size = data[at + 5 : at + 9]
        pixels = data[at + 10 : -1]
        return b"\x2c" + place + size + bytes([0x80 | colour_bits]) + data[13:colours_end] + pixels


_REPEAT_FOREVER = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00"


def _after_blocks(data: bytes, at: int) -> int:
    while data[at]:
        at += 1 + data[at]
    return at + 1


def _changed(before: Picture | None, now: Picture) -> tuple[int, int, int, int]:
    """Return top, bottom, left and right of what differs; one pixel if nothing does."""
    if before is None:
        return 0, now.shape[0], 0, now.shape[1]
    differs = (before != now).any(axis=2)
    if not differs.any():
        return 0, 1, 0, 1
    rows, columns = np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


class Mp4(Pictures):
    """An MP4 (H.264), encoded by the ffmpeg that comes with imageio-ffmpeg."""

    def __init__(self, path: Path, fps: float) -> None:
        try:
            import imageio_ffmpeg  # noqa: PLC0415 - an optional extra
        except ImportError as error:
            advice = how_to_install("imageio_ffmpeg")
            raise ConfigurationError("video", f"an MP4 needs imageio-ffmpeg: {advice}") from error
        self._encode: Callable[..., Any] = imageio_ffmpeg.write_frames
        self._target = _Target(path)
        self._fps = fps
        self._shape: tuple[int, ...] = ()
        self._writer: Any = None

    def add(self, picture: Picture) -> None:
        """Take the next picture; odd sizes get one more row or column, as H.264 wants even ones.

        Raises:
            NotWritten: the disk takes no more.
        """
        even = np.pad(picture, [(0, picture.shape[0] % 2), (0, picture.shape[1] % 2), (0, 0)], mode="edge")
        if self._writer is None:
            self._shape = even.shape
            self._writer = self._encode(
                str(self._target.temporary), even.shape[1::-1], fps=self._fps, macro_block_size=2
            )
            self._writer.send(None)
        if even.shape != self._shape:
            raise ConfigurationError("video", "the environment's pictures change their size")
        try:
            self._writer.send(np.ascontiguousarray(even))
        except (OSError, StopIteration) as error:  # the encoder is gone, and says why in its own words
            raise NotWritten(self._target.path, self._problem()) from error

    def close(self, *, keep: bool) -> None:
        """Finish the file; without a picture there is none.

        Raises:
            NotWritten: the disk takes no more.
        """
        writer, self._writer = self._writer, None
        whole = False
        try:
            if writer is not None:
                writer.close()
                whole = _is_whole_mp4(self._target.temporary)
                if keep and not whole:
                    raise NotWritten(self._target.path, self._problem())
        finally:
            self._target.close(keep=keep and whole)

    def _problem(self) -> str:
        full = shutil.disk_usage(self._target.path.parent).free < _ALMOST_FULL_BYTES
        return "the disk is full" if full else "the encoder (ffmpeg) could not write it"


_ALMOST_FULL_BYTES = 1 << 16
"""The encoder writes in blocks, and leaves less than one free."""


def _is_whole_mp4(path: Path) -> bool:
    """Return whether a file has all the boxes that it announces, its index among them (ISO 14496-12, 4.2)."""
    kinds: list[bytes] = []
    with contextlib.suppress(OSError), path.open("rb") as file:
        size = path.stat().st_size
        at = 0
        while at < size:
            file.seek(at)
            head = file.read(16)
            length = int.from_bytes(head[:4], "big")
            if length == 1:
                length = int.from_bytes(head[8:16], "big")
            if length < 8:
                return False
            kinds.append(head[4:8])
            at += length
        return at == size and b"moov" in kinds
    return False


class Pace:
    """Waits until every frame is due; the first one is so at once."""

    def __init__(self, fps: float) -> None:
        self._interval_s = 1 / fps
        self._due_s: float | None = None

    def wait(self) -> None:
        """Wait for the next frame's time; what was lost by more than one frame is not made up for."""
        now = time.monotonic()
        due_s = now if self._due_s is None else self._due_s + self._interval_s
        self._due_s = max(due_s, now - self._interval_s)
        time.sleep(max(0.0, self._due_s - now))


def require_display() -> None:
    """Pass where a window can be opened.

    Raises:
        ConfigurationError: it cannot, and what to do instead.
    """
    if not sys.platform.startswith("linux") or os.environ.get("SDL_VIDEODRIVER"):
        return
    if not any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")):
        raise ConfigurationError(
            "render", f"there is no display here (neither DISPLAY nor WAYLAND_DISPLAY is set); {_USE_VIDEO}"
        )


_USE_VIDEO = "use --video FILE.gif instead"


class Window(Pictures):
    """A window that shows the pictures at their pace; closing it ends the show.

    Attributes:
        open: whether it is still there.

    Raises:
        ConfigurationError: no window can be opened here.
    """

    def __init__(self, title: str, fps: float) -> None:
        try:
            import pygame  # noqa: PLC0415 - an optional extra
        except ImportError as error:
            raise ConfigurationError(
                "render", f"a window needs pygame: {how_to_install('pygame')} (or {_USE_VIDEO})"
            ) from error
        try:
            pygame.display.init()
        except pygame.error as error:
            raise _no_window(error) from error
        self._pygame = pygame
        self._title = title
        self._pace = Pace(fps)
        self._screen: Any = None
        self.open = True

    def add(self, picture: Picture) -> None:
        """Show the next picture when it is due."""
        pygame = self._pygame
        if self._screen is None:
            self._begin(picture)
        if any(event.type == pygame.QUIT for event in pygame.event.get()):
            self.close(keep=True)
        if not self.open:
            return
        surface = pygame.surfarray.make_surface(picture.swapaxes(0, 1))
        pygame.transform.scale(surface, self._screen.get_size(), self._screen)
        pygame.display.flip()
        self._pace.wait()

    def close(self, *, keep: bool) -> None:  # noqa: ARG002 - there is nothing to keep
        """Close the window."""
        self.open = False
        self._screen = None
        self._pygame.display.quit()

    def _begin(self, picture: Picture) -> None:
        pygame = self._pygame
        try:
            self._screen = pygame.display.set_mode(picture.shape[1::-1])
        except pygame.error as error:
            raise _no_window(error) from error
        pygame.display.set_caption(self._title)


def _no_window(error: Exception) -> ConfigurationError:
    return ConfigurationError("render", f"no window can be opened here ({error}); {_USE_VIDEO}")


class _Target:
    """A file and the temporary one beside it, which takes its place when it is whole."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.temporary = path.with_name(f".{secrets.token_hex(4)}.{path.name}")

    def open(self) -> BinaryIO:
        try:
            return open_private(self.temporary, "xb")
        except OSError as error:
            raise ConfigurationError(
                "video", f"cannot write {str(self.path)!r}: {disk_problem(error)}"
            ) from error

    def close(self, *, keep: bool) -> None:
        try:
            if keep:
                with telling_the_disk(self.path):
                    self.temporary.replace(self.path)
        finally:
            with contextlib.suppress(OSError):
                self.temporary.unlink()
