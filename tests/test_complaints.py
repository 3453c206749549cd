from __future__ import annotations

import asyncio

import pytest

from tests.complaints import no_complaints


def test_a_failed_task_that_nobody_asked_is_found() -> None:
    async def fail() -> None:
        raise OSError("the path is gone")

    async def main() -> None:
        asyncio.ensure_future(fail())  # noqa: RUF006  # that nobody holds it is the point
        await asyncio.sleep(0)

    with pytest.raises(AssertionError, match="never retrieved"), no_complaints():
        asyncio.run(main())


def test_nothing_is_found_where_all_is_well() -> None:
    with no_complaints():
        asyncio.run(asyncio.sleep(0))
