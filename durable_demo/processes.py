"""Child processes that end with their parent, on any system.

``python -m durable_demo.processes PARENT_PID COMMAND...`` is the guard that the server and the Worker are started
through, so that a supervisor killed with SIGKILL leaves nothing behind. On Linux the kernel does it: the guard asks for
SIGKILL at its parent's death (a process that is stopped would see no other) and becomes the command, with the same pid.
Elsewhere the guard stays, runs the command and ends it when its own stdin, a pipe from the parent, reaches its end.

Starts quickly: nothing here imports more than the standard library.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

_PR_SET_PDEATHSIG = 1
_KILL_AFTER_SECONDS = 5


def python_command(module: str, *arguments: str) -> list[str]:
    """Command that runs a module of ours with this Python, never one from the current directory (`-P`)."""
    return [sys.executable, "-P", "-m", module, *arguments]


def guarded(command: Sequence[str]) -> list[str]:
    """The command under the guard; start it with a pipe as stdin and from the main thread (see PR_SET_PDEATHSIG)."""
    return python_command(__spec__.name if __spec__ else __name__, str(os.getpid()), *command)


def environment(**changes: str) -> dict[str, str]:
    """This process's environment for a child of ours, in which this very package can be imported."""
    root = str(Path(__file__).resolve().parent.parent)
    search = os.environ.get("PYTHONPATH", "")
    if root not in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib")):
        search = os.pathsep.join(filter(None, [root, search]))
    return {**os.environ, **({"PYTHONPATH": search} if search else {}), **changes}


def leave(status: int) -> NoReturn:
    """End this process at once: the SDK core's threads sometimes crash a Python that is being torn down."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _become(parent_pid: int, command: list[str]) -> None:
    """Linux: die with the parent, then become the command."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        return  # it died before prctl could take effect
    os.execvp(command[0], command)  # noqa: S606


def _run(command: list[str]) -> int:
    """Elsewhere: run the command until it ends, a signal comes or the parent is gone."""
    process: subprocess.Popen[bytes] | None = None
    signalled = False

    def pass_on(*_: object) -> None:
        nonlocal signalled
        signalled = True
        if process:
            process.terminate()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, pass_on)
    process = started = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    if signalled:  # before there was anything to pass it on to
        started.terminate()

    def end() -> None:
        started.terminate()
        try:
            started.wait(_KILL_AFTER_SECONDS)
        except subprocess.TimeoutExpired:
            started.kill()

    def watch() -> None:
        while os.read(0, 1):  # not sys.stdin: its lock, held here, would crash the guard's own end
            pass
        end()

    threading.Thread(target=watch, name="watch-parent", daemon=True).start()
    return started.wait()


def main(arguments: Sequence[str]) -> int:
    """Run the guard; returns the exit status."""
    parent_pid, command = int(arguments[0]), list(arguments[1:])
    try:
        if sys.platform == "linux":
            _become(parent_pid, command)
            return 0
        return _run(command)
    except OSError as error:
        print(f"cannot run {command[0]}: {error}", file=sys.stderr)  # noqa: T201
        return 127


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
