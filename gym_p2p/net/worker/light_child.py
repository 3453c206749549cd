"""The network process as it is started: :mod:`gym_p2p.net.worker.child`, without what media would need."""

from __future__ import annotations

from gym_p2p.net.worker.no_media import leave_out_media

leave_out_media()

from gym_p2p.net.worker.child import main, rehearse, run  # noqa: E402 - it imports aiortc

__all__ = ["main", "rehearse", "run"]

if __name__ == "__main__":
    main()
