#!/usr/bin/env bash
# numpy 2.4.6: a masked array with a hard mask has a soft one when it comes out of a pickle.
#
# With hard_mask=True an assignment leaves masked values alone. Views, copies, deep copies and results of
# arithmetic keep that. A pickle holds shape, values, mask and fill value, and not the hardness: a line that
# was harmless before unmasks values in a worker of multiprocessing or in the next session, and writes
# over them. Nothing is raised. harden_mask() has to be called again after loading. numpy 2.5.5, which
# needs a later Python, stores no more.
#
# Seen (Python 3.11):
#   view: [1 -- 3], hard True
#   deepcopy: [1 -- 3], hard True
#   arithmetic: [1 -- 3], hard True
#   pickle: [1 9 3], hard False
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "numpy==2.4.6"

cat >"$folder/try.py" <<'PYTHON'
import copy
import pickle

import numpy

array = numpy.ma.array([1, 2, 3], mask=[False, True, False], hard_mask=True)
ways = {
    "view": array[:],
    "deepcopy": copy.deepcopy(array),
    "arithmetic": array + 0,
    "pickle": pickle.loads(pickle.dumps(array)),
}
for name, one in ways.items():
    one[1] = 9
    print(f"{name}: {one}, hard {one.hardmask}")
PYTHON

seen=$("$folder/venv/bin/python" "$folder/try.py")
printf '%s\n' "$seen"
[ "$seen" = "view: [1 -- 3], hard True
deepcopy: [1 -- 3], hard True
arithmetic: [1 -- 3], hard True
pickle: [1 9 3], hard False" ]
