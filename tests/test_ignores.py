"""Every ignore of a checker's finding has a code and a reason, in the code as in the checkers' settings."""

from __future__ import annotations

import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("gym_p2p", "tests", "benchmarks", "examples", "docs")

IGNORE = re.compile(r"#\s*(?:noqa|type:\s*ignore|pragma:\s*no)\b(?P<rest>.*)")
CODE = r"(?::\s*[A-Z]+\d+(?:,\s*[A-Z]+\d+)*|\[[a-z, -]+\]|\s+(?:cover|branch))"
COMPLETE = re.compile(rf"(?P<code>{CODE})\s*(?:#|-)?\s*(?P<reason>.*)")


def unexplained(path: Path) -> Iterator[str]:
    """Yield the ignores without a code or a reason; one reason does for lines that follow each other."""
    explained: dict[int, str] = {}
    with path.open("rb") as file:
        comments = [token for token in tokenize.tokenize(file.readline) if token.type == tokenize.COMMENT]
    for comment in comments:
        found = IGNORE.search(comment.string)
        if found is None:
            continue
        line = comment.start[0]
        complete = COMPLETE.fullmatch(found["rest"])
        if complete is not None and (
            len(complete["reason"]) > 2 or explained.get(line - 1) == complete["code"]
        ):
            explained[line] = complete["code"]
        else:
            yield f"{path.relative_to(ROOT)}:{line}: {comment.string}"


def test_an_ignore_has_a_code_and_a_reason() -> None:
    files = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    assert len(files) > 100
    assert [one for path in files for one in unexplained(path)] == []


@pytest.mark.parametrize(
    ("line", "passes"),
    [
        ("x = 1  # noqa: S101  # it is so", True),
        ("x = 1  # noqa: S101, S102 - both are so", True),
        ("x = 1  # type: ignore[attr-defined]  # its own", True),
        ("x = 1  # noqa: S101", False),
        ("x = 1  # noqa", False),
        ("x = 1  # noqa  # whatever it is", False),
        ("x = 1  # type: ignore  # whatever it is", False),
        ("x = 1  # pragma: no cover", False),
        ('x = "# noqa"', True),
        ("x = 1  # noqa: S101  # both lines\ny = 1  # noqa: S101", True),
        ("x = 1  # noqa: S101  # both lines\ny = 1  # noqa: S102", False),
    ],
)
def test_what_counts_as_a_code_and_a_reason(
    line: str,
    passes: bool,  # noqa: FBT001  # pytest passes it by name
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tests.test_ignores.ROOT", tmp_path)
    (tmp_path / "example.py").write_text(line + "\n")
    assert (not list(unexplained(tmp_path / "example.py"))) is passes


def test_a_rule_that_is_off_has_a_reason_beside_it() -> None:
    settings = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    ruff = settings[settings.index("[tool.ruff.lint]") : settings.index("[tool.ruff.lint.pydocstyle]")]
    off = [line for line in ruff.splitlines() if re.match(r'\s+"[A-Z]+\d*",|"[^"]+" = \[".*\]', line)]
    assert len(off) > 10
    assert [line for line in off if "#" not in line] == []
