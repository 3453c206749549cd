"""Tries what is to be hosted before anybody comes: in a process of its own, as it will be played."""

from __future__ import annotations

import asyncio

from gym_p2p.errors import ConfigurationError, P2PError, UsageError
from gym_p2p.hosting.messages import Failed, FromProcess, Measure, Measured, Part
from gym_p2p.hosting.processes import SeatProcesses

__all__ = ["tried"]


async def tried(part: Part) -> tuple[SeatProcesses, Measured]:
    """Play the environment for a moment; return what it costs, and who starts more of its processes.

    Raises:
        P2PError: it cannot be played so.
    """
    answer: asyncio.Future[FromProcess | None] = asyncio.get_running_loop().create_future()

    def hear(message: FromProcess | None) -> None:
        if not answer.done():
            answer.set_result(message)

    trying = SeatProcesses(part.env)
    try:
        process = trying.start(Measure(part), hear=hear, gone=lambda: hear(None))
        try:
            found = await answer
        finally:
            trying.close()  # first: a process that it has not forked yet, it never will
            process.kill()
            await process.let_go()
    finally:
        trying.close()
    match found:
        case Measured():
            return SeatProcesses(part.env, *found.modules), found
        case Failed(problem, option=str(option)):
            raise ConfigurationError("split" if option == "seats" else option, problem)  # as a part has it
        case Failed(problem, usage):
            raise (UsageError if usage else P2PError)(problem)
        case _:
            raise P2PError(f"{part.env} ended its process while it was tried")
