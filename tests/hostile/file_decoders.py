"""The decoders of files and of what is uploaded: each writes what it is given to a folder of its own."""

from __future__ import annotations

import base64
import contextlib
import gzip
import io
import json
import os
import tempfile
import urllib.error
import zlib
from collections.abc import Callable, Iterator
from email.message import Message
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import msgspec
import numpy as np
from hypothesis import strategies as st

from gym_p2p.cli.matchmaking import _records
from gym_p2p.config import Secret
from gym_p2p.core.matchmaking.decision_log import replay
from gym_p2p.core.matchmaking.strategy import FIFOMatchmaker
from gym_p2p.core.record.index import told_index_entry
from gym_p2p.errors import DamagedReplay, UnreadableReplay
from gym_p2p.exports.index import INDEX, is_in_index
from gym_p2p.exports.spool import _expiry, flush_spool
from gym_p2p.exports.upload import _read_answer, _read_refusal
from gym_p2p.exports.upload_status import note_upload
from gym_p2p.game.replay.reader import read_replay
from gym_p2p.game.replay.records import (
    FORMAT,
    FORMAT_VERSION,
    Begun,
    Closed,
    Ended,
    Frames,
    _chained,
    digest_of_header,
)
from gym_p2p.game.state.dumps import MAX_PLAIN_BYTES, NoStateError, compare, pack
from gym_p2p.server.apart import Job, TooLargeError, unpacked
from gym_p2p.server.guard.tokens import JoinClaims, OperatorClaims, TokenSigner, UploadClaims, read_secret
from gym_p2p.server.store import DocumentError, Store
from tests.hostile.decoders import Decoder
from tests.hostile.generators import TEXTS, broken, hostile_json, json_values

__all__ = ["file_decoders"]

MAX_BODY_BYTES = 2**20


_bytes_of_json = hostile_json().map(lambda text: text.encode(errors="surrogatepass"))


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def file_decoders() -> list[Decoder]:
    return [*_recordings(), *_states(), *_uploads(), *_beside_documents(), *_spools(), *_tokens(), *_logs()]


def _in_a_file(name: str, read: Callable[[Path], Any]) -> Callable[[bytes], Any]:
    """Return what reads bytes from a file of this name."""

    def write_and_read(data: bytes) -> Any:
        with _folder() as folder:
            (folder / name).write_bytes(data)
            return read(folder / name)

    return write_and_read


# ---- recordings

_HEADER = {
    "format": FORMAT,
    "version": FORMAT_VERSION,
    "match_id": "m",
    "player_id": 0,
    "seats": [0, 1],
    "players": [],
    "environment": None,
    "watchers": 0,
    "isolated": False,
    "snapshots": None,
    "description": {},
    "versions": {},
    "sync": {},
    "recorded_ms": 0,
}


def recording(header: bytes, records: list[tuple[bytes, bytes]]) -> bytes:
    """Return a recording whose digests are right, whatever its header and records (kind, deflated) are."""
    file = bytearray(header + b"\n")
    before = digest_of_header(bytes(file))
    for kind, payload in [(b"H", b""), *records]:
        head = kind + len(payload).to_bytes(4, "big")
        before = _chained(before, kind, payload)
        file += head + payload + before
    return bytes(file)


def _read_recording(path: Path) -> int:
    read = read_replay(path)
    return sum(len(part.inputs) for episode in read.episodes for part in episode.parts() if part.inputs)


def _packed(value: Any) -> bytes:
    return zlib.compress(msgspec.msgpack.encode(value, enc_hook=str))


def _can_be_packed(value: Any) -> bool:
    """Whether our own encoder can write it: JSON has longer integers than MessagePack."""
    try:
        return bool(_packed(value))
    except OverflowError:
        return False


def _recordings() -> Iterator[Decoder]:
    begun = Begun(seed=1, options={}, observations="00")
    frames = Frames(first=0, inputs=[(b"\x00", b"\x01")], rewards=[(0.0, 1.0)], ends=[b"\x00\x00"], checks=[])
    honest = [
        (b"B", _packed(begun)),
        (b"F", _packed(frames)),
        (b"E", _packed(Ended(frames=1, completed=True))),
        (b"Z", _packed(Closed(episodes=1, frames=1, reason="normal"))),
    ]
    example = recording(msgspec.json.encode(_HEADER), honest)
    fields = st.sampled_from([*attrs.asdict(begun), *attrs.asdict(frames), "frames", "reason", "completed"])
    twisted = st.builds(
        lambda one, key, value: {**attrs.asdict(one), key: value},
        st.sampled_from([begun, frames]),
        fields,
        json_values,
    )
    bombs = st.sampled_from([b"\x00" * 2**24, b"\x91" * 2**16, b"\xdc\xff\xff" * 2**16]).map(zlib.compress)
    payloads = st.one_of(
        st.binary(max_size=20), bombs, (json_values | twisted).filter(_can_be_packed).map(_packed)
    )
    records = st.lists(
        st.sampled_from(honest) | st.tuples(st.sampled_from([b"B", b"F", b"E", b"Z", b"Q"]), payloads),
        max_size=6,
    )
    headers = _bytes_of_json | st.builds(
        lambda key, value: msgspec.json.encode({**_HEADER, key: value}),
        st.sampled_from(sorted(_HEADER)),
        json_values,
    )
    whole = st.builds(recording, st.just(msgspec.json.encode(_HEADER)) | headers, records)
    yield Decoder(
        "a recording",
        _in_a_file("match.p2preplay", _read_recording),
        (example,),
        whole | whole.flatmap(broken) | broken(example),
        (UnreadableReplay, DamagedReplay),
    )


