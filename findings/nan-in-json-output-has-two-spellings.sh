#!/usr/bin/env bash
# jupyter_client 8.10.0 and nbformat 5.11.1: nan in a JSON output is a text on the wire, and no JSON in a file.
#
# A kernel that sends application/json with nan and inf makes jupyter_client warn and send the strings
# "nan" and "inf": a client gets text where there were numbers. A notebook that a program builds with the same
# output is valid for nbformat, whose validation has no word about it, and is written with a bare NaN and
# Infinity. Python reads that again; whoever goes by RFC 8259, as JSON.parse of browsers does, cannot read
# the file at all.
#
# Seen (Python 3.11):
#   sent: {"data": {"application/json": {"a": "nan", "b": "inf"}}}
#   valid, written as: {"a": NaN, "b": Infinity}
#   read strictly: NaN is no JSON
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    "jupyter_client==8.10.0" "nbformat==5.11.1"

cat >"$folder/try.py" <<'PYTHON'
import json
import re
import warnings

import nbformat
from jupyter_client.session import Session
from nbformat import v4

data = {"application/json": {"a": float("nan"), "b": float("inf")}}

session = Session()
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    frames = session.serialize(session.msg("display_data", {"data": data}))
print("sent:", frames[-1].decode())

notebook = v4.new_notebook(
    cells=[v4.new_code_cell("", outputs=[v4.new_output("display_data", data)])]
)
nbformat.validate(notebook)
text = nbformat.writes(notebook)
written = re.search(r'\{\s*"a".*?\}', text, re.DOTALL)[0]
print("valid, written as:", re.sub(r"\s+", " ", written).replace("{ ", "{").replace(" }", "}"))


def refuse(name):
    raise ValueError(f"{name} is no JSON")


try:
    json.loads(text, parse_constant=refuse)
except ValueError as error:
    print("read strictly:", error)
PYTHON

seen=$("$folder/venv/bin/python" "$folder/try.py")
printf '%s\n' "$seen"
[ "$seen" = 'sent: {"data": {"application/json": {"a": "nan", "b": "inf"}}}
valid, written as: {"a": NaN, "b": Infinity}
read strictly: NaN is no JSON' ]
