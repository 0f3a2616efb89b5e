#!/usr/bin/env bash
# xeus-python 0.19.0 (beside ipykernel 7.4.0): behind a request that does not count, a cell has one number
# and its result another.
#
# A request with store_history false does not count, and neither does an empty cell. The kernel xpython counts
# both, and the IPython shell in it neither: execute_input and the reply have the kernel's number,
# execute_result that of the shell, and they stay apart until the next start. Front ends send such requests by
# themselves, as VS Code does before the first cell. In[3] then stands beside Out[2], and Out[3] and _3
# are what the cell after it has shown, or nothing.
#
# Seen (Python 3.11):
#   ipykernel: 'a' In[1] Out[1], hidden, 'b' In[2] Out[2], Out[2] is 'b'
#   xpython: 'a' In[1] Out[1], hidden, 'b' In[3] Out[2], Out[3] is missing
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  "xeus-python==0.19.0" "ipykernel==7.4.0" "jupyter_client==8.10.0"

cat >"$folder/try.py" <<'PYTHON'
import subprocess

from jupyter_client.manager import start_new_kernel

for name, kernel in (("ipykernel", "python3"), ("xpython", "xpython")):
    manager, client = start_new_kernel(kernel_name=kernel, stdout=subprocess.DEVNULL)

    def run(code, **options):
        seen = {}

        def see(message):
            seen[message["msg_type"]] = message["content"]

        reply = client.execute_interactive(code, output_hook=see, timeout=60, **options)["content"]
        assert reply["status"] == "ok"
        return seen

    def numbers(code):
        seen = run(code)
        return [seen[kind]["execution_count"] for kind in ("execute_input", "execute_result")]

    try:
        before = numbers("'a'")
        run("'c'", store_history=False)
        behind = numbers("'b'")
        asked = run(f"Out.get({behind[0]}, 'missing')")["execute_result"]["data"]["text/plain"]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    asked = asked.replace("'missing'", "missing")
    places = "'a' In[{}] Out[{}], hidden, 'b' In[{}] Out[{}], Out[{}] is".format(*before, *behind, behind[0])
    print(f"{name}: {places} {asked}")
PYTHON

# Its kernelspecs name a python3.X of the PATH.
seen=$(PATH="$folder/venv/bin:$PATH" python "$folder/try.py" 2>/dev/null)
printf '%s\n' "$seen"
[ "$seen" = "ipykernel: 'a' In[1] Out[1], hidden, 'b' In[2] Out[2], Out[2] is 'b'
xpython: 'a' In[1] Out[1], hidden, 'b' In[3] Out[2], Out[3] is missing" ]
