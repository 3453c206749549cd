"""One host in a process of its own: ``python -m tests.server.hosts.program KIND DATA_DIR``.

A process is monkey-patched before anything else is imported, as their authors say.
"""

from __future__ import annotations

import sys
import warnings


def patch(kind: str) -> None:
    if "eventlet" in kind:
        warnings.filterwarnings("ignore")  # that it is deprecated: its users know
        import eventlet  # noqa: PLC0415  # this kind's alone

        eventlet.monkey_patch()
    elif "gevent" in kind:
        from gevent import monkey  # noqa: PLC0415  # this kind's alone

        monkey.patch_all()


if __name__ == "__main__":
    patch(sys.argv[1])
    from tests.server.hosts.kinds import main

    main(sys.argv[2])
