#!/usr/bin/env bash
# jupyter_console 6.6.3 (with ipykernel 7.4.0): behind an interrupt, a cell of a kernel whose kernelspec
# says interrupt_mode "message" shows nothing more until it ends.
#
# The console shows output until iopub says idle, and takes the idle of every request of its own session
# for the cell's. With "signal", an interrupt is no request. With "message" it is one, of that session,
# which the kernel answers at once, from busy to idle, while the cell goes on: one that catches
# KeyboardInterrupt and cleans up, for instance. What it prints then is shown when its reply has come.
# The same idle comes ahead of a cell whose own busy is late, which is how it was met. ipykernel itself
# is run both ways here; only the kernelspec differs.
#
# Seen (Python 3.11):
#   signal: shown while the cell runs True
#   message: shown while the cell runs False, when it has ended True
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  "jupyter_console==6.6.3" "ipykernel==7.4.0" "jupyter_client==8.10.0" "pexpect==4.9.0"

cat >"$folder/try.py" <<'PYTHON'
import json
import os
import sys

import pexpect

folder = sys.argv[1]
CELL = """
import os, time
try:
    print("beg" + "un", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    time.sleep(2)
    print("cleaned " + "up", flush=True)
    while not os.path.exists({gate!r}): time.sleep(0.05)
"""

for mode in ("signal", "message"):
    kernel = os.path.join(folder, "share", "kernels", mode)
    os.makedirs(kernel)
    words = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    with open(os.path.join(kernel, "kernel.json"), "w") as file:
        json.dump({"argv": words, "display_name": mode, "language": "python", "interrupt_mode": mode}, file)
    gate = os.path.join(folder, mode)
    console = pexpect.spawn(
        sys.executable,
        ["-m", "jupyter_console", "--kernel", mode, "--simple-prompt"],
        timeout=60, encoding="utf-8", dimensions=(24, 200),
        env={**os.environ, "JUPYTER_PATH": os.path.join(folder, "share")},
    )
    console.expect(r"In \[1\]:")
    console.sendline("6 * 7")
    console.expect(r"Out\[1\]: .*42.*In \[2\]:")
    console.sendline("exec(" + repr(CELL.format(gate=gate)) + ")")
    console.expect("begun")
    console.sendintr()
    is_live = console.expect(["cleaned up", pexpect.TIMEOUT], timeout=10) == 0
    print(f"{mode}: shown while the cell runs {is_live}", end="", flush=True)
    open(gate, "w").close()
    if not is_live:
        print(", when it has ended", console.expect(["cleaned up", pexpect.TIMEOUT]) == 0, end="")
    print(flush=True)
    console.close(force=True)
PYTHON

seen=$("$folder/venv/bin/python" "$folder/try.py" "$folder")
printf '%s\n' "$seen"
[ "$seen" = "signal: shown while the cell runs True
message: shown while the cell runs False, when it has ended True" ]
