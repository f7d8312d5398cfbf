"""Small disks that can be filled: tmpfs mounts in a mount namespace of this run, gone with its last process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

MARK = "CHAOS_OWN_MOUNTS"
BALLAST = "ballast"


def isolate(module: str, arguments: list[str]) -> None:
    """Start this program again where its mounts are its own; where that is not allowed, go on without."""
    if MARK in os.environ or os.geteuid() != 0 or not shutil.which("unshare"):
        return
    if subprocess.run(["unshare", "--mount", "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0:
        os.environ[MARK] = "1"
        os.execvp("unshare", ["unshare", "--mount", sys.executable, "-m", module, *arguments])


def small_disk(folder: Path, *, megabytes: int) -> bool:
    """Mount one there that is gone with this run; False where this program may not."""
    return MARK in os.environ and mount(folder, megabytes=megabytes)


def mount(folder: Path, *, megabytes: int) -> bool:
    """The same in sight of the whole machine, for those who unmount it themselves."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    return subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0


def fill(folder: Path) -> None:
    """Take every byte that is left, and give none back meanwhile when it is taken again."""
    with suppress(OSError), (folder / BALLAST).open("ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            with suppress(OSError):
                while file.write(bytes(size)) == size:
                    pass


def free(folder: Path) -> None:
    (folder / BALLAST).unlink(missing_ok=True)


def unmount(folder: Path) -> None:
    subprocess.run(["umount", "--lazy", str(folder)], stderr=subprocess.DEVNULL, check=False)
