"""A person takes a seat: their page, their keys, and the action of every frame.

The face of this folder. Runs on the thread that plays; the page's server has its own.
"""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from gym_p2p.config import LinkConfig, from_mapping
from gym_p2p.config.checks import require_number, require_whole
from gym_p2p.core.record.human import HumanRecord
from gym_p2p.errors import ConfigurationError, PersonGone, UsageError
from gym_p2p.game.spaces.masks import Mask, legal_or_nearest
from gym_p2p.human.encoding import Picture
from gym_p2p.human.entrance import Entrance, OwnPort
from gym_p2p.human.invitation import name_of, open_browser, print_link, require_next_url
from gym_p2p.human.keys.codes import label_of
from gym_p2p.human.keys.controls import Binding, Controls, Legal, effects
from gym_p2p.human.keys.legality import illegal_bindings, legal_by, require_mask
from gym_p2p.human.keys.tables import KeysOption, controls_for
from gym_p2p.human.person import Person, Presence
from gym_p2p.human.server import PageServer
from gym_p2p.human.stages import stage_of
from gym_p2p.human.standing import reason_of, worst
from gym_p2p.human.words import require_words
from gym_p2p.processes.threads import OwnThread

__all__ = ["HumanSeat"]

_LOOK_EVERY_S = 0.25
"""How often the page is told how it stands, and a wait looks whether the program is interrupted."""

_SPARE_S = 1.0
"""What is left of the others' patience with a first action, after a countdown, for a slow machine or path."""

_FIRST_PING_S = 0.5
"""How long a page may take to answer for its path to be known to the others."""

_SEQS_KEPT = 512
"""Frames whose keys are remembered until their effect is shown: more than any input delay."""


