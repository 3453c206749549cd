from __future__ import annotations

import subprocess
import sys

LOOK = """
from gym_p2p.core.api.events import SERVICE_EVENTS
from gym_p2p.core.api.queues import QueueAck
from gym_p2p.core.api.rooms import JoinAck
print([kind.__name__ for kind in (*SERVICE_EVENTS.values(), JoinAck, QueueAck)
       if "__msgspec_cache__" not in vars(kind)])
"""

DECODE = """
import sys, threading
from gym_p2p.core.api.events import SERVICE_EVENTS
from gym_p2p.core.api.payloads import decode
from gym_p2p.errors import ProtocolError

sys.setswitchinterval(1e-6)
begin = threading.Barrier(4)

def read():
    begin.wait()
    for kind in SERVICE_EVENTS.values():
        try:
            decode(kind, {})
        except ProtocolError:
            pass

threads = [threading.Thread(target=read) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("fine")
"""


def _run(program: str) -> str:
    timeout_s = 600  # a run of CI computes these tests only where a processor would be idle
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=timeout_s, check=True
    )
    return done.stdout.strip()


def test_a_clients_payloads_are_prepared_before_a_thread_can_decode_them() -> None:
    assert _run(LOOK) == "[]"


def test_threads_decode_for_the_first_time_side_by_side() -> None:
    assert _run(DECODE) == "fine"
