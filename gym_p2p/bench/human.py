"""``bench human``: what a person at a page feels, and what their seat costs the machine that hosts it."""

from __future__ import annotations

import random
import statistics
import time

import attrs

from gym_p2p.bench.chromium import BrowserPage, Chromium, running_chromium
from gym_p2p.bench.figures import ON_TIME, Report, Row, Series, times_between
from gym_p2p.bench.hosted import PEOPLE, HostedPeople, hosted_people, hosted_rows, hosting, seat_bytes
from gym_p2p.bench.others import Others
from gym_p2p.bench.processes import Worker
from gym_p2p.bench.run import Progress, Rounds
from gym_p2p.core.latency.statistics import nearest_rank

__all__ = ["bench_human"]

_LINKS = ("websocket", "datachannel")
_PRESS_S = 0.13
"""What a press, its release and the pauses after each take in the mean."""

_OPENINGS = 3
"""Of a link, for the time to its first frame."""

_KEYS = ("ArrowLeft", "ArrowRight")

_FLOOR_PAGE = """
window.samples = [];
addEventListener("DOMContentLoaded", () => {
  const context = document.body.appendChild(document.createElement("canvas")).getContext("2d");
  let pressed = [];
  for (const kind of ["keydown", "keyup"]) {
    addEventListener(kind, (event) => event.isTrusted && pressed.push(event.timeStamp));
  }
  const draw = () => {
    context.fillStyle = pressed.length > 0 ? "red" : `rgb(${performance.now() % 256} 0 0)`;
    context.fillRect(0, 0, 100, 100);
    for (const at of pressed.splice(0)) window.samples.push(performance.now() - at);
    requestAnimationFrame(draw);
  };
  draw();
});
"""
"""A page that draws every frame of the screen by itself, and reacts in the next one."""

