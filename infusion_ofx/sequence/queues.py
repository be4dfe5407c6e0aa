"""Reading and writing beside the computation: thread pools with queues bounded by bytes.

Threads, not processes: the codecs release the interpreter's lock, and arrays need no copying.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Protocol, TypeVar

__all__ = ["WriteBehind", "read_ahead"]


class Sized(Protocol):
    """What knows its size in memory, as arrays do."""

    @property
    def nbytes(self) -> int:
        """Bytes that it holds."""


K = TypeVar("K")
V = TypeVar("V", bound=Sized)

_LEAST_SIZE = 4096
"""What an empty array is counted as, so that the queue stays bounded."""


def read_ahead(
    jobs: Iterable[K], load: Callable[[K], V], *, budget: int, threads: int
) -> Iterator[tuple[K, V]]:
    """Loads each job in a thread pool and yields (job, what was loaded) in order.

    At most ``budget`` bytes are loaded or loading and not yet taken, each counted as the largest
    so far; one job is always under way. An error of ``load`` is raised when its job's turn comes.
    The threads end when the iterator is exhausted or closed.
    """
    waiting: deque[tuple[K, Future[V]]] = deque()
    rest, largest, pool = iter(jobs), 0, ThreadPoolExecutor(threads, "read-ahead")
    try:
        _fill(waiting, rest, load, pool, 1)
        while waiting:
            job, future = waiting.popleft()
            loaded = future.result()
            largest = max(largest, loaded.nbytes, _LEAST_SIZE)
            del future
            _fill(waiting, rest, load, pool, max(budget // largest, 1))
            yield job, loaded
            del loaded
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _fill(
    waiting: deque[tuple[K, Future[V]]],
    rest: Iterator[K],
    load: Callable[[K], V],
    pool: ThreadPoolExecutor,
    most: int,
) -> None:
    while len(waiting) < most:
        try:
            job = next(rest)
        except StopIteration:
            return
        waiting.append((job, pool.submit(load, job)))


class WriteBehind:
    """Runs writes in a thread pool while the caller goes on; use it in a ``with`` statement.

    At most ``budget`` bytes wait or are being written; a single larger write is let through alone.
    The first error of a write is raised from the next ``submit`` or at the end of the block, and
    the writes that have not begun by then are dropped. So they are when the block itself fails.
    """

    def __init__(self, *, budget: int, threads: int) -> None:
        """budget: bytes that may wait; threads: writes at a time."""
        self._budget = budget
        self._pool = ThreadPoolExecutor(threads, "write-behind")
        self._changed = threading.Condition()
        self._bytes = 0
        self._error: BaseException | None = None
        self._dropping = False

    def __enter__(self) -> WriteBehind:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Waits for the writes, or drops them when the block failed; raises their first error."""
        if kind is not None:
            self._dropping = True
        try:
            self._pool.shutdown(wait=True, cancel_futures=kind is not None)
        except BaseException:
            self._dropping = True
            raise
        if kind is None and self._error is not None:
            raise self._error

    def submit(self, function: Callable[..., object], *args: Any, size: int) -> None:
        """Has ``function(*args)`` run in the pool; blocks while the queue is full.

        size: bytes that the arguments hold on to until it has run.

        Raises:
            BaseException: the first error of an earlier write.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: (
                    self._error is not None
                    or self._bytes == 0
                    or self._bytes + size <= self._budget
                )
            )
            if self._error is not None:
                raise self._error
            self._bytes += size
        self._pool.submit(self._run, function, args, size)

    def _run(self, function: Callable[..., object], args: tuple[Any, ...], size: int) -> None:
        error: BaseException | None = None
        try:
            if not self._dropping:
                function(*args)
        except BaseException as caught:  # handed to the caller's thread, whatever it is
            error = caught
        with self._changed:
            if error is not None:
                self._error = self._error or error
                self._dropping = True
            self._bytes -= size
            self._changed.notify_all()
