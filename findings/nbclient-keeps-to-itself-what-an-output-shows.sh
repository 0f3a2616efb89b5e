#!/usr/bin/env bash
# nbclient 0.11.0 (with ipywidgets 8.1.9): an Output widget that a cell has emptied is full again in the
# notebook that is saved, and what a cell has appended to it is lost.
#
# The list `outputs` of an Output widget is shared by kernel and front end. nbclient, which stands in for the
# front end, collects what is captured (`with output:`) in a list of its own, and reads nothing of what the
# kernel says of `outputs` once the widget is made. With each capture its list is written over the widget's.
# So what append_stdout and append_display_data have added is there until the next capture, and `outputs = ()`
# clears the widget until then. No warning is given.
#
# Seen (Python 3.11):
#   emptied, then captured: the kernel had nothing, saved old new
#   appended, then captured: the kernel had appended, saved new
#   only appended: the kernel had appended, saved appended
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  "nbclient==0.11.0" "ipywidgets==8.1.9" "ipykernel==7.4.0" "jupyter_client==8.10.0"

cat >"$folder/try.py" <<'PYTHON'
from nbclient import NotebookClient
from nbformat import v4

MAKE = "from ipywidgets import Output\noutput = Output()\noutput"
CASES = {
    "emptied, then captured": [
        "with output: print('old')",
        "output.outputs = ()",
        "print([one['text'] for one in output.outputs])",
        "with output: print('new')",
    ],
    "appended, then captured": [
        "output.append_stdout('appended ')",
        "",
        "print([one['text'] for one in output.outputs])",
        "with output: print('new')",
    ],
    "only appended": [
        "output.append_stdout('appended ')",
        "",
        "print([one['text'] for one in output.outputs])",
    ],
}


def text_of(parts):
    return " ".join("".join(parts).split()) or "nothing"


for name, cells in CASES.items():
    notebook = v4.new_notebook(cells=[v4.new_code_cell(cell) for cell in [MAKE, *cells]])
    NotebookClient(notebook, kernel_name="python3", timeout=60).execute()
    had = text_of(eval(notebook.cells[3].outputs[0].text))
    state = notebook.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"]
    saved = [model["state"]["outputs"] for model in state.values() if "outputs" in model["state"]]
    print(f"{name}: the kernel had {had}, saved", text_of(one["text"] for one in saved[0]))
PYTHON

seen=$(JUPYTER_PATH="$folder/none" "$folder/venv/bin/python" "$folder/try.py" 2>/dev/null)
printf '%s\n' "$seen"
[ "$seen" = "emptied, then captured: the kernel had nothing, saved old new
appended, then captured: the kernel had appended, saved new
only appended: the kernel had appended, saved appended" ]
