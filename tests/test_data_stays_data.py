"""What is read from others is never run: who unpickles or imports by name is named here, and why it may."""

from __future__ import annotations

import ast
from pathlib import Path

import gym_p2p

ROOT = Path(gym_p2p.__file__).parent

UNPICKLES = {
    "net/worker/pipe.py",  # both ends are halves of one program
    "processes/pool.py",  # from processes that this one has started
    "bench/rollback.py",  # weighs a state, and reads none
}
IMPORTS_BY_NAME = {
    "__init__.py",  # names of our own
    "exports/__init__.py",
    "server/__init__.py",
    "simulation/__init__.py",
    "cli/commands.py",
    "study/study.py",  # an extra's libraries
    "study/tables/table.py",
    "policies/model_files.py",
    "config/names.py",  # what the user has named in a configuration of their own
    "game/env/load.py",  # what the user has named, or an installed package has registered
    "game/determinism/fresh_process.py",  # from the process that has started this one
    "hosting/process.py",  # modules that the program which has started this one has, too
    "processes/fork_server.py",  # from the process that has started this one
    "bench/worker.py",
    "bench/faults.py",  # the tests' laboratory
    "plugins/mug/framework.py",  # the framework that it is a plug-in of
}
_READERS = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
_CALLS = {"eval", "exec", "compile", "__import__", "import_module", "resolve_name"}


def used(tree: ast.AST) -> tuple[set[str], set[str]]:
    """Return which of these modules a file imports, and which of these functions it calls."""
    readers, calls = set[str](), set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            readers |= {alias.name.partition(".")[0] for alias in node.names} & _READERS
        elif isinstance(node, ast.ImportFrom):
            readers |= {(node.module or "").partition(".")[0]} & _READERS
        elif isinstance(node, ast.Call):
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            of = ast.unparse(called.value) if isinstance(called, ast.Attribute) else ""
            if name in _CALLS and of in {"", "importlib", "pkgutil", "builtins"}:
                calls.add(name)
    return readers, calls


def test_nothing_that_is_read_is_run() -> None:
    unpickling, importing, running = set[str](), set[str](), set[str]()
    for path in ROOT.rglob("*.py"):
        place = path.relative_to(ROOT).as_posix()
        readers, calls = used(ast.parse(path.read_text(encoding="utf-8")))
        unpickling |= {place} if readers else set()
        importing |= {place} if calls & {"__import__", "import_module", "resolve_name"} else set()
        running |= {place} if calls & {"eval", "exec", "compile"} else set()
    assert not running
    assert unpickling == UNPICKLES
    assert importing == IMPORTS_BY_NAME | {"game/env/recipe.py"}  # of a recording: only once it is trusted


def test_the_search_finds_what_it_looks_for() -> None:
    text = "import pickle\nimport re\nre.compile('a')\neval('1')\nimportlib.import_module('x')"
    assert used(ast.parse(text)) == ({"pickle"}, {"eval", "import_module"})
