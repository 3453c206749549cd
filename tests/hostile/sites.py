"""Finds every place of the package that turns foreign bytes or texts into values, from its source.

A *site* is the function in which a parser of the standard library, of msgspec or of numpy is called. It knows
those parsers' names; refuses to know which of the sites are reached by whom.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import gym_p2p

__all__ = ["decoding_sites", "reached"]

PACKAGE = Path(gym_p2p.__file__).parent
_PARSERS = frozenset(
    [
        "json.load",
        "json.loads",
        "pickle.load",
        "pickle.loads",
        "marshal.loads",
        "tomllib.load",
        "tomllib.loads",
        "ast.literal_eval",
        "msgspec.json.decode",
        "msgspec.msgpack.decode",
        "msgspec.convert",
        "csv.reader",
        "csv.DictReader",
        "zlib.decompress",
        "zlib.decompressobj",
        "gzip.open",
        "gzip.decompress",
        "bz2.decompress",
        "lzma.decompress",
        "struct.unpack",
        "struct.unpack_from",
        "struct.iter_unpack",
        "np.frombuffer",
        "np.load",
        "np.fromfile",
        "base64.b64decode",
        "base64.urlsafe_b64decode",
        "base64.b85decode",
        "float.fromhex",
        "bytes.fromhex",
        "pq.read_table",
        "pq.ParquetFile",
        "configparser.ConfigParser",
    ]
)
_METHODS = frozenset({"unpack", "unpack_from", "iter_unpack", "decode_lines", "raw_decode"})
"""Of objects that are made elsewhere: a ``struct.Struct``, a decoder of msgspec or of JSON."""


def decoding_sites() -> Iterator[str]:
    """Yield every site as ``module:function``, the function's name qualified by its classes."""
    for path in sorted(PACKAGE.rglob("*.py")):
        module = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
        finder = _Finder()
        finder.visit(ast.parse(path.read_text()))
        yield from (f"{module}:{name}" for name in sorted(finder.found))


class _Finder(ast.NodeVisitor):
    def __init__(self) -> None:
        self.found: set[str] = set()
        self._within: list[str] = []

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._enter(node.name, node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._enter(node.name, node, inner="<locals>")

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._enter(node.name, node, inner="<locals>")

    def visit_Call(self, node: ast.Call) -> None:
        if _parses(node) and self._within:
            self.found.add(".".join(self._within).removesuffix(".<locals>"))
        self.generic_visit(node)

    def _enter(self, name: str, node: ast.AST, *, inner: str | None = None) -> None:
        names = [name] if inner is None else [name, inner]
        self._within += names
        self.generic_visit(node)
        del self._within[-len(names) :]


def _parses(call: ast.Call) -> bool:
    name = ast.unparse(call.func)
    if name in _PARSERS:
        return True
    if not isinstance(call.func, ast.Attribute):
        return False
    if call.func.attr in _METHODS:
        return True
    # ``data.decode()`` and ``data.decode("ascii")`` are of bytes; a decoder is told what to decode.
    return call.func.attr == "decode" and bool(call.args) and not isinstance(call.args[0], ast.Constant)


def reached(work: Callable[[], Any]) -> set[str]:
    """Return which functions of the package run while this does, as sites; what it raises is let go."""
    seen: set[CodeType] = set()

    def note(frame: FrameType, event: str, _argument: Any) -> None:
        if event == "call":
            seen.add(frame.f_code)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    except Exception:  # noqa: BLE001, S110 - only where it came counts here
        pass
    finally:
        sys.setprofile(before)
    return set(filter(None, map(_site_of, seen)))


def _site_of(code: CodeType) -> str | None:
    path = Path(code.co_filename)
    if not path.is_relative_to(PACKAGE):
        return None
    module = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    return f"{module}:{code.co_qualname}"
