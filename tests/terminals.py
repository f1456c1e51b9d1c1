"""A terminal for a test to look at."""

import os
import pty
import re
import sys


def on_a_terminal(arguments: list[str], columns: int) -> tuple[int, str]:
    """Run ``python`` with arguments on a terminal: → (exit status, all that was drawn, without colours)."""
    pid, terminal = pty.fork()
    if pid == 0:
        environment = os.environ | {"COLUMNS": str(columns), "TERM": "xterm"}
        os.execve(sys.executable, [sys.executable, *arguments], environment)
    parts = []
    try:
        while part := os.read(terminal, 4096):
            parts.append(part)
    except OSError:  # the end, on Linux
        pass
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return status, re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", b"".join(parts).decode(errors="replace"))
