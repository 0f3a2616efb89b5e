#!/usr/bin/env bash
# jupyter_client 8.10.0 (with ipykernel 7.4.0): a kernel manager's interrupt_request can have the message
# id of the cell that it interrupts, and execute_interactive then returns before the cell has ended.
#
# A message id is the session's id, the process and a number. KernelManager.client() gives the client a
# session of its own with the manager's session id, so that each of the two counts from 0. With
# interrupt_mode "message", the manager's first interrupt has the id of its client's first message, the
# second one that of the second. Whoever tells requests apart by their parent's id takes the busy and idle
# of the interrupt for the cell's: what the cell prints afterwards belongs to nobody. A client that
# has sent something else before the cell, or whose session was given an id of its own, is not affected.
#
# Seen (Python 3.11):
#   cell is the client's first message: same id True, returned with "begun"
#   cell is its second message: same id False, returned with "begun, cleaned up"
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "ipykernel==7.4.0" "jupyter_client==8.10.0"

cat >"$folder/try.py" <<'PYTHON'
import os
import tempfile
import threading

from jupyter_client.manager import KernelManager

CELL = """
import os, time
try:
    print("begun", end="", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    while not os.path.exists({gate!r}): time.sleep(0.05)
    print(", cleaned up", end="", flush=True)
"""


def run(manager, name, is_first, gate):
    client = manager.client()
    client.start_channels()
    assert client.iopub_channel.get_msg(timeout=60)["msg_type"] == "iopub_welcome"
    if not is_first:
        client.kernel_info(reply=True, timeout=60)
    texts, parents = [], set()
    begun, idle_of_interrupt = threading.Event(), threading.Event()

    def see(message):
        if message["msg_type"] == "stream":
            texts.append(message["content"]["text"])
            parents.add(message["parent_header"]["msg_id"])
            begun.set()

    def interrupt():
        watcher = manager.client()
        watcher.session.session = "watcher"
        watcher.start_channels()
        watcher.iopub_channel.get_msg(timeout=60)
        assert begun.wait(60)
        manager.interrupt_kernel()
        while True:
            message = watcher.iopub_channel.get_msg(timeout=60)
            if message["parent_header"].get("msg_type") == "interrupt_request":
                parents.add(message["parent_header"]["msg_id"])
                if message["content"].get("execution_state") == "idle":
                    break
        # The cell goes on only now.
        open(gate, "w").close()
        watcher.stop_channels()

    thread = threading.Thread(target=interrupt)
    thread.start()
    client.execute_interactive(CELL.format(gate=gate), output_hook=see, timeout=60)
    thread.join()
    print(f'{name}: same id {len(parents) == 1}, returned with "{"".join(texts)}"')
    client.stop_channels()


with tempfile.TemporaryDirectory() as folder:
    for number, name in enumerate(("the client's first message", "its second message")):
        manager = KernelManager(kernel_name="python3")
        manager.kernel_spec.interrupt_mode = "message"
        manager.start_kernel()
        run(manager, f"cell is {name}", number == 0, os.path.join(folder, str(number)))
        manager.shutdown_kernel(now=True)
PYTHON

seen=$("$folder/venv/bin/python" "$folder/try.py" 2>/dev/null)
printf '%s\n' "$seen"
[ "$seen" = 'cell is the client'"'"'s first message: same id True, returned with "begun"
cell is its second message: same id False, returned with "begun, cleaned up"' ]
