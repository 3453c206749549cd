"""How the documentation is built: ``python -m sphinx -W --keep-going -b html docs docs/_build/html``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from gym_p2p.cli.commands import make_parser
from gym_p2p.study.codebook.codebook import codebook_markdown
from gym_p2p.version import __version__

HERE = Path(__file__).parent
GENERATED = HERE / "_generated"

project = "gym_p2p"
author = "The gym_p2p authors"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"gym_p2p {version}"
html_copy_source = False

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # attributes of attrs classes are documented where they are defined, too


def _write(name: str, lines: list[str]) -> None:
    """Write a generated page, unless it is there already and the same."""
    GENERATED.mkdir(exist_ok=True)
    path, text = GENERATED / name, "\n".join(lines) + "\n"
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def _commands_page() -> list[str]:
    """Return the help of every command, as the command itself prints it."""
    lines = ["# Commands", "", "What `gym-p2p COMMAND --help` prints.", ""]
    parser = make_parser()
    for action in parser._actions:  # noqa: SLF001  # argparse has no public way to its sub-parsers
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001  # the same
            for name, command in action.choices.items():
                command.formatter_class = lambda prog: argparse.RawDescriptionHelpFormatter(prog, width=100)
                lines += [f"## gym-p2p {name}", "", "```text", command.format_help().rstrip(), "```", ""]
    return lines


def _type_of(schema: dict[str, Any]) -> str:
    """Return a field's type in words."""
    match schema:
        case {"$ref": str(reference)}:
            name = reference.rsplit("/", 1)[-1]
            words = f"[{name}](#{name.lower()})"
        case {"anyOf": parts}:
            words = " or ".join(_type_of(part) for part in parts)
        case {"enum": values}:
            words = " or ".join(f"`{json.dumps(value)}`" for value in values)
        case {"const": value}:
            words = f"`{json.dumps(value)}`"
        case {"type": "array", "items": dict(items)}:
            words = f"list of {_type_of(items)}"
        case {"type": "object", "additionalProperties": dict(values)}:
            words = f"object of {_type_of(values)}"
        case {"type": list(kinds)}:
            words = " or ".join(kinds)
        case _:
            words = str(schema.get("type", "anything"))
    return words


def _schema_page(kind: str) -> list[str]:
    """Return a document's fields as tables, out of its published JSON Schema."""
    path = HERE.parent / "gym_p2p" / "schemas" / f"{kind}.schema.json"
    root = json.loads(path.read_text(encoding="utf-8"))
    definitions = dict(root.get("$defs", {}))
    if "$ref" in root:
        name = root["$ref"].rsplit("/", 1)[-1]
        top = definitions.pop(name)
    else:
        top = root
    lines = [f"# The {kind}" if kind == "aggregate" else f"# The {kind} document", ""]
    for name, definition in [("", top), *sorted(definitions.items())]:
        if name:
            lines += [f"## {name}", ""]
        if definition.get("description"):
            lines += [" ".join(definition["description"].split()), ""]
        if "properties" not in definition:
            lines += [_type_of(definition), ""]
            continue
        lines += ["| key | type | meaning |", "|---|---|---|"]
        for key, field in _keys_of(definition):
            meaning = " ".join(field.get("description", "").split()).replace("|", "\\|")
            lines.append(f"| `{key}` | {_type_of(field)} | {meaning} |")
        lines.append("")
    return lines


def _keys_of(definition: dict[str, Any], within: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the keys of an object, and of the open objects in it."""
    for key, field in definition.get("properties", {}).items():
        yield f"{within}{key}", field
        for inner in (field, *field.get("anyOf", [])):
            yield from _keys_of(inner, f"{within}{key}.")


def _generate(_app: Sphinx) -> None:
    _write("commands.md", _commands_page())
    for kind in ("session", "validation", "multiplayer", "aggregate"):
        _write(f"{kind}.md", _schema_page(kind))
    _write("codebook.md", ["# The tables' codebook", "", codebook_markdown()])


def _keep_whole(_app: Sphinx, what: str, _name: str, _obj: Any, _options: Any, lines: list[str]) -> None:
    """Keep napoleon from reading an attribute's first sentence as ``type: description``."""
    if what == "attribute" and lines and ": " in lines[0]:
        before, after = lines[0].split(": ", 1)
        lines[:1] = [f"{before}:", after]


def setup(app: Sphinx) -> None:
    """Write the generated pages before the others are read."""
    app.connect("builder-inited", _generate)
    app.connect("autodoc-process-docstring", _keep_whole, priority=400)  # napoleon has 500
