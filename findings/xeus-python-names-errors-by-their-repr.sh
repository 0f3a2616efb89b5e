#!/usr/bin/env bash
# xeus-python 0.19.0 (with nbclient 0.11.0): a cell whose error is expected by its name ends the notebook.
#
# `ename` of an error is the name of the exception: ZeroDivisionError. The kernel xpython sends the repr of its
# class in error messages and replies. In user_expressions it sends the name, and so does xpython-raw, the other
# kernel of the same package, everywhere. nbclient compares ename with allow_error_names as it comes: a cell
# that is allowed to fail stops the run. Tools that group errors by ename have two kinds of each.
#
# Seen (Python 3.11):
#   xpython: error <class 'ZeroDivisionError'>, user_expressions ZeroDivisionError
#   xpython in nbclient, ZeroDivisionError allowed: stopped
#   xpython-raw: error ZeroDivisionError
#   xpython-raw in nbclient, ZeroDivisionError allowed: went on
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  "xeus-python==0.19.0" "nbclient==0.11.0" "jupyter_client==8.10.0"

cat >"$folder/try.py" <<'PYTHON'
import subprocess

from jupyter_client.manager import start_new_kernel
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import v4

for kernel in ("xpython", "xpython-raw"):
    manager, client = start_new_kernel(kernel_name=kernel, stdout=subprocess.DEVNULL)
    names = {}

    def see(message):
        if message["msg_type"] == "error":
            names["error"] = message["content"]["ename"]

    try:
        reply = client.execute_interactive("1/0", output_hook=see, timeout=60)
        assert reply["content"]["ename"] == names["error"]
        reply = client.execute_interactive("0", user_expressions={"a": "1/0"}, output_hook=see, timeout=60)
        if expressions := reply["content"]["user_expressions"]:
            names["user_expressions"] = expressions["a"]["ename"]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    print(f"{kernel}:", ", ".join(f"{place} {name}" for place, name in names.items()))

    notebook = v4.new_notebook(cells=[v4.new_code_cell("1/0"), v4.new_code_cell("2")])
    run = NotebookClient(
        notebook, kernel_name=kernel, timeout=60, allow_error_names=["ZeroDivisionError"]
    )
    try:
        run.execute(stdout=subprocess.DEVNULL)
        how = "went on"
    except CellExecutionError:
        how = "stopped"
    print(f"{kernel} in nbclient, ZeroDivisionError allowed: {how}")
PYTHON

# Its kernelspecs name a python3.X of the PATH.
seen=$(PATH="$folder/venv/bin:$PATH" python "$folder/try.py" 2>/dev/null)
printf '%s\n' "$seen"
[ "$seen" = "xpython: error <class 'ZeroDivisionError'>, user_expressions ZeroDivisionError
xpython in nbclient, ZeroDivisionError allowed: stopped
xpython-raw: error ZeroDivisionError
xpython-raw in nbclient, ZeroDivisionError allowed: went on" ]
