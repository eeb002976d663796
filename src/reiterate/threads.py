"""The threads of a run: as many as are wanted, or as many as the system gives."""

from __future__ import annotations

import threading
from multiprocessing.pool import ThreadPool
from threading import Event, Thread

from reiterate.errors import NotEnoughMemory

STACK_BYTES = 2 << 20
"""What threads that read need; systems give four times as much, which counts where address space is limited."""

OF_A_POOL = 3
"""threads with which a pool serves the others"""

SPARE = 2
"""threads that are left to others, such as DuckDB"""


def pools(*sizes: int) -> tuple[ThreadPool, ...]:
    """
    Return a pool for each of *sizes*; where the system does not give so many threads, all are smaller alike.

    :raises NotEnoughMemory: when it gives too few for one thread each
    """
    before = threading.stack_size(STACK_BYTES)
    try:
        most = sum(sizes)
        given = _given(most + len(sizes) * OF_A_POOL + SPARE) - len(sizes) * OF_A_POOL - SPARE
        if given < len(sizes):
            raise NotEnoughMemory
        return tuple(ThreadPool(max(1, size * given // most)) for size in sizes)
    finally:
        threading.stack_size(before)


def _given(most: int) -> int:
    """Return how many threads can be had at once; a pool that gets too few does not end what it began."""
    leave, started = Event(), 0
    threads = [Thread(target=leave.wait, daemon=True) for _ in range(most)]
    try:
        for thread in threads:
            thread.start()
            started += 1
    except (RuntimeError, MemoryError):
        pass
    finally:
        leave.set()
        for thread in threads[:started]:
            thread.join()
    return started
