"""Processes whose wall clock is hours off, by a few lines of C that are compiled where there is a compiler."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).with_name("wall_clock.c")
HOURS = 3600


def shim(folder: Path) -> Path | None:
    """What is to be preloaded; None where it cannot be made."""
    compiler, made = shutil.which("cc"), folder / "wall_clock.so"
    if compiler is None or not sys.platform.startswith("linux"):
        return None
    command = [compiler, "-shared", "-fPIC", "-o", str(made), str(SOURCE), "-ldl"]
    return made if subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0 else None


def off_by(seconds: int, shim: Path) -> dict[str, str]:
    """The environment of such a process."""
    return {"LD_PRELOAD": str(shim), "WALL_CLOCK_OFFSET": str(seconds)}
