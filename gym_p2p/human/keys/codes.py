"""Keys by what others call them, as the codes of browsers: a code is a place on the keyboard, not a letter.

Codes are those of ``KeyboardEvent.code`` (W3C UI Events). Knows letters and pygame's numbers of keys; refuses
to know what a key does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from gym_p2p.config.names import did_you_mean
from gym_p2p.errors import ConfigurationError

__all__ = ["ARROW_TWINS", "KNOWN_CODES", "code_of", "codes_of", "label_of"]

_PUNCTUATION = {
    " ": "Space",
    "\r": "Enter",
    "\n": "Enter",
    "\t": "Tab",
    "\x1b": "Escape",
    "\x08": "Backspace",
    "-": "Minus",
    "=": "Equal",
    "[": "BracketLeft",
    "]": "BracketRight",
    "\\": "Backslash",
    ";": "Semicolon",
    "'": "Quote",
    "`": "Backquote",
    ",": "Comma",
    ".": "Period",
    "/": "Slash",
}

_ARROWS = ("ArrowRight", "ArrowLeft", "ArrowDown", "ArrowUp")

_NUMBERS = {
    # pygame 2 (SDL's keycodes: the scancode with bit 30), and pygame 1, by which some environments still go.
    **{(1 << 30) + 79 + index: code for index, code in enumerate(_ARROWS)},
    **dict(zip((275, 276, 274, 273), _ARROWS, strict=True)),
    (1 << 30) + 225: "ShiftLeft",
    (1 << 30) + 229: "ShiftRight",
    304: "ShiftLeft",
    303: "ShiftRight",
    (1 << 30) + 224: "ControlLeft",
    (1 << 30) + 228: "ControlRight",
    306: "ControlLeft",
    305: "ControlRight",
}

_NAMES = {
    "up": "ArrowUp",
    "down": "ArrowDown",
    "left": "ArrowLeft",
    "right": "ArrowRight",
    "space": "Space",
    "enter": "Enter",
    "return": "Enter",
    "shift": "ShiftLeft",
    "tab": "Tab",
}

KNOWN_CODES = frozenset(
    {
        *(f"Key{letter}" for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
        *(f"Digit{digit}" for digit in range(10)),
        *(f"Numpad{digit}" for digit in range(10)),
        *(f"F{number}" for number in range(1, 13)),
        *("NumpadAdd", "NumpadSubtract", "NumpadMultiply", "NumpadDivide", "NumpadDecimal", "NumpadEnter"),
        *("AltLeft", "AltRight", "Delete", "Insert", "Home", "End", "PageUp", "PageDown"),
        *("IntlBackslash", *_PUNCTUATION.values(), *_NUMBERS.values(), *_NAMES.values()),
    }
)
"""The keys that a table may name."""

_SERIES = ("KeyA to KeyZ", "Digit0 to Digit9", "Numpad0 to Numpad9", "F1 to F12")
_ALL_IN_WORDS = "a letter or digit, or a code as browsers have them: " + ", ".join(
    [
        *_SERIES,
        *sorted(code for code in KNOWN_CODES if not re.fullmatch(r"(Key|Digit|Numpad|F)([A-Z]|\d+)", code)),
    ]
)
"""The keys that a table may name, for whoever named another one."""

ARROW_TWINS = {"KeyW": "ArrowUp", "KeyA": "ArrowLeft", "KeyS": "ArrowDown", "KeyD": "ArrowRight"}
"""Letters that stand for directions, and the arrows that do so for everybody."""

_LABELS = {
    "ArrowUp": "↑",
    "ArrowDown": "↓",
    "ArrowLeft": "←",
    "ArrowRight": "→",
    "Space": "Space",
    **{code: sign for sign, code in _PUNCTUATION.items() if sign.isprintable() and sign != " "},
}


def code_of(key: object) -> str:
    """Return the code of a key: given as one, as a letter or sign, by a name, or by pygame's number.

    >>> code_of("ArrowUp"), code_of("w"), code_of(" "), code_of(276), code_of(ord("d"))
    ('ArrowUp', 'KeyW', 'Space', 'ArrowLeft', 'KeyD')

    Raises:
        ConfigurationError: there is no such key.
    """
    found = _code_of(key)
    if found is None:
        raise ConfigurationError("keys", f"no key {key!r}: wanted {_ALL_IN_WORDS}{_near(str(key))}")
    return found


def _near(name: str) -> str:
    """Return which code somebody may have meant, as the end of an error's text."""
    turned = [code for code in KNOWN_CODES if sorted(code.lower()) == sorted(name.lower())]  # LeftArrow
    return did_you_mean(turned[0] if turned else name, sorted(KNOWN_CODES), list_all=False)


def _code_of(key: object) -> str | None:
    if isinstance(key, int) and not isinstance(key, bool):
        return _NUMBERS.get(key) or (_code_of(chr(key)) if 0 < key < 128 else None)
    if not isinstance(key, str) or key in KNOWN_CODES:
        return key if isinstance(key, str) else None
    if len(key) == 1 and key.isascii() and key.isalnum():
        return f"Digit{key}" if key.isdigit() else f"Key{key.upper()}"
    return _PUNCTUATION.get(key) or _NAMES.get(key.lower())


def codes_of(keys: Iterable[object]) -> frozenset[str] | None:
    """Return the codes of keys that are held together; ``None`` where there is no such key among them."""
    found = [_code_of(key) for key in keys]
    codes = frozenset(code for code in found if code is not None)
    return None if None in found else codes


def label_of(code: str) -> str:
    """Return what is written for a key on the page.

    >>> label_of("ArrowUp"), label_of("KeyW"), label_of("Digit1"), label_of("ShiftLeft")
    ('↑', 'W', '1', 'Shift')
    """
    if code in _LABELS:
        return _LABELS[code]
    for prefix in ("Key", "Digit"):
        if code.startswith(prefix):
            return code.removeprefix(prefix)
    return code.removesuffix("Left").removesuffix("Right")
