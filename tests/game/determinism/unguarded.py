"""A script without a guard around its main part: whoever imports it begins a check of it."""

from gym_p2p import check_env_determinism
from tests.game.unruly import Walker

__all__ = ["CARD", "Unguarded"]


class Unguarded(Walker):
    """Walks."""


CARD = check_env_determinism("tests.game.determinism.unguarded:Unguarded", steps=20, seeds=(1,))
