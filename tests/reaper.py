"""Ends what a test process has started once that process is gone, however it went.

A program of its own, because no exit hook runs after `kill -9`. Usage: reaper.py FOLDER PARENT_PID
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path


def main(folder: Path, parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.3)
    for pid_file in folder.glob("*/pid"):
        with suppress(ProcessLookupError, ValueError):
            os.killpg(int(pid_file.read_text()), signal.SIGKILL)
    for disk in filter(os.path.ismount, folder.iterdir()):
        subprocess.run(["umount", "--lazy", str(disk)], check=False)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
