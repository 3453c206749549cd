"""Names of files and folders made of ids that come from anywhere, and are never trusted as a path."""

from __future__ import annotations

import hashlib
import re
import urllib.parse

__all__ = ["path_component"]

_MAX_COMPONENT = 120
"""With the longest suffix and a temporary's prefix below the 255 bytes that file systems allow."""


def path_component(name: str | int) -> str:
    """Return a name for a file or folder: readable where it can be, never anything but one component.

    Different ids have different names, also ``1`` and ``"1"``: what is not plain is percent-encoded, a text
    that looks like a number as well, and what is too long ends in a hash.
    """
    if isinstance(name, int):
        return str(int(name)) if abs(name) < 10**_MAX_COMPONENT else _shortened(str(name))
    encoded = urllib.parse.quote(name, safe="", errors="surrogatepass").replace("~", "%7E")
    if re.fullmatch(r"-?[0-9]+", encoded) or encoded.startswith("."):
        encoded = f"%{ord(encoded[0]):02X}{encoded[1:]}"
    if not encoded:
        return "%"
    return encoded if len(encoded) <= _MAX_COMPONENT else _shortened(encoded)


def _shortened(encoded: str) -> str:
    digest = hashlib.sha256(encoded.encode()).hexdigest()[:32]
    return f"{encoded[: _MAX_COMPONENT - 33]}~{digest}"  # no shorter name has a tilde
