#!/usr/bin/env bash
# ipykernel 7.4.0 (with debugpy 1.8.22): every kernel imports debugpy before its first cell.
#
# The class of the debugger is a trait named by a string, so that it is imported late, and importing
# ipykernel's application leaves debugpy alone. The constructor of each kernel asks ipykernel.debugger
# whether debugpy is there, though, and that module finds it out by importing all of it: over a hundred
# modules, pydevd's among them, and about a fifth of the processor time of a kernel's start. No front
# end has sent a debug request by then, and most never do. No option switches it off.
#
# Seen (Python 3.11):
#   application imported: debugpy False
#   first cell: debugpy True, modules of debugpy and pydevd over 100: True
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  "ipykernel==7.4.0" "debugpy==1.8.22" "jupyter_client==8.10.0"

cat >"$folder/try.py" <<'PYTHON'
import subprocess
import sys

from jupyter_client.manager import start_new_kernel

CELL = """
import sys
names = [name for name in sys.modules if name.startswith(("debugpy", "pydev", "_pydev"))]
print("first cell: debugpy", "debugpy" in sys.modules, end=", ")
print("modules of debugpy and pydevd over 100:", len(names) > 100)
"""

line = "import ipykernel.kernelapp, sys; print('debugpy' in sys.modules)"
imported = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True, check=True)
print("application imported: debugpy", imported.stdout.strip(), flush=True)
manager, client = start_new_kernel(stderr=subprocess.DEVNULL)
try:
    client.execute_interactive(CELL, timeout=60)
finally:
    client.stop_channels()
    manager.shutdown_kernel(now=True)
PYTHON

seen=$(JUPYTER_PATH="$folder/none" "$folder/venv/bin/python" "$folder/try.py")
printf '%s\n' "$seen"
[ "$seen" = "application imported: debugpy False
first cell: debugpy True, modules of debugpy and pydevd over 100: True" ]
