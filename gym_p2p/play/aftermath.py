"""What is done at once for a player whose process was killed: their documents are made, and handed in.

Run as a program by their network process, which sees them end: so the service has everybody's account of the
match, and need not wait until this player comes back. It ends by itself, whatever the disk or the service
does; what it leaves undone the next session does, as without it. Whoever else does the same at the same time
holds the journal, the recording or the spool's entry, and is left to it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from gym_p2p.core.wire.seats import SeatId
from gym_p2p.exports.documents import document_path
from gym_p2p.exports.handing_in import hand_in
from gym_p2p.exports.journal import journal_path
from gym_p2p.exports.recovery import recover
from gym_p2p.files.held import is_held
from gym_p2p.game.replay.partial import finish_recording, partial_path
from gym_p2p.processes.python import python_command

__all__ = ["aftermath_command"]

_MAKING_S = 5
"""For the documents and the recording: an hour of play takes two."""
_UPLOAD_S = 20.0
"""For the attempts to hand in; the last of them may take as long as it does by itself."""
_LAST_ATTEMPT_S = 80
_LOOK_AGAIN_S = 0.05
_PLAYER_LOOK_S = 1.0
"""Between two looks for another process of the player's, and longer than a killed one takes to be gone."""
_NICENESS = 10


def aftermath_command(
    folder: Path | None, player_id: SeatId, recording: Path | None, *, wait_s: float = 0.0
) -> list[str]:
    """Return the command that does it; empty where a player keeps nothing on the disk.

    Args:
        folder: of the match; ``None`` where no documents are written.
        player_id: the player.
        recording: where it will be; ``None`` where none is made.
        wait_s: how long the player may come back, who makes all of it anew then: once they have, nothing is
            done.
    """
    if folder is None and recording is None:
        return []
    paths = [None if path is None else str(path) for path in (folder, recording)]
    return python_command("gym_p2p.play.aftermath", json.dumps([player_id, *paths, wait_s]))


def _main(told: str) -> None:
    os.nice(_NICENESS)
    player_id, folder, recording, wait_s = json.loads(told)
    made = [] if folder is None else [journal_path(Path(folder), player_id)]
    made += [] if recording is None else [partial_path(recording)]
    if _comes_back(made, wait_s):
        return
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(_MAKING_S)
    until = time.monotonic() + _MAKING_S
    if recording is not None:
        partial = partial_path(recording)
        _once_let_go(lambda: finish_recording(partial).played, until)
    if folder is None:
        return
    journal = journal_path(Path(folder), player_id)
    _once_let_go(lambda: recover(journal).played, until)
    signal.alarm(round(_UPLOAD_S) + _LAST_ATTEMPT_S)
    with contextlib.suppress(OSError):
        list(hand_in(document_path(folder, player_id, "multiplayer"), deadline_s=_UPLOAD_S))


def _comes_back(made: Sequence[Path], wait_s: float) -> bool:
    """Wait as long as the player may come back; return whether they have, and see to all of it themselves.

    Args:
        made: the files that another process of theirs holds while it plays.
        wait_s: how long.
    """
    until, held = time.monotonic() + wait_s, 0
    while (left_s := until - time.monotonic()) > 0:
        time.sleep(min(left_s, _PLAYER_LOOK_S))
        held = held + 1 if any(map(is_held, made)) else 0
        if held > 1:
            return True
    return False


def _once_let_go(attempt: Callable[[], bool], until: float) -> None:
    """Try again while somebody holds it: a process that dies may need a moment to be dead."""
    while attempt() and time.monotonic() < until:
        time.sleep(_LOOK_AGAIN_S)


if __name__ == "__main__":
    _main(sys.argv[1])
