#!/usr/bin/env bash
# traitlets 5.16.1: a Float with bounds takes nan, from code and from a command line.
#
# A value is refused if it is smaller than the least or larger than the largest, and nan is neither.
# So `--App.timeout=nan` passes a trait with `min=0, max=10`, and what is compared with it afterwards is
# always false: a deadline that never comes, or one that is always over. CFloat and Float are alike. An
# application that counts on bounds has to ask for nan itself.
#
# Seen (Python 3.11):
#   timeout=11 refused
#   timeout=inf refused
#   timeout=nan taken: nan
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "traitlets==5.16.1"

cat >"$folder/try.py" <<'PYTHON'
from traitlets import Float, TraitError
from traitlets.config import Application, Configurable


class Bounded(Configurable):
    timeout = Float(1.0, min=0.0, max=10.0, config=True)


class Program(Application):
    classes = [Bounded]


for value in ("11", "inf", "nan"):
    program = Program()
    program.parse_command_line([f"--Bounded.timeout={value}"])
    try:
        print(f"timeout={value} taken: {Bounded(parent=program).timeout}")
    except TraitError:
        print(f"timeout={value} refused")
PYTHON

seen=$("$folder/venv/bin/python" "$folder/try.py")
printf '%s\n' "$seen"
[ "$seen" = "timeout=11 refused
timeout=inf refused
timeout=nan taken: nan" ]