# ---- states


def _inflated_bytes(data: bytes, *, most: int, wbits: int = 15) -> int:
    try:
        return len(zlib.decompressobj(wbits).decompress(data, most))
    except zlib.error:
        return 0


def _states() -> Iterator[Decoder]:
    ours = pack({"unwrapped.skew": 0.0, "unwrapped.grid": np.zeros(3)})
    sizes = st.sampled_from([0, 1, -1, 2**31, 2**62, 1.5, True])
    parts = st.sampled_from(
        ["<f8", "O", "V0", "V2147483647", "<U99999999", "x", "(3,)<i4", "AAAA", "=", "\ud800", ""]
    )
    odd = st.builds(
        lambda kind, body: json.dumps({kind: body}),
        st.sampled_from(["array", "number", "int", "float", "bytes", "dict", "set", "x"]),
        st.sampled_from(["0x1p99999", "nan", "9" * 5_000, "?", ""])
        | st.lists(st.lists(sizes, max_size=3) | parts | sizes, max_size=4)
        | st.lists(st.lists(parts | sizes, min_size=2, max_size=2), max_size=3),
    )
    texts = (odd | hostile_json()).map(lambda text: f'{{"unwrapped.skew":{text},"unwrapped.grid":{text}}}')
    bombs = st.sampled_from([" " * 2**25, "[" * 2**20, '{"a":[' + "[]," * 2**20, '{"a":1,' * 2**18])
    packed = (texts | bombs | hostile_json()).map(
        lambda text: zlib.compress(text.encode(errors="surrogatepass"), 1)
    )
    yield Decoder(
        "the state of a desync",
        partial(compare, ours),
        (ours,),
        packed | packed.flatmap(broken),
        (NoStateError,),
        partial(_inflated_bytes, most=MAX_PLAIN_BYTES),
    )


# ---- uploads and the service's answers


def _uploads() -> Iterator[Decoder]:
    claims = UploadClaims(match_id="m", player_id=0, player_ids=(0, 1), expires_at=0.0)
    validation = {
        "allHashes": [{"episode": 1, "frame": 0, "hash": "00"}],
        "allActions": [{"episode": 1, "frame": 0, "playerId": 0, "action": 1}],
        "allDesyncEvents": [],
        "allRollbacks": [],
    }
    document = {"gameId": "m", "playerId": 0, "validation": validation}

    def take(body: bytes, *, gzipped: bool) -> None:
        with _folder() as folder:
            store = Store(folder)
            job = Job(folder, claims, "multiplayer", gzipped=gzipped, max_bytes=MAX_BODY_BYTES)
            store.put(claims, "multiplayer", b"".join(unpacked(io.BytesIO(body), job)))
            other = json.dumps({**document, "playerId": 1}).encode()
            store.put(attrs.evolve(claims, player_id=1), "multiplayer", other)
            store.aggregate(claims)

    plain = _bytes_of_json | st.builds(
        lambda text: b'{"gameId":"m","playerId":0,"validation":' + text + b"}", _bytes_of_json
    )
    rows = st.dictionaries(st.sampled_from(["allActions", "allHashes", "totalDesyncs", "x"]), json_values)
    plain = plain | st.builds(
        lambda key, value: msgspec.json.encode({**document, key: value}),
        st.sampled_from(["validation", "players", "x"]),
        rows | json_values,
    )
    bombs = st.sampled_from(
        [b" " * 2**24, b"[" * 2**21, b'{"gameId":"m","playerId":0,"x":[' + b"[]," * 2**19]
    )
    refuses = (DocumentError, TooLargeError)
    yield Decoder(
        "an uploaded document",
        lambda body: take(body, gzipped=False),
        (json.dumps(document).encode(),),
        plain,
        refuses,
    )
    yield Decoder(
        "an uploaded document, deflated",
        lambda body: take(body, gzipped=True),
        (gzip.compress(json.dumps(document).encode()),),
        (plain | bombs).map(lambda body: gzip.compress(body, 1)).flatmap(broken)
        | bombs.map(lambda body: gzip.compress(body, 1)),
        refuses,
        partial(_inflated_bytes, most=MAX_BODY_BYTES, wbits=31),
    )
    yield Decoder("an answer to an upload", _read_answer, (b'{"ok":true,"stored":true}',), _bytes_of_json, ())
    yield Decoder("a refusal of an upload", _refused, (b'{"ok":false}',), _bytes_of_json, ())


