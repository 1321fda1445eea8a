"""An event loop of our own in a thread, for callers that know of none."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Coroutine
from typing import Any

# Windows cannot interrupt a wait without an end.
_GLANCE_S = 0.25
_CLEANING_UP_S = 2.0


class BackgroundLoop:
    """An asyncio loop in a daemon thread. It is never the loop of anybody else's thread, so other loops of the process are not disturbed."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def start(self, work: Coroutine[Any, Any, Any]) -> concurrent.futures.Future[Any]:
        """Begin `work` in the loop. Cancelling the returned future cancels it there."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def run[T](self, work: Coroutine[Any, Any, T], look: Callable[[], None] | None = None) -> T:
        """Run `work` in the loop and wait for it. Whatever interrupts the wait (Ctrl-C, Dagster's cancellation) cancels the work.

        Args:
            work: What is run.
            look: Called between two glances; what it raises interrupts the wait.
        """
        future = self.start(work)
        try:
            while not concurrent.futures.wait([future], _GLANCE_S).done:
                if look is not None:
                    look()
            result: T = future.result()
        except BaseException:
            future.cancel()
            raise
        return result

    def cancel_all(self) -> None:
        """Cancel what is under way, and give it a moment to clean up."""
        concurrent.futures.wait([self.start(_cancel_all())], _CLEANING_UP_S)

    def close(self) -> None:
        """Cancel what is under way, and end the thread."""
        if self._loop.is_closed():
            return
        self.cancel_all()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_CLEANING_UP_S)
        if not self._thread.is_alive():
            self._loop.close()


async def _cancel_all() -> None:
    """Cancel every other task of the loop, wait for their cleaning up, and for closed sockets to be gone."""
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.sleep(0)
