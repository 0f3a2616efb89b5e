#!/usr/bin/env bash
# cloudpickle 3.1.3: a function that was pickled has lost the name of its file.
#
# A function of a notebook cell that goes through cloudpickle comes back with "<dynamic-code>" as
# its co_filename, where 3.1.2 keeps the cell's. A traceback that passes through it then shows no
# source line, and inspect.getsource raises, though the source is still in linecache under the
# old name. The patch release makes pickles of equal code equal; its users see it in tracebacks.
#
# Seen (Python 3.11):
#   3.1.2 cell-1 source
#   3.1.3 <dynamic-code> no source
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"

cat >"$folder/try.py" <<'PYTHON'
import inspect
import linecache
import types

import cloudpickle

SOURCE = "def double(n):\n    return 2 * n\n"
linecache.cache["cell-1"] = (len(SOURCE), None, SOURCE.splitlines(True), "cell-1")
cell = types.ModuleType("cell")
cell.__name__ = "__main__"
exec(compile(SOURCE, "cell-1", "exec"), cell.__dict__)
back = cloudpickle.loads(cloudpickle.dumps(cell.double))
assert back(4) == 8
try:
    inspect.getsource(back.__code__)
    found = "source"
except OSError:
    found = "no source"
print(cloudpickle.__version__, back.__code__.co_filename, found)
PYTHON

seen=""
for version in 3.1.2 3.1.3; do
  "$folder/venv/bin/pip" install --quiet --disable-pip-version-check "cloudpickle==$version"
  seen+="$("$folder/venv/bin/python" "$folder/try.py")"$'\n'
done
printf '%s' "$seen"
[ "$seen" = $'3.1.2 cell-1 source\n3.1.3 <dynamic-code> no source\n' ]