_BEFORE = """
window.bytes = window.frames = 0;
window.WebSocket = class extends WebSocket {
  constructor(...given) {
    super(...given);
    this.addEventListener("message", ({ data }) => {
      window.frames += typeof data !== "string";
      window.bytes += data.byteLength ?? data.length;
    });
  }
};
const look = () => {
  if (window.page?.screen.drawn) window.firstMs = performance.now();
  else requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""
"""Counts what comes, and notes when the first frame was drawn, from when the link was opened."""


@attrs.frozen(kw_only=True)
class _Case:
    """A seat, and the page at it."""

    name: str
    game: str
    fps: float
    link: str = "websocket"
    emulation: dict[str, float] | None = None
    keys: bool = True
    """Whether keys are pressed, or frames alone are watched."""


_LOOPBACK, _CHANNEL = "Pong, 60 fps", "Pong, 60 fps, data channel"

_CASES = (
    _Case(name=_LOOPBACK, game="Pong", fps=60),
    _Case(name="Pong, 30 fps", game="Pong", fps=30),
    _Case(name="Pong, 60 fps, 50 ms", game="Pong", fps=60, emulation={"one_way_ms": 50}),
    _Case(name=_CHANNEL, game="Pong", fps=60, link="datachannel"),
    _Case(
        name="Pong, 60 fps, data channel, 50 ms, 2 % loss",
        game="Pong",
        fps=60,
        link="datachannel",
        emulation={"one_way_ms": 50, "loss": 0.02},
    ),
    _Case(name="Rally, 60 fps", game="Rally", fps=60, keys=False),
    _Case(name="Rally, 60 fps, data channel", game="Rally", fps=60, link="datachannel", keys=False),
)


@attrs.frozen(kw_only=True)
class _Found:
    """What one case came to."""

    first_ms: float
    latencies_ms: list[float]
    cpu: float
    """Shares of a core, beyond ``env.step``."""
    bytes_per_s: float
    on_time: float
    skipped: int


def bench_human(
    *, count: int = 100, people: int | None = None, only: str | None = None, progress: Progress
) -> Report:
    """Measure a person's page at a seat of this machine, and how people do who are hosted together.

    Args:
        count: presses of keys a case; each is released again, which counts as well.
        people: who come to a host at a time; ``None`` is as many as two cores are to do.
        only: ``"page"`` leaves out hosted people, ``"hosted"`` the page, which wants a browser.
        progress: is called with what goes on.

    Raises:
        P2PError: there is no browser, or a game is not installed.
    """
    others = Others()
    rows: list[Row] = []
    series: list[Series] = []
    notes: list[str] = []
    if only != "hosted":
        page_rows, series = _bench_page(count, progress)
        rows += page_rows
        notes += _PAGE_NOTES
    hosted: list[HostedPeople] = []
    if only != "page":
        for game, most in PEOPLE.items():
            hosted.append(hosted_people(game, people or most, count * _PRESS_S, progress))
            rows += hosted_rows(hosted[-1])
        notes += _HOSTED_NOTES
    return Report(
        bench="human",
        settings={
            "count": count,
            "people": {one.game: one.came for one in hosted},
            "cases": [attrs.asdict(case) for case in _CASES],
        },
        notes=(*notes, ON_TIME, others.note()),
        rows=rows,
        series=series,
        columns=("ours", "floor", "target"),
    )


_PAGE_NOTES = (
    "action latency: from a trusted key event to the frame of the screen that draws its effect",
    "floor: a page that reacts by itself; target: what is aimed at, from it",
    "a person alone plays, at a page of headless Chromium; 50 ms are added on the way to the page",
    "processor time is the whole process's beyond env.step, rendering included",
    "a hosted seat's memory is unshared (USS): its process, and its network process, of gym-p2p host",
    "bytes are those of a frame as it was sent, times the rate",
)
_HOSTED_NOTES = (
    "hosted people come one after the other, each with a link, and play with one another",
    "let in: as many as the door finds room for; the others are told that all places are taken",
    "their pages are one process and no browsers: they acknowledge frames and draw nothing",
    "hosted people's frames are on time by when they come to their pages",
    "a seat's processor time is that of all processes of the host, over the frames of all",
)


def _bench_page(count: int, progress: Progress) -> tuple[list[Row], list[Series]]:
    chance = random.Random(1)
    latencies = Rounds("ms")
    found: dict[str, _Found] = {}
    with running_chromium() as browser:
        progress("a page that reacts by itself")
        floor_ms = _floor(browser, count, chance)
        latencies.add("floor", floor_ms)
        for case in _CASES:
            progress(case.name)
            one = found[case.name] = _measured(browser, case, count, chance)
            latencies.add(case.name, one.latencies_ms)
        progress("hosted seats")
        options = ("--partner", "scripted", "--seats", str(len(_LINKS)))
        with hosting("Rally", len(_LINKS), *options) as (urls, _):
            each = {kind: seat_bytes(browser, url, kind) for url, kind in zip(urls, _LINKS, strict=True)}
    rows = [*_rows(floor_ms, found), *_memory_rows(each)]
    return rows, [*latencies.all(), *_series(found)]


def _floor(browser: Chromium, count: int, chance: random.Random) -> list[float]:
    with browser.page("data:text/html,<title>floor</title>", before=_FLOOR_PAGE) as page:
        page.until("document.readyState === 'complete' && Array.isArray(window.samples)")
        _press(page, count, chance)
        return [float(one) for one in page.value("window.samples")]


def _press(page: BrowserPage, count: int, chance: random.Random) -> None:
    """Press and release keys, in no step with any frame."""
    for number in range(count):
        code = _KEYS[number % len(_KEYS)]
        page.press(code)
        time.sleep(chance.uniform(0.04, 0.09))
        page.release(code)
        time.sleep(chance.uniform(0.04, 0.09))


def _measured(browser: Chromium, case: _Case, count: int, chance: random.Random) -> _Found:
    with Worker("seat", game=case.game, fps=case.fps, emulation=case.emulation) as seat:
        url = f"{seat.request('open')}?link={case.link}"
        firsts_ms = [_first_ms(browser, url) for _ in range(_OPENINGS)]
        with browser.page(url, before=_BEFORE) as page:
            page.until("window.firstMs > 0")
            time.sleep(1.0)  # the line's own start
            _press(page, 2, chance)
            known = len(seat.request("measured")["latencies_ms"])
            before, bytes_before = seat.request("used"), page.value("[window.bytes, window.frames]")
            if case.keys:
                _press(page, count, chance)
            else:
                time.sleep(count * _PRESS_S)
            bytes_after, after = page.value("[window.bytes, window.frames]"), seat.request("used")
            time.sleep(0.3)
            measured = seat.request("measured")
    lasted_s = after["at_s"] - before["at_s"]
    size, frames = (then - now for now, then in zip(bytes_before, bytes_after, strict=True))
    used_s, step_s = (after[key] - before[key] for key in ("cpu_s", "step_cpu_s"))
    return _Found(
        first_ms=statistics.median(firsts_ms),
        latencies_ms=measured["latencies_ms"][known:],
        cpu=(used_s - step_s) / lasted_s,
        bytes_per_s=size / max(1, frames) * case.fps,
        on_time=times_between(after["ended_s"], case.fps)[1],
        skipped=measured["skipped"],
    )


def _first_ms(browser: Chromium, url: str) -> float:
    """Return how long a page takes, from when its link is opened, to draw its first frame."""
    with browser.page(url, before=_BEFORE) as page:
        page.until("window.firstMs > 0")
        return float(page.value("window.firstMs"))


def _percentile(samples: list[float], share: float) -> float | None:
    return nearest_rank(samples, share) if samples else None


def _rows(floor_ms: list[float], found: dict[str, _Found]) -> list[Row]:
    floor50, floor95 = nearest_rank(floor_ms, 0.5), nearest_rank(floor_ms, 0.95)
    near, far = found[_LOOPBACK], found[_CHANNEL]
    near50 = _percentile(near.latencies_ms, 0.5)
    far95 = _percentile(far.latencies_ms, 0.95)
    targets: dict[str, tuple[float | None, float | None]] = {
        _LOOPBACK: (floor50 + 18, floor95 + 20),
        "Pong, 30 fps": (floor50 + 25, floor95 + 32),
        "Pong, 60 fps, 50 ms": (None if near50 is None else near50 + 54, None),
        "Pong, 60 fps, data channel, 50 ms, 2 % loss": (None, None if far95 is None else far95 + 62),
    }
    rows = [
        Row("link opened to first frame", "ms", near.first_ms, anchor=400.0),
        Row("the same, data channel", "ms", far.first_ms, anchor=800.0),
    ]
    for name, one in found.items():
        p50, p95 = targets.get(name, (None, None))
        for what, share, floor, target in (("p50", 0.5, floor50, p50), ("p95", 0.95, floor95, p95)):
            if one.latencies_ms:
                latency = nearest_rank(one.latencies_ms, share)
                rows.append(Row(f"action latency {what}: {name}", "ms", latency, floor=floor, anchor=target))
    cpu_targets = {_LOOPBACK: 8.0, _CHANNEL: 12.0}
    byte_targets = {_LOOPBACK: 10.0, "Rally, 60 fps": 250.0}
    for name, one in found.items():
        rows.append(
            Row(f"processor time: {name}", "% of a core", 100 * one.cpu, anchor=cpu_targets.get(name))
        )
    for name, target in byte_targets.items():
        rows.append(Row(f"to the page: {name}", "KB/s", found[name].bytes_per_s / 1e3, anchor=target))
    rows += [Row(f"on time: {name}", "%", 100 * one.on_time) for name, one in found.items()]
    return rows


def _memory_rows(bytes_by_link: dict[str, int]) -> list[Row]:
    near, far = (bytes_by_link[kind] / 1e6 for kind in _LINKS)
    return [
        Row("memory of a hosted seat", "MB", near, anchor=60.0),
        Row("the same, data channel", "MB", far, anchor=100.0),
    ]


def _series(found: dict[str, _Found]) -> list[Series]:
    skipped = Rounds("frames")
    for name, one in found.items():
        skipped.add(f"skipped: {name}", [float(one.skipped)])
    return skipped.all()
