"""Waits until no process has a directory as its TMPDIR; says which still have it then, ends them, and exits with 1.

python .ci/left_behind.py DIRECTORY [SECONDS]
"""

from __future__ import annotations

import os
import sys

import psutil

PATIENCE_S = 15.0
"""A stack may outlive its last session this long, and no longer."""


def carriers(directory: str) -> list[psutil.Process]:
    """Processes whose environment has the directory as TMPDIR, without this one and those it runs in."""
    own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid not in own and process.environ().get("TMPDIR") == directory:
                found.append(process)
        except psutil.Error:
            continue  # it ended meanwhile, or belongs to somebody else
    return found


def main(directory: str, patience: float = PATIENCE_S) -> int:
    """Exit status: 0 if nothing was left, else 1."""
    psutil.wait_procs(carriers(directory), timeout=patience)
    left = carriers(directory)
    for process in left:
        try:
            print(f"left behind: {process.pid} {' '.join(process.cmdline())}")
            process.kill()
        except psutil.NoSuchProcess:
            continue
    if not left:
        print("none")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], *map(float, sys.argv[2:])))
