"""Networks of known behaviour for tests: hosts, a path of chosen delay and losses, translators, the truth."""

from tests.lab.forwarder import Condition, Counters
from tests.lab.namespaces import why_not
from tests.lab.nat import Nat
from tests.lab.network import SERVICE, Lab, Totals
from tests.lab.processes import end, read_line
from tests.lab.truth import Ping, RunningPing, echo, ping, start_ping

__all__ = [
    "SERVICE",
    "Condition",
    "Counters",
    "Lab",
    "Nat",
    "Ping",
    "RunningPing",
    "Totals",
    "echo",
    "end",
    "ping",
    "read_line",
    "start_ping",
    "why_not",
]
