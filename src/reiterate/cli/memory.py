"""Where address space is limited (``ulimit -v``), memory is taken from one place instead of one for each thread."""

from __future__ import annotations

import contextlib

M_ARENA_MAX = -8
"""The parameter of glibc's ``mallopt``; each arena takes 64 MB of addresses, whatever is in it."""


def spare_addresses() -> None:
    """Let threads share one arena where addresses are limited: that is slower, and fits into 1,000,000 KB."""
    try:
        import resource  # not on Windows
    except ImportError:
        return
    if resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY:
        return
    import ctypes

    with contextlib.suppress(AttributeError, OSError):  # other libraries have no arenas
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)
