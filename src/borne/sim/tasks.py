"""Two small things that asyncio leaves to its users."""

import asyncio
from collections.abc import Awaitable, Iterable


async def cancel(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks and wait until they are gone."""
    doomed = list(tasks)
    for task in doomed:
        task.cancel()
    await asyncio.gather(*doomed, return_exceptions=True)


async def within(limit_s: float, work: Awaitable[None]) -> None:
    """Wait for something that may never end, but not for long."""
    try:
        async with asyncio.timeout(limit_s):
            await work
    except TimeoutError:
        return
