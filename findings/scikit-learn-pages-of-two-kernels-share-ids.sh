#!/usr/bin/env bash
# scikit-learn 1.9.1: estimators that two kernels have shown have the same ids in one notebook.
#
# The HTML of an estimator has elements with ids, and labels that open and close them by these. They are counted
# per process, from 1. A notebook whose kernel was restarted, or one that was put together from the outputs of two
# runs, therefore has them twice in one page: a click on the label of the second estimator opens the first one,
# and the style of one holds for both. pandas' styled frames, for comparison, have random ids.
#
# Seen (Python 3.11):
#   scikit-learn, first kernel:  sk-container-id-1 sk-estimator-id-1
#   scikit-learn, second kernel: sk-container-id-1 sk-estimator-id-1
#   a label of the second:       sk-estimator-id-1
#   pandas' ids are the same:    False
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    "scikit-learn==1.9.1" "pandas==3.1.1" "jinja2==3.1.6"

cat >"$folder/show.py" <<'PYTHON'
import sys

import pandas
from sklearn.linear_model import Lasso, Ridge

estimator = {"first": Ridge, "second": Lasso}[sys.argv[1]]()
print(estimator._repr_html_())
print(pandas.DataFrame({"a": [1]}).style._repr_html_())
PYTHON

cat >"$folder/try.py" <<'PYTHON'
import re
import subprocess
import sys


def html(kernel):
    return subprocess.check_output([sys.executable, sys.argv[1], kernel], text=True)


def ids(text, pattern):
    return sorted(set(re.findall(rf'\bid="({pattern})"', text)))


first, second = html("first"), html("second")
for name, text in (("first kernel: ", first), ("second kernel:", second)):
    print(f"scikit-learn, {name}", *ids(text, r"sk-(?:container|estimator)-id-\d+"))
print("a label of the second:      ", *re.findall(r'<label for="(sk-[\w-]+)"', second)[:1])
print("pandas' ids are the same:   ", ids(first, r"T_\w+") == ids(second, r"T_\w+"))
PYTHON

seen=$("$folder/venv/bin/python" "$folder/try.py" "$folder/show.py")
printf '%s\n' "$seen"
[ "$seen" = "scikit-learn, first kernel:  sk-container-id-1 sk-estimator-id-1
scikit-learn, second kernel: sk-container-id-1 sk-estimator-id-1
a label of the second:       sk-estimator-id-1
pandas' ids are the same:    False" ]
