"""Which keys an environment itself has in mind for people, read where environments say so.

Knows ``get_keys_to_action`` (Gymnasium's ``play``), the manual policies beside PettingZoo's games,
``get_action_meanings``, and what else names actions: an ``action_set`` (CoGrid), an enumeration (Minigrid). A
manual policy is read as text and never run: making one wants a window, and calling one takes events from it.
"""

from __future__ import annotations

import ast
import enum
import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs

from gym_p2p.human.keys.codes import ARROW_TWINS, codes_of
from gym_p2p.human.keys.controls import Binding
from gym_p2p.human.keys.known import known_keys

__all__ = ["Offer", "of_meanings", "offers"]

_MOST_ACTIONS = 4096


@attrs.frozen
class Offer:
    """A table that an environment has in mind.

    Attributes:
        bindings: its keys.
        nothing: the action of no key; ``None`` where it does not say.
    """

    bindings: tuple[Binding, ...]
    nothing: Any = None


def offers(env: Any, agent: object) -> Iterator[Offer]:
    """Yield the tables that an environment offers for an agent, the most telling first."""
    known = known_keys(env, agent)
    for offer in (
        _of_keys_to_action(env),
        None if known is None else Offer(*known),
        _of_manual_policy(env, agent),
        of_meanings(_meanings(env)),
    ):
        if offer is not None:
            yield offer


def _of_keys_to_action(env: Any) -> Offer | None:
    """Return the table of ``get_keys_to_action``; ``None`` where there is no such method, or it fails.

    As for Gymnasium's ``play``, a text that names no key is letters that are held together. What names a key
    that pages do not know is passed over.
    """
    offer = getattr(env, "get_keys_to_action", None)
    if not callable(offer):
        return None
    try:
        table = dict(offer())
    except Exception:  # noqa: BLE001 - an environment's own code: what it cannot say it does not offer
        return None
    said = _meanings(env)
    bindings, nothing = [], None
    for keys, action in table.items():
        codes = codes_of(keys if isinstance(keys, tuple) else (keys,))
        if codes is None and isinstance(keys, str):
            codes = codes_of(keys)
        meaning = _meaning(said, action)
        idle = meaning != "" and _words(meaning) == []
        if codes and not idle:
            bindings.append(Binding(codes, action, meaning))
        elif codes == frozenset() or (codes and nothing is None):  # a key that does nothing is as none
            nothing = action
    return Offer(_with_arrows(bindings), nothing)


def _of_manual_policy(env: Any, agent: object) -> Offer | None:
    """Return the table in the manual policy beside a PettingZoo game; ``None`` without one for the agent."""
    module = type(env).__module__
    package = module.rpartition(".")[0]
    if not package:
        return None
    try:
        found = importlib.util.find_spec(f"{package}.manual_policy")
    except (ImportError, ValueError):
        return None
    if found is None or found.origin is None:
        return None
    try:
        tree = ast.parse(Path(found.origin).read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError):
        return None
    agents = list(getattr(env, "possible_agents", []))
    number = agents.index(agent) if agent in agents else 0
    bindings: list[Binding] = []
    default: Any = None
    for target, value in _assignments(tree, number):
        if isinstance(target, ast.Attribute) and target.attr == "default_action":
            default = value
        elif isinstance(target, ast.Subscript) and _name(target.value) == "action_mapping":
            key = _name(target.slice)
            codes = codes_of([key.removeprefix("K_")]) if key is not None and key.startswith("K_") else None
            if codes is not None:
                bindings.append(Binding(codes, value))
    return Offer(_with_arrows(bindings), default) if bindings else None