class HumanSeat:
    """Puts a person on a seat: a context manager around an environment, used beside it.

    ``action()`` is what the person's keys say in this frame; frames are shown by themselves. The environment
    is reset, stepped and closed as ever::

        with HumanSeat(env, keys={"ArrowLeft": 1, "ArrowRight": 2}, title="Rally") as person:
            observation, info = env.reset()
            over = False
            while not over:
                observation, reward, terminated, truncated, info = env.step(person.action())
                over = terminated or truncated

    Args:
        env: a ``P2PEnv``, a ``P2PParallelEnv``, or any Gymnasium environment, for a person alone; made with
            ``render_mode="rgb_array"``.
        agent: whose seat, where a ``P2PParallelEnv`` has several.
        keys: a table of keys (:mod:`gym_p2p.human.keys.tables`), or the path of a JSON or TOML file; ``None``
            takes what the environment offers, or a default.
        title: stands above the game; ``None`` is the environment's name.
        fps: of an environment that is not P2P; ``None`` is its own rate, or 30.
        browser: whether to open one, where there is a screen.
        announce: is told the link; ``None`` prints it to standard error.
        port: of the page; 0 is any free one.
        entrance: where the page's connections come from instead, for who serves many pages on one port.
        open_limit_s: how long the link may wait until it is opened.
        hold_s: how long the seat of a page that was closed is held.
        countdown_s: before the first frame of each episode, and for a person alone before the first one; a
            second less than the others' patience (``input_timeout_s``) at most.
        next_url: where the page leads when it is over, a whole http(s) URL; ``{match}`` in it is the match's
            code; ``None`` leads nowhere.
        emulation: delay and loss on the way to the page, for demos and experiments: what
            :class:`~gym_p2p.config.LinkEmulation` takes. A WebSocket has the delay alone.

    Raises:
        UnsupportedEnvironment: it draws no pictures.
        ConfigurationError: a table of keys does not fit, or there is none; another option cannot be.
    """

    def __init__(
        self,
        env: Any,
        *,
        agent: Any = None,
        keys: KeysOption = None,
        title: str | None = None,
        fps: float | None = None,
        browser: bool = True,
        announce: Callable[[str], None] | None = None,
        port: int = 0,
        entrance: Entrance | None = None,
        open_limit_s: float = 300.0,
        hold_s: float = 60.0,
        countdown_s: float = 3.0,
        next_url: str | None = None,
        emulation: Mapping[str, Any] | None = None,
    ) -> None:
        for name, value in (("open_limit_s", open_limit_s), ("hold_s", hold_s), ("countdown_s", countdown_s)):
            require_number(name, value, 0, 86_400)
        require_whole("port", port, 0, 65_535)
        require_next_url(next_url)
        link = from_mapping(LinkConfig, {"emulation": emulation or {}})
        self._stage = stage = stage_of(env, agent, fps)
        longest_s = max(0.0, stage.patience_s - _SPARE_S)
        if countdown_s > longest_s:
            raise ConfigurationError(
                "countdown_s",
                f"wanted at most {longest_s:g} here, got {countdown_s!r}: "
                f"who does not play for {stage.patience_s:g} s (input_timeout_s) is given up by the others",
            )
        self._controls: Controls = controls_for(
            stage.space, env=stage.env, agent=stage.seat, keys=keys, nothing=stage.nothing, fps=stage.fps
        )
        self._browser, self._next_url = browser, next_url
        self._entrance = entrance or OwnPort(port)
        self.again = False
        """Whether the link is good for another match once this one is over, where its entrance lasts."""
        self._announce = announce or print_link
        self._open_limit_s, self._countdown_s = open_limit_s, countdown_s
        self._title = require_words("title", title or name_of(stage.env))
        self._person = Person(
            known=frozenset(code for one in self._controls.bindings for code in one.codes),
            welcome={"title": self._title, "controls": _shown(self._controls.bindings)},
            hold_s=hold_s,
            unix_ms=(time.time_ns() - time.monotonic_ns()) / 1e6,
            interval_s=1 / stage.fps,
        )
        self._server = PageServer(self._person, self._entrance, link)
        self._text: str | None = None
        self._error: BaseException | None = None
        self._countdown: int | None = None
        self._illegal: list[int] = []
        self._turn: bool | None = None
        self._given_mask: Mask | None = None
        self._episode = 0
        self._seqs: dict[int, int] = {}
        self._over = threading.Event()
        self._teller: threading.Thread | None = None

    # The block.

    def __enter__(self) -> Self:
        """Serve the page, tell its link, and wait until it is opened.

        Raises:
            ConfigurationError: the port is taken.
            PersonGone: nobody opened the link in time.
            UsageError: it was entered before, or another one shows this environment.
        """
        if self._teller is not None or self._over.is_set():
            raise UsageError("a HumanSeat is for one with block: make another one")
        self._server.start()
        try:
            self._stage.open(self._show, self._wait_on)
            self._tell()  # to who is there already
            self._teller = OwnThread(target=self._keep_telling, name="gym_p2p seat", daemon=True)
            self._teller.start()
            self._announce(self.url)
            if self._browser:
                open_browser(self.url)
            self._await_page()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Tell the page that it is over, and why, and close it."""
        self._error = error
        self.close()

    def close(self) -> None:
        """Tell the page how it ended, and stop serving it. Idempotent."""
        if self._over.is_set():
            return
        self._over.set()
        try:
            if self._teller is not None:
                self._teller.join()
                self._stage.show_last()
            self._stage.close()
            self._tell(over=True)
        finally:
            with self._server.lock:
                self._person.finish()
            self._server.close()
        self._stage.keep(self._person.measures)  # what was shown since the last action

    @property
    def url(self) -> str:
        """The link to the page: whoever opens it takes the seat."""
        return self._server.url

    @property
    def told(self) -> dict[str, Any]:
        """What the page was told last of how it stands."""
        with self._server.lock:
            return self._person.told

    @property
    def measured(self) -> HumanRecord:
        """What is measured of the person's page; see ``human`` in the documents."""
        return self._person.measures.record

    # Playing.

    def action(self, *, wait: bool | None = None, mask: Any = None) -> Any:
        """Return the action for the keys that are held in this frame.

        Keys of what an action mask forbids do nothing; where that leaves what is illegal, too, it is the
        default action, or else the first legal one.

        Args:
            wait: wait until a key of the controls is pressed that does something legal; ``None`` does so in
                the person's turn of a game whose agents take turns.
            mask: which actions are legal; ``None`` takes what a match's observation or info says. For a
                person alone nobody else says it: ``person.action(mask=info["action_mask"])``.

        Raises:
            PersonGone: they left, closed the page for good, or it sent what no page does.
            UsageError: outside of the ``with`` block, or before ``reset``; or the mask is none of the space.
        """
        if self._teller is None or self._over.is_set():
            raise UsageError("action() outside of the seat's with block")
        self._given_mask = None if mask is None else require_mask(self._stage.space, mask)
        self._stage.before_action()
        if self._stage.episode != self._episode:
            self._episode = self._stage.episode
            self._seqs.clear()
            self._count_down()
        space, fits = self._stage.space, self._tell_legal()
        legal = legal_by(self._controls, space, fits)
        if self._stage.own_turn is True if wait is None else wait:
            self._await_key(legal)
        with self._server.lock:
            self._require_person()
            sample, focused = self._person.sample(), self._person.focused
            self._stage.keep(self._person.measures)
        self._seqs[self._stage.frame + self._stage.input_delay] = sample.seq
        while len(self._seqs) > _SEQS_KEPT:
            del self._seqs[next(iter(self._seqs))]
        self._stage.acted(focused=focused)
        action = self._controls.act(sample.held, legal)
        # A copy: environments that change an action change no table of keys.
        return copy.deepcopy(legal_or_nearest(space, fits, action, self._stage.nothing))

    def _await_key(self, legal: Legal) -> None:
        """Wait until a key is pressed that plays, the person is gone, or nobody is left to play with."""
        keys = self._person.keys
        while not self._stage.look_around():
            with self._server.lock:
                if self._person.gone is not None or (keys.pressed and self._controls.plays(keys.now, legal)):
                    return
                self._server.changed.wait(_LOOK_EVERY_S)

    def show(self, *, text: str | None) -> None:
        """Put a message on the page; ``None`` takes it away.

        Raises:
            ConfigurationError: it is no text that can be shown there.
        """
        self._text = None if text is None else require_words("text", text)
        self._stage.show_last()
        self._tell()

    def _show(self, picture: Picture, frame: int) -> None:
        with self._server.lock:
            if self._stage.own_turn is not None:
                self._person.forget_presses()  # they were for a turn that is over
            self._person.offer(
                picture,
                frame=frame,
                seq=self._seqs.get(frame, 0),
                episode=self._stage.episode,
                now=time.monotonic(),
            )
        self._tell_legal()
        self._server.flush()

    def _await_page(self) -> None:
        deadline = time.monotonic() + self._open_limit_s
        with self._server.lock:
            while self._person.presence is Presence.EXPECTED:
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    raise _gone("page_unopened")
                self._server.changed.wait(min(left_s, _LOOK_EVERY_S))
            if self._person.measures.clock is None:  # its first answer is a round trip away
                self._server.changed.wait_for(lambda: self._person.measures.clock is not None, _FIRST_PING_S)
            self._require_person()
            clock = self._person.measures.clock
            self._stage.taken(None if clock is None else clock.rtt_s * 1e3)

    def _wait_on(self) -> None:
        """Wait for others no longer than for the person."""
        with self._server.lock:
            self._require_person()

    def _require_person(self) -> None:
        if self._person.gone is not None:
            raise _gone(self._person.gone)

    def _count_down(self) -> None:
        """Let the person get ready, as long as they are there; what they press meanwhile is not played."""
        until = time.monotonic() + self._countdown_s
        try:
            while (left_s := until - time.monotonic()) > 0:
                self._countdown = -int(-left_s // 1)
                self._tell()
                with self._server.lock:
                    self._require_person()
                    self._server.changed.wait(left_s % 1.0 or 1.0)
        finally:
            self._countdown = None
        with self._server.lock:
            self._person.forget_presses()
        self._tell()

    # Telling.

    def _keep_telling(self) -> None:
        while not self._over.wait(_LOOK_EVERY_S):
            self._tell()

    def _tell_legal(self) -> Mask | None:
        """Have the page show whose turn it is, and which keys do nothing; return the mask that says so."""
        mask = self._stage.mask if self._given_mask is None else self._given_mask
        illegal = illegal_bindings(self._controls, self._stage.space, mask)
        turn = self._stage.own_turn
        if turn is False:
            illegal = list(range(len(self._controls.bindings)))
        if (illegal, turn) != (self._illegal, self._turn):
            self._illegal, self._turn = illegal, turn
            self._tell()
        return mask

    def _tell(self, *, over: bool = False) -> None:
        standing = self._stage.standing()
        returns = standing.pop("returns", False) and not self._episode
        if over:
            standing["phase"] = "over"
            standing["title"] = self._title  # who opens the page later is told this alone
            standing["again"] = self._entrance.lasts and (self.again or standing.get("code") is None)
            if self._next_url is not None:
                standing["next"] = self._next_url.replace("{match}", standing.get("code") or "")
            reason = reason_of(self._error, met=standing.get("code") is not None)
            if reason is not None and not (standing.get("ending") or {}).get("reason"):
                standing["ending"] = {"reason": reason, "result": None}
        elif self._countdown is not None:
            standing["phase"], standing["countdown"] = "countdown", self._countdown
        elif standing["phase"] == "playing" and self._stage.episode != self._episode:
            # For its first action, before which the person gets ready.
            standing["phase"] = "returning" if returns else "waiting"
        with self._server.lock:
            standing["quality"] = worst(standing.get("quality"), self._person.measures.quality)
            standing["turn"], standing["illegal"] = self._turn, self._illegal
            self._person.tell(**standing, text=self._text, gone=self._person.gone)
        self._server.flush()


def _shown(bindings: Sequence[Binding]) -> list[dict[str, Any]]:
    """Return keys and combinations as a page is told them."""
    return [
        {
            "codes": sorted(one.codes),
            "keys": [label_of(code) for code in sorted(one.codes)],
            "label": one.label,
            "same": same,
        }
        for one, same in zip(bindings, effects(bindings), strict=True)
    ]


def _gone(reason: str) -> PersonGone:
    return PersonGone(reason, _WORDS[reason])


_WORDS = {
    "left": "they left",
    "page_closed": "their page was closed and not opened again",
    "page_unopened": "nobody opened the link in time",
    "page_dropped": "their page sent what no page sends",
}
