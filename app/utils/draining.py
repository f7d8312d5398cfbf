"""Whether this server has been asked to stop: one flag that all its processes share, set before any of them leaves.

It lives in memory made before the first fork, so that the process that is told can tell the others.
"""

from __future__ import annotations

import mmap

_flag = mmap.mmap(-1, 1)


def start() -> None:
    _flag[0] = 1


def has_started() -> bool:
    return _flag[0] == 1