def _assignments(tree: ast.AST, number: int) -> Iterator[tuple[ast.expr, Any]]:
    """Yield every plain assignment of a constant; of branches on ``agent_id`` that of this agent."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and (wanted := _tested_agent(node.test)) is not None:
            chosen: Sequence[ast.stmt] = node.body if wanted == number else node.orelse
            for child in chosen:
                yield from _assignments(ast.Module([child], []), number)
            continue
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            try:
                value = ast.literal_eval(node.value)
            except ValueError:
                continue
            for target in targets:
                yield target, value
        else:
            yield from _assignments(node, number)


def _tested_agent(test: ast.expr) -> int | None:
    """Return N of ``agent_id == N``."""
    if isinstance(test, ast.Compare) and _name(test.left) == "agent_id" and len(test.comparators) == 1:
        value = test.comparators[0]
        if isinstance(test.ops[0], ast.Eq) and isinstance(value, ast.Constant):
            return value.value if isinstance(value.value, int) else None
    return None


def _name(node: ast.expr) -> str | None:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else None


def _meanings(env: Any) -> list[str]:
    """Return what every action of a ``Discrete`` space means; empty where the environment does not say."""
    offer = getattr(env, "get_action_meanings", None)
    try:
        said = list(offer()) if callable(offer) else _of_names(env) or _of_ale(env)
    except Exception:  # noqa: BLE001 - an environment's own code: what it cannot say it does not offer
        return []
    return [str(one) for one in said[:_MOST_ACTIONS]]


def _of_names(env: Any) -> list[str]:
    """Return the names of actions, where an environment keeps them: texts in order, or an enumeration."""
    texts, numbered = getattr(env, "action_set", None), getattr(env, "actions", None)
    if isinstance(texts, tuple | list) and all(isinstance(text, str) for text in texts):
        return list(texts)
    if isinstance(numbered, type) and issubclass(numbered, enum.IntEnum):
        names = {int(action): action.name for action in numbered}
        return [names.get(number, "") for number in range(max(names, default=-1) + 1)]
    return []


_ALE = (
    *("NOOP", "FIRE", "UP", "RIGHT", "LEFT", "DOWN", "UPRIGHT", "UPLEFT", "DOWNRIGHT", "DOWNLEFT", "UPFIRE"),
    *("RIGHTFIRE", "LEFTFIRE", "DOWNFIRE", "UPRIGHTFIRE", "UPLEFTFIRE", "DOWNRIGHTFIRE", "DOWNLEFTFIRE"),
)
"""The actions of the Arcade Learning Environment, by its numbers."""


def _of_ale(env: Any) -> list[str]:
    """Return the meanings where an environment maps its actions to ALE's, as PettingZoo's Atari games do."""
    if not hasattr(env, "ale") or not hasattr(env, "action_mapping"):
        return []
    return [_ALE[int(number)] for number in env.action_mapping]


_DIRECTIONS = {"UP": "ArrowUp", "DOWN": "ArrowDown", "LEFT": "ArrowLeft", "RIGHT": "ArrowRight"}
_COMPASS = {"NORTH": "UP", "SOUTH": "DOWN", "WEST": "LEFT", "EAST": "RIGHT"}
_COMPASS |= {"FORWARD": "UP", "BACKWARD": "DOWN"}
_PHRASES = {"NO OP": "NOOP", "PICK UP OR DROP": "PICKUP", "PICK UP": "PICKUP", "DO NOTHING": "NOOP"}
_FIRE = ("FIRE", "SHOOT", "SWING", "JUMP", "LOAD", "PICKUP", "INTERACT", "USE", "HIT", "DROP", "TOGGLE")
_FIRE_KEYS = ("Space", "KeyX", "KeyC", "KeyV")
_NOTHING = frozenset({"NOOP", "NONE", "NOTHING", "STAY", "STOP", "IDLE", "STILL", "WAIT"})
_FILLERS = frozenset(
    {"MOVE", "GO", "AND", "TO", "THE", "TURN", "ROTATE", "STEP", "PUSH", "ACCELERATE", "STAY", "ACTION"}
)


def of_meanings(said: Sequence[str]) -> Offer | None:
    """Return arrows for actions whose meanings are directions, space for firing; and the action of no key.

    A meaning counts where it is made of such words alone. ``None`` where none of the actions is a direction.

    >>> offer = of_meanings(["stay", "up", "down", "stay and swing", "up and swing"])
    >>> offer.nothing, [(sorted(one.codes), one.action) for one in offer.bindings]
    (0, [(['ArrowUp'], 1), (['ArrowDown'], 2), (['Space'], 3), (['ArrowUp', 'Space'], 4)])
    """
    buttons: dict[str, str] = {}
    bindings: list[Binding] = []
    nothing = None
    for action, meaning in enumerate(said):
        words = _words(meaning)
        if words is None:
            continue
        if not words:
            nothing = action if nothing is None else nothing
            continue
        codes = {_DIRECTIONS[word] for word in words if word in _DIRECTIONS}
        for word in words:
            if word not in _DIRECTIONS:
                free = [key for key in _FIRE_KEYS if key not in buttons.values()]
                if word not in buttons and not free:
                    break
                codes.add(buttons.setdefault(word, free[0] if free else ""))
        else:
            bindings.append(Binding(frozenset(codes), action, " + ".join(words).lower()))
    directions = any(code.startswith("Arrow") for one in bindings for code in one.codes)
    return Offer(_with_arrows(bindings), nothing) if directions else None


def _words(meaning: str) -> list[str] | None:
    """Return the directions and buttons in a meaning, none for "do nothing"; ``None`` for any other."""
    rest = " ".join("".join(sign if sign.isalnum() else " " for sign in meaning.upper()).split())
    for phrase, word in _PHRASES.items():
        rest = rest.replace(phrase, word)
    known = (*_DIRECTIONS, *_COMPASS, *_FIRE)
    found: list[str] = []
    for word in rest.split():
        left = word
        while left:  # ALE runs them together: UPRIGHTFIRE
            part = next((one for one in known if left.startswith(one)), None)
            if part is None:
                break
            found.append(_COMPASS.get(part, part))
            left = left.removeprefix(part)
        if left and word not in _NOTHING | _FILLERS:
            return None
    return list(dict.fromkeys(found))


def _with_arrows(bindings: Sequence[Binding]) -> tuple[Binding, ...]:
    """Return bindings and, where directions are letters alone, the same with arrows."""
    used = {code for one in bindings for code in one.codes}
    if used & set(ARROW_TWINS.values()) or len(used & ARROW_TWINS.keys()) < 2:
        return tuple(bindings)
    twins = [
        Binding(frozenset(ARROW_TWINS.get(code, code) for code in one.codes), one.action, one.label)
        for one in bindings
        if one.codes & ARROW_TWINS.keys()
    ]
    return (*bindings, *twins)


def _meaning(said: Sequence[str], action: Any) -> str:
    index = action if isinstance(action, int) else -1
    return said[index].lower() if 0 <= index < len(said) else ""
