"""What runs beside everything else, from a start to a stop."""

from __future__ import annotations

import asyncio
from typing import ClassVar


class Beside:
    """A task of its own: `_run` is for whoever derives from it, and goes on until it is cancelled."""

    task_name: ClassVar[str]
    _task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin. Needs a running loop."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name=self.task_name)

    async def stop(self) -> None:
        """End; what was not done is done after the next start."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        raise NotImplementedError