def _refused(body: bytes) -> Any:
    return _read_refusal(
        urllib.error.HTTPError("http://service", 403, "\x1b[2J", Message(), io.BytesIO(body)), in_parts=False
    )


def _flushed(data: bytes) -> Any:
    with _folder() as folder:
        (folder / ".spool").mkdir()
        (folder / ".spool" / "entry.json").write_bytes(data)
        return flush_spool(folder, "http://127.0.0.1:9", deadline_s=0.5)


_INDEXED = told_index_entry(b'{"gameId":"m","playerId":0}', "m")


def _noted(session: Path) -> None:
    note_upload(session.with_name("0.multiplayer.json"), "refused", "no")


def _beside_documents() -> Iterator[Decoder]:
    line = msgspec.json.encode(_INDEXED)
    yield Decoder(
        "an index of matches",
        _in_a_file(INDEX, lambda path: is_in_index(path.parent, _INDEXED)),
        (line + b"\n",),
        _bytes_of_json | broken(line),
        (),
    )
    session = b'{"gameId":"m","upload":{"state":"kept"}}'
    yield Decoder(
        "a session document that is to say what became of the upload",
        _in_a_file("0.session.json", _noted),
        (session,),
        _bytes_of_json | broken(session),
        (),
    )


def _spools() -> Iterator[Decoder]:
    entry = {
        "serverUrl": "http://elsewhere",
        "urlPath": "/",
        "token": "t",
        "document": "m.json",
        "kind": "session",
    }
    changed = st.builds(
        lambda key, value: msgspec.json.encode({**entry, key: value}),
        st.sampled_from(sorted(entry)),
        json_values,
    )
    example = json.dumps(entry).encode()
    yield Decoder(
        "an entry of the spool", _flushed, (example,), changed | _bytes_of_json | broken(example), ()
    )
    tokens = st.builds(
        lambda body, rest: f"{body}{rest}", _bytes_of_json.map(_base64), st.sampled_from(["", ".x", "."])
    )
    yield Decoder(
        "the end of a token's life",
        lambda text: _expiry(Secret(text)),
        (_base64(b'{"expires_at":1}') + ".x",),
        tokens | st.sampled_from(TEXTS),
        (),
    )


def _base64(body: bytes) -> str:
    return base64.urlsafe_b64encode(body).rstrip(b"=").decode()


# ---- tokens, secrets, logs


def _tokens() -> Iterator[Decoder]:
    for kind, claims in (
        (UploadClaims, UploadClaims(match_id="m", player_id=0, player_ids=(0,), expires_at=9.0)),
        (OperatorClaims, OperatorClaims(expires_at=9.0)),
        (JoinClaims, JoinClaims(experiment="e", subject_id="s", expires_at=9.0, token_id="t")),  # noqa: S106 - a name
    ):
        signer: TokenSigner[Any] = TokenSigner(b"secret", kind)
        token = signer.issue(claims)

        def signed(body: bytes, signer: TokenSigner[Any] = signer) -> str:
            text = _base64(body)
            return f"{text}.{signer._signature(text)}"

        fields = json.loads(msgspec.json.encode(claims))
        changed = st.builds(
            lambda f, key, value: msgspec.json.encode({**f, key: value}),
            st.just(fields),
            st.sampled_from(sorted(fields)),
            json_values,
        )
        yield Decoder(
            f"a token with {kind.__name__}",
            partial(signer.verify, now=1.0),
            (token,),
            st.sampled_from(TEXTS)
            | broken(token.encode()).map(lambda data: data.decode(errors="surrogateescape"))
            | (changed | _bytes_of_json).map(signed),
            (),
        )
    yield Decoder(
        "a service's secret",
        _in_a_file(".token-secret", lambda path: read_secret(path.parent)),
        (os.urandom(32),),
        st.binary(max_size=64),
        (OSError,),
    )


def _logs() -> Iterator[Decoder]:
    def read(data: bytes) -> Any:
        with io.TextIOWrapper(io.BytesIO(data), encoding="utf-8") as lines:
            return replay(_records(lines), FIFOMatchmaker())

    yield Decoder(
        "a decision log",
        read,
        (b'{"v":1,"kind":"made"}\n',),
        st.lists(_bytes_of_json).map(b"\n".join),
        (UnicodeDecodeError,),
    )
