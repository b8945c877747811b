"""Work that the editor asks for: in threads, a few at a time, and given up as soon as nobody waits for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")


class StoppedError(Exception):
    """The work was cancelled, or newer work took its place; says which."""


class BusyError(Exception):
    """Too much work is waiting already."""


class Job:
    """One piece of work. Its thread calls ``check`` now and then."""

    def __init__(self, hover: Hashable | None) -> None:
        self.hover = hover
        self.reason: str | None = None
        self.begun = False
        self.stopped = asyncio.Event()
        self._stop = threading.Event()

    def stop(self, reason: str) -> None:
        """From the event loop: whoever waits hears it at once, the thread at its next check."""
        if self.reason is None:
            self.reason = reason
            self._stop.set()
            self.stopped.set()

    def check(self) -> None:
        """From any thread: raises StoppedError once the job was stopped."""
        if self._stop.is_set():
            raise StoppedError(self.reason)


class Jobs:
    """At most ``threads`` pieces of work at a time and ``most`` that are not done; further ones are refused."""

    def __init__(self, name: str, threads: int = 1, most: int = 16) -> None:
        self.most = most
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=f"draganything-{name}")
        self._free = asyncio.Semaphore(threads)
        self._waiting: dict[Hashable, Job] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def cancel(self, request: Hashable) -> bool:
        """Stops the work of a request; False if there is none."""
        job = self._waiting.get(request)
        if job is None:
            return False
        job.stop("cancelled")
        return True

    async def run(
        self,
        request: Hashable,
        work: Callable[[Job], Result],
        hover: Hashable | None = None,
        gone: Callable[[], bool] = lambda: False,
    ) -> Result:
        """What ``work`` returns, in a thread.

        It takes the place of work of the same request, and of other hovering over the same thing. gone: whether the
        one who asked has left; asked before the work starts. Raises StoppedError, BusyError, and what the work raises.
        """
        self._supersede(request, hover)
        if len(self._waiting) >= self.most:
            raise BusyError(f"{self.most} requests are waiting already; wait until one of them is answered")
        job = self._waiting[request] = Job(hover)
        task = asyncio.create_task(self._in_thread(job, work, gone))
        stopped = asyncio.create_task(job.stopped.wait())
        try:
            await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise StoppedError(job.reason)
            return task.result()
        finally:
            stopped.cancel()
            if not task.done():
                job.stop("cancelled")  # a thread that has begun ends by its checks
                task.add_done_callback(_forget)
                if not job.begun:
                    task.cancel()
            if self._waiting.get(request) is job:
                del self._waiting[request]

    def _supersede(self, request: Hashable, hover: Hashable | None) -> None:
        for name, job in list(self._waiting.items()):
            if name == request or (hover is not None and job.hover == hover):
                job.stop("superseded by a newer request")
                del self._waiting[name]

    async def _in_thread(self, job: Job, work: Callable[[Job], Result], gone: Callable[[], bool]) -> Result:
        async with self._free:
            job.check()
            if gone():
                raise StoppedError("nobody waits for it")
            job.begun = True
            return await asyncio.get_running_loop().run_in_executor(self._pool, work, job)


def _forget(task: asyncio.Task[object]) -> None:
    # Its outcome has no reader; asyncio would log an error that nobody has looked at.
    if not task.cancelled():
        task.exception()
