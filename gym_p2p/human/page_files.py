"""What a browser gets of the page: its files, and the headers that keep it to itself. Knows no sockets."""

from __future__ import annotations

from importlib import resources

__all__ = ["OURS", "PAGE_HEADERS", "page_files"]

OURS = "Gym-P2P"
"""The header by which a page knows an answer for the game's own, and not for one of a proxy in front."""

PAGE_HEADERS = {
    OURS: "page",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


def page_files() -> dict[str, tuple[str, bytes]]:
    """Return types and contents of the page's files by name, under ``static/`` the package's modules."""
    package = resources.files("gym_p2p")
    found: dict[str, tuple[str, bytes]] = {}
    for folder, prefix in ((package.joinpath("human", "page"), ""), (package.joinpath("static"), "static/")):
        for file in folder.iterdir():
            kind = _TYPES.get(file.name.rpartition(".")[2])
            if kind is not None:
                found[prefix + file.name] = kind, file.read_bytes()
    return found
