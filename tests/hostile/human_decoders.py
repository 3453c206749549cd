"""The decoders of a person's seat: what its page says, and tables of keys that another may have written."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gymnasium import Space, spaces
from hypothesis import strategies as st

from gym_p2p.errors import ConfigurationError
from gym_p2p.human.keys.tables import controls_for
from gym_p2p.human.messages import decode_offer, decode_page_message
from tests.hostile.decoders import Decoder
from tests.hostile.generators import broken, hostile_json

__all__ = ["human_decoders"]

_PAGE: tuple[str, ...] = (
    '{"t":"hello","v":2,"width":390,"height":844,"touch":true,"browser":"Firefox","version":"140","why":"late"}',
    '{"t":"keys","held":["ArrowUp"],"changes":[[2,12.5,"Space"],[3,14,null]]}',
    '{"t":"focus","focused":false}',
    '{"t":"ack","n":7,"shown":[[6,100],[7,116.7]]}',
    '{"t":"pong","id":1,"received":5,"sent":5.5}',
    '{"t":"leave"}',
)
_OFFERS = (
    b'{"sdp":"v=0","candidates":[{"candidate":"candidate:1 1 udp 1 x.local 9 typ host","sdpMLineIndex":0}]}',
    b'{"sdp":"v=0","candidates":[]}',
)
_TABLES: dict[str, tuple[Space[Any], Any, tuple[bytes, ...]]] = {
    "one of several actions": (
        spaces.Discrete(6),
        0,
        (
            b'{"ArrowLeft": 1, "ArrowLeft+Space": {"action": 4, "label": "hop"}}',
            b'{"keys": {"": 0, "KeyA": 2}}',
        ),
    ),
    "two numbers": (
        spaces.Box(-1, 1, (2,)),
        [0.0, 0.0],
        (b'[{"down": "ArrowLeft", "up": "ArrowRight"}, {"down": "KeyS", "up": "KeyW"}]',),
    ),
    "two parts": (spaces.MultiDiscrete([3, 2]), [0, 0], (b'[{"ArrowUp": 1}, {"Space": 1}]',)),
}


def human_decoders() -> Iterator[Decoder]:
    """Yield all of them."""
    changed = st.builds(
        lambda text, name, value: f"{text[:-1]},{json.dumps(name)}:{value}}}",
        st.sampled_from(_PAGE),
        st.sampled_from(["t", "v", "why", "held", "changes", "n", "shown", "width", "browser", "sent"]),
        hostile_json(),
    )
    torn = st.sampled_from(_PAGE).flatmap(lambda text: broken(text.encode()))
    yield Decoder(
        "what the page of a person's seat says",
        decode_page_message,
        _PAGE,
        changed | hostile_json() | torn.map(lambda data: data.decode(errors="surrogateescape")),
    )
    yield Decoder(
        "a page's offer of data channels",
        decode_offer,
        _OFFERS,
        st.sampled_from(_OFFERS).flatmap(broken)
        | hostile_json().map(lambda text: text.encode(errors="surrogatepass")),
    )
    for name, (space, nothing, tables) in _TABLES.items():
        whole = st.sampled_from(tables).flatmap(broken)
        other = hostile_json().map(lambda text: text.encode(errors="surrogatepass"))
        values = st.builds(
            lambda key, value: f"{{{json.dumps(key)}:{value}}}".encode(errors="surrogatepass"),
            st.sampled_from(["", "Space", "+", "Space+", "keys", "down", "ArrowUp+ArrowUp", "\ud800"]),
            hostile_json(),
        )
        for suffix in ("json", "toml"):
            yield Decoder(
                f"keys for {name}, {suffix}",
                _controls(space, nothing, f"keys.{suffix}"),
                tables if suffix == "json" else (),
                whole | other | values,
                (ConfigurationError,),
                within=lambda value: value if isinstance(value, bytes) else repr(value).encode(),
            )


def _controls(space: Space[Any], nothing: Any, name: str) -> Callable[[bytes], Any]:
    """Return what makes controls of a file with these bytes."""

    def read(data: bytes) -> Any:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, name)
            path.write_bytes(data)
            return controls_for(space, env=None, agent=0, keys=path, nothing=nothing, fps=30)

    return read
