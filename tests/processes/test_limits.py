from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
from gym_p2p.processes.limits import limit_memory
limit_memory(2**27)
bytearray(2**26)
try:
    bytearray(2**28)
except MemoryError:
    print("no more")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not count what is mapped")
def test_a_process_that_limits_itself_runs_out_of_memory_there() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "no more\n"
