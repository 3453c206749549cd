"""The decoders of what a study is loaded from, a folder that somebody sent; and of a journal of a match."""

from __future__ import annotations

import functools
import gzip
import itertools
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

import gym_p2p
from gym_p2p.core.latency.delta_series import decode_series
from gym_p2p.core.record.documents import KINDS, build_document
from gym_p2p.core.record.journal import decode_input, fold
from gym_p2p.errors import ProtocolError
from gym_p2p.exports.encoding import to_data
from tests.core.record.records import new_record
from tests.core.record.test_journal import written
from tests.hostile.decoders import Decoder
from tests.hostile.file_decoders import file_decoders
from tests.hostile.generators import broken, hostile_json, json_values
from tests.study import made

__all__ = ["study_decoders"]

_bytes_of_json = hostile_json().map(lambda text: text.encode(errors="surrogatepass"))


def study_decoders() -> list[Decoder]:
    """Return all of them."""
    return [*_documents(), *_framework(), *_recordings(), *_journals(), *_series()]


def _loaded(name: str, data: bytes) -> Any:
    """Load a folder with one file beside an honest one; return all rows of all tables."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m"
        path.mkdir()
        made.write(path / "right.multiplayer.json", made.document("right"))
        (path / name).write_bytes(data)
        return {kind: list(table) for kind, table in gym_p2p.load(folder).tables.items()}


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(value, dict | list):
        keys = value if isinstance(value, dict) else range(len(value))
        for key in keys:
            yield from _paths(value[key], (*path, key))


def _changed(whole: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    key, *rest = path
    copy = dict(whole) if isinstance(whole, dict) else list(whole)
    copy[key] = _changed(copy[key], tuple(rest), value)
    return copy


def _twisted(whole: Any) -> SearchStrategy[bytes]:
    """Return a document in which one or two values are others, as JSON."""
    changes = st.lists(
        st.tuples(st.sampled_from(list(itertools.islice(_paths(whole), 400))), json_values),
        min_size=1,
        max_size=2,
    )

    def change(changes: list[tuple[tuple[Any, ...], Any]]) -> bytes:
        found = whole
        for path, value in changes:
            try:
                found = _changed(found, path, value)
            except (KeyError, IndexError, TypeError):  # the change before took its place away
                continue
        return msgspec.json.encode(found)

    return changes.map(change)


def _disagreeing(honest: dict[str, Any]) -> Any:
    """Return a document with another action than the other player's has."""
    path = ("validation", "allActions", 0, "action")
    return _changed(honest, path, 99) if "allActions" in honest.get("validation", {}) else honest


def _documents() -> Iterator[Decoder]:
    for kind, honest in (("multiplayer", made.document("left")), ("session", made.session("left"))):
        example, other = (msgspec.json.encode(one) for one in (honest, _disagreeing(honest)))
        hostile = _twisted(honest) | _bytes_of_json | broken(example)
        yield Decoder(
            f"a {kind} document of a study",
            partial(_loaded, f"left.{kind}.json"),
            (example, other),
            hostile,
            (),
            _ample,
        )
    packed = gzip.compress(example)
    yield Decoder(
        "a packed document of a study",
        partial(_loaded, "left.session.json.gz"),
        (packed,),
        broken(packed) | hostile.map(partial(gzip.compress, compresslevel=1)),
        (),
        _ample,
    )


def _framework() -> Iterator[Decoder]:
    """Yield the files of the browser framework: a document, a table of frames, a match log."""
    saved = Path(made.__file__).parent / "framework_data"
    documents = [path.read_bytes() for path in sorted(saved.glob("coop/*_metrics.json"))]
    twisted = st.sampled_from([msgspec.json.decode(one) for one in documents]).flatmap(_twisted)
    yield Decoder(
        "a document of the browser framework",
        partial(_loaded, "x_multiplayer_metrics.json"),
        tuple(documents),
        twisted | _bytes_of_json | broken(documents[0]),
        (),
        _ample,
    )
    tables = [path.read_bytes() for path in sorted(saved.glob("coop/*_ep*.csv"))]
    cells = st.sampled_from([b"1", b"0", b"-1", b"1e400", b"nan", b"", b"[[[", b"{'a': 1}", b"True", b'"'])
    lines = st.lists(st.lists(cells, max_size=24).map(b",".join), max_size=8).map(b"\n".join)
    header = tables[0].partition(b"\n")[0] + b"\n"
    yield Decoder(
        "a table of frames of the browser framework",
        partial(_loaded, "x_ep0.csv"),
        tuple(tables),
        lines.map(header.__add__) | broken(tables[0]) | _bytes_of_json,
        (),
        _ample,
    )
    log = next(saved.glob("match_logs/*.jsonl")).read_bytes()
    yield Decoder(
        "a match log of the browser framework",
        partial(_loaded, "x_matches.jsonl"),
        (log,),
        broken(log) | _bytes_of_json.map(log.__add__),
        (),
        _ample,
    )


def _recordings() -> Iterator[Decoder]:
    read = next(decoder for decoder in file_decoders() if decoder.name == "a recording")
    load = partial(_loaded, "left.p2preplay")
    yield Decoder("a recording of a study", load, read.examples, read.hostile, (), _ample)


def _ample(_data: bytes) -> int:
    """Whatever is in a file: the tables of a match, and pyarrow, are made of it."""
    return 200_000


@functools.cache
def _lines() -> tuple[bytes, ...]:
    """Return an honest journal, in which everything happens that can."""
    record = new_record()
    checkpoints = [[number * 7 + offset for offset in range(6)] for number in range(12)]
    return tuple(written(record, checkpoints)[0])


def _read_journal(lines: list[bytes]) -> None:
    """Fold a journal, and make the documents of what it comes to."""
    record = fold(lines)
    for kind in KINDS:
        msgspec.json.encode(to_data(build_document(kind, record, 0, decode_input)))


def _journals() -> Iterator[Decoder]:
    entries = [msgspec.json.decode(line) for line in _lines()]
    twisted = st.sampled_from(entries).flatmap(_twisted)
    lines = st.lists(st.sampled_from(_lines()) | twisted | _bytes_of_json, max_size=8)
    whole = st.tuples(st.sampled_from([_lines()[0]]) | twisted, lines).map(lambda pair: [pair[0], *pair[1]])
    yield Decoder("the lines of a journal", _read_journal, (list(_lines()),), whole, within=_as_lines)
    yield Decoder(
        "a journal of a study",
        partial(_loaded, "left.journal.jsonl"),
        (b"".join(_lines()),),
        whole.map(b"\n".join),
        (),
        _ample,
    )


def _as_lines(value: Any) -> list[bytes]:
    return [_lines()[0], repr(value).encode(errors="replace") + b"\n", b"[" * 100_000 + b"\n"]


def _series() -> Iterator[Decoder]:
    read: Callable[[str], Any] = decode_series
    texts = (
        st.text("ABCDwxyz019+/=", max_size=60) | hostile_json() | st.sampled_from(["/" * 1_000, "gICA" * 500])
    )
    yield Decoder("a series of numbers", read, ("ICIg",), texts, (ProtocolError, ValueError))
