"""Run a program that is asked to stop when the process that started it dies, however that happens.

`python -I -S end_with_parent.py PARENT PROGRAM ARGUMENTS...`, PARENT being the process number of who starts it. On
Linux the kernel sends SIGTERM; elsewhere the program runs on, and its job stays locked for as long as it does.
"""

import os
import sys


def command(words: list[str]) -> list[str]:
    """The words, to be started by this process and to be ended with it."""
    return [sys.executable, "-I", "-S", os.path.abspath(__file__), str(os.getpid()), *words]  # noqa: PTH100


def main(parent: str, *words: str) -> None:
    """Become the program."""
    if sys.platform == "linux":
        import ctypes
        import signal

        set_parent_death_signal = 1  # PR_SET_PDEATHSIG of <linux/prctl.h>; it survives execve
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGTERM)
        if os.getppid() != int(parent):  # who died before that
            sys.exit(143)
    os.execvp(words[0], words)


if __name__ == "__main__":
    main(*sys.argv[1:])
