"""The command ``gatewright``: the one of the server, which the wheel carries. ``python -m gatewright`` is the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

#: Where a wheel has it.
COMMAND = Path(__file__).parent / "_bin" / ("gatewright.exe" if os.name == "nt" else "gatewright")


def main() -> int:
    """Runs the command with the arguments of this process; gives its exit code."""
    if not COMMAND.exists():
        print("this installation has no `gatewright` command: it was built from source, and wheels have it", file=sys.stderr)
        return 2
    if os.name == "nt":
        return subprocess.run([COMMAND, *sys.argv[1:]]).returncode
    # The same process: signals reach the server, and nothing of Python stays behind.
    os.execv(COMMAND, [str(COMMAND), *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
