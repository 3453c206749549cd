"""A page of a person's seat in the real browser, from outside; the browser is the fixture ``browser``."""

from __future__ import annotations

import base64
import itertools
from typing import Any

import numpy as np

from tests.browser.driver import Driver
from tests.waiting import PATIENCE_S

__all__ = ["DRAWN", "PHASES", "Page"]

_numbers = itertools.count(1)


class Page:
    """A page of the browser, from outside."""

    def __init__(self, driver: Driver, url: str, **how: Any) -> None:
        self._driver = driver
        self.number = next(_numbers)
        self.ask("open", url=url, **how)

    def ask(self, command: str, **parameters: Any) -> Any:
        return self._driver.ask("seat", does=command, page=self.number, **parameters).result(PATIENCE_S)

    def until(self, expression: str) -> None:
        self.ask("until", expression=expression, limitMs=(PATIENCE_S - 5) * 1000)

    def phase(self, phase: str) -> None:
        self.until(f"document.body.dataset.phase === '{phase}'")

    def has_been(self, phase: str) -> None:
        """Wait until it is or was in a phase that does not last; it was opened with :data:`PHASES`."""
        self.until(f"window.phases.includes('{phase}')")

    def head(self) -> str:
        """Return what stands on the card; "" where there is none."""
        return str(self.ask("value", expression=_HEAD))

    def text(self) -> str:
        return str(self.ask("value", expression="document.body.innerText"))

    def canvas(self) -> np.ndarray[Any, Any]:
        """Return the canvas's pixels, with three colours."""
        width, height, text = self.ask("value", expression=_CANVAS)
        pixels = np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width, 4)
        assert (pixels[:, :, 3] == 255).all()
        return pixels[:, :, :3]


_HEAD = "document.getElementById('card').hidden ? '' : document.getElementById('card-head').textContent"

DRAWN = "Boolean(window.page?.screen.drawn)"

PHASES = """{
  window.phases = [];
  const note = () => document.body?.dataset.phase && window.phases.push(document.body.dataset.phase);
  new MutationObserver(note).observe(document, { subtree: true, attributeFilter: ["data-phase"] });
}"""
"""Notes the phases that a page goes through."""

_CANVAS = """(() => {
  const canvas = document.getElementById("screen");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let text = "";
  for (let at = 0; at < data.length; at += 8192) text += String.fromCharCode(...data.subarray(at, at + 8192));
  return [canvas.width, canvas.height, btoa(text)];
})()"""
