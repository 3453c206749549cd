"""What a player probably does where the input has not arrived: predictors of inputs, by name.

Knows inputs as bytes; refuses to know what they mean. A wrong guess costs a rollback and is never part of
a result, so that players need not use the same predictor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gym_p2p.config.names import did_you_mean
from gym_p2p.errors import ConfigurationError

__all__ = [
    "HISTORY_KEPT",
    "Predictor",
    "predict_default",
    "predictor_named",
    "register_predictor",
    "repeat_last",
]

HISTORY_KEPT = 64
"""Inputs that a predictor sees: a second at 60 Hz, far above the window."""

Predictor = Callable[[Sequence[bytes], int, bytes], bytes]
"""``(history, ahead, default) -> input``.

``history`` is the player's newest known inputs, the newest last, never empty and not to be kept or changed;
``ahead`` is how many frames after the newest one the guess is for, from 1; ``default`` is the player's
default input. Called on the user's thread, once for every guessed frame. What it raises comes out of
:meth:`~gym_p2p.core.sync.session.SyncSession.poll`.
"""


def repeat_last(history: Sequence[bytes], ahead: int, default: bytes) -> bytes:  # noqa: ARG001 - one shape
    """Guess the same again."""
    return history[-1]


def predict_default(history: Sequence[bytes], ahead: int, default: bytes) -> bytes:  # noqa: ARG001 - one shape
    """Guess that nothing is done: right where inputs are rare and short."""
    return default


_PREDICTORS: dict[str, Predictor] = {"repeat_last": repeat_last, "default": predict_default}


def register_predictor(name: str, predictor: Predictor) -> None:
    """Make a predictor known by a name, in this process; a name that is taken is an error.

    Raises:
        ConfigurationError: another predictor has this name.
    """
    if _PREDICTORS.setdefault(name, predictor) is not predictor:
        raise ConfigurationError("prediction", f"there is another predictor named {name!r}")


def predictor_named(name: str) -> Predictor:
    """Return the predictor of this name.

    Raises:
        ConfigurationError: there is none.
    """
    found = _PREDICTORS.get(name)
    if found is None:
        hint = did_you_mean(name, _PREDICTORS)
        raise ConfigurationError("prediction", f"no predictor named {name!r}{hint}")
    return found
