"""The one thread with the one event loop on which a session talks to Temporal.

A notebook's cells, widget callbacks and comm handlers run on different threads and loops, which differ between
ipykernel 6, 7.0 to 7.3 and 7.4, and any of them may be blocked by a busy cell. So they all only hand over to this loop.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from datetime import timedelta
from typing import Any, Generic, TypeVar

from durable_demo.errors import SessionClosed

T = TypeVar("T")
log = logging.getLogger(__name__)

START_DEADLINE_S = 10.0
CLOSE_DEADLINE_S = 10.0


class Pending(Generic[T]):
    """Work that was handed over to the background loop.

    Await it from any loop, or block for it with `result()`. An error that nobody retrieves that way is kept for
    `assert_clean()`.
    """

    def __init__(self, name: str, future: Future[T]) -> None:
        self.name = name
        self._future = future
        self._retrieved = False

    def __await__(self) -> Generator[Any, None, T]:
        self._retrieved = True
        return asyncio.wrap_future(self._future).__await__()

    def __repr__(self) -> str:
        if not self.done:
            return f"<{self.name}: under way>"
        error = self.error
        return f"<{self.name}: done>" if error is None else f"<{self.name}: {type(error).__name__}: {error}>"

    @property
    def done(self) -> bool:
        """Whether it has ended, in whatever way."""
        return self._future.done()

    @property
    def error(self) -> BaseException | None:
        """Its error, if it has ended in one."""
        if not self._future.done() or self._future.cancelled():
            return None
        return self._future.exception()

    @property
    def unseen(self) -> BaseException | None:
        """Its error, if nobody has retrieved it."""
        return None if self._retrieved else self.error

    def result(self, timeout: float = 60.0) -> T:
        """Blocks until it has ended.

        Args:
            timeout: Seconds to wait at most.

        Raises:
            TimeoutError: It is still under way after `timeout`.
        """
        self._retrieved = True
        return self._future.result(timeout)

    def cancel(self) -> None:
        """Cancels it; harmless when it has ended."""
        self._future.cancel()


class LoopLock:
    """An `asyncio.Lock` that outlives its event loop: a session that is started again has a new one."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __aenter__(self) -> None:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._lock, self._loop = asyncio.Lock(), loop
        await self._lock.acquire()

    async def __aexit__(self, *_: object) -> None:
        self._lock.release()


class BackgroundLoop:
    """A daemon thread that runs an event loop.

    Attributes:
        errors: What went wrong outside of any spawned work (reported by the loop itself).
    """

    def __init__(self) -> None:
        self.errors: list[BaseException] = []
        self._pending: list[Pending[Any]] = []
        self._lock = threading.RLock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def running(self) -> bool:
        """Whether work can be handed over."""
        return self._loop is not None

    def start(self) -> None:
        """Starts the thread; does nothing if it runs.

        Raises:
            TimeoutError: The thread did not come up.
        """
        with self._lock:
            if self._loop is not None:
                return
            ready = threading.Event()
            loop = asyncio.new_event_loop()
            loop.set_exception_handler(self._on_loop_error)

            def main() -> None:
                asyncio.set_event_loop(loop)
                loop.call_soon(ready.set)
                loop.run_forever()

            self._thread = threading.Thread(target=main, name="durable-demo", daemon=True)
            self._thread.start()
            if not ready.wait(START_DEADLINE_S):
                raise TimeoutError(f"the background thread did not start within {START_DEADLINE_S:.0f} s")
            self._loop = loop

    def spawn(self, coroutine: Coroutine[Any, Any, T], *, name: str) -> Pending[T]:
        """Hands a coroutine over, from any thread, and returns at once.

        Raises:
            SessionClosed: The loop does not run.
        """
        with self._lock:  # what is handed over before a close() is still begun, and then cancelled by it
            if self._loop is None:
                coroutine.close()
                raise SessionClosed(
                    f"cannot {name}: the session is not started or is closed",
                    remedy="run `await demo.start()` and try again",
                )
            pending = Pending(name, asyncio.run_coroutine_threadsafe(coroutine, self._loop))
            seen = [work for work in self._pending if work.done and work.unseen is None]
            self._pending = [work for work in self._pending if work not in seen]
            self._pending.append(pending)
        return pending

    async def run(
        self, coroutine: Coroutine[Any, Any, T], *, name: str = "call", timeout: timedelta | None = None
    ) -> T:
        """Runs a coroutine on the background loop and awaits it, from whatever loop.

        Raises:
            TimeoutError: It took longer than `timeout`.
            SessionClosed: The loop does not run.
        """
        if timeout is not None:
            coroutine = _within(coroutine, timeout, name)
        if asyncio.get_running_loop() is self._loop:
            return await coroutine
        return await self.spawn(coroutine, name=name)

    async def iterate(self, make: Callable[[], AsyncIterator[T]]) -> AsyncIterator[T]:
        """Yields from an async iterator that lives on the background loop, to a reader on whatever loop.

        The iterator is closed when the reader leaves.
        """
        if asyncio.get_running_loop() is self._loop:
            async for item in make():
                yield item
            return
        iterator = make()

        async def step() -> list[T]:
            return [item async for item in _first(iterator)]

        try:
            while True:
                found: list[T] = await self.spawn(step(), name="next event")
                if not found:
                    return
                yield found[0]
        finally:
            if self._loop is not None:
                self.spawn(_close(iterator), name="leave the stream")

    def unseen_errors(self) -> list[BaseException]:
        """Takes what went wrong and was not retrieved by anybody; a second call gives only what is new."""
        with self._lock:
            ended = [work for work in self._pending if work.done]
            self._pending = [work for work in self._pending if work not in ended]
            found, self.errors = [*self.errors, *(error for work in ended if (error := work.unseen) is not None)], []
        # What a close() has cut off was meant to be.
        return [error for error in found if not isinstance(error, SessionClosed)]

    def close(self) -> None:
        """Cancels what is under way and ends the thread; does nothing if it does not run."""
        with self._lock:
            loop, thread, self._loop = self._loop, self._thread, None
        if loop is None or thread is None:
            return
        ending = asyncio.run_coroutine_threadsafe(_cancel_all(), loop)
        with suppress(TimeoutError, CancelledError):
            ending.result(CLOSE_DEADLINE_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(CLOSE_DEADLINE_S)
        if not thread.is_alive():
            loop.close()

    def _on_loop_error(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception") or RuntimeError(str(context.get("message")))
        log.error("background loop: %s", context.get("message"), exc_info=error)
        with self._lock:
            self.errors.append(error)


async def _within(coroutine: Coroutine[Any, Any, T], timeout: timedelta, name: str) -> T:
    try:
        async with asyncio.timeout(timeout.total_seconds()):
            return await coroutine
    except TimeoutError as error:
        if error.args:
            raise
        raise TimeoutError(f"{name} took longer than {timeout.total_seconds():g} s") from None


async def _first(iterator: AsyncIterator[T]) -> AsyncIterator[T]:
    """The next item of an iterator, if there is one; leaves the iterator open."""
    with suppress(StopAsyncIteration):
        yield await anext(iterator)


async def _close(iterator: AsyncIterator[Any]) -> None:
    close = getattr(iterator, "aclose", None)
    if close is not None:
        # The reader may have left in the middle of a step, which is still being cancelled.
        for _ in range(100):
            try:
                await close()
                return
            except RuntimeError:
                await asyncio.sleep(0.01)


async def _cancel_all() -> None:
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_asyncgens()
