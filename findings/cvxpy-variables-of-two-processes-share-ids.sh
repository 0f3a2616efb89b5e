#!/usr/bin/env bash
# cvxpy 1.9.3: a variable that another process has pickled can be one with a new variable, and the optimum
# is wrong.
#
# A variable is told from others by a number that its process counts from 1. A pickle keeps it, and loading one
# does not move the count of the process that loads it. Here x of the pickle and y, the first variable that
# is made beside it, both have number 1: an objective in which each has a term of its own is solved as if
# they were one unknown, and both get its value. The status is "optimal", and the problem lists two
# variables. If all variables come out of one pickle, or all are new, the optimum is right.
#
# Seen (Python 3.11):
#   numbers: x 1, y 1, variables: 2
#   with x of the pickle: optimal, least value 32.00 at x -1.00, y -1.00
#   with a new x: optimal, least value 0.00 at x 3.00, y -5.00
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "cvxpy==1.9.3" "clarabel==0.11.1"

cat >"$folder/store.py" <<'PYTHON'
import pickle
import sys

import cvxpy

with open(sys.argv[1], "wb") as file:
    pickle.dump(cvxpy.Variable(name="x"), file)
PYTHON

cat >"$folder/try.py" <<'PYTHON'
import pickle
import sys

import cvxpy


def solve(name, x, y):
    problem = cvxpy.Problem(cvxpy.Minimize((x - 3) ** 2 + (y + 5) ** 2))
    problem.solve(solver=cvxpy.CLARABEL)
    numbers = [abs(problem.value), float(x.value), float(y.value)]
    print(f"{name}: {problem.status}, least value", "{:.2f} at x {:.2f}, y {:.2f}".format(*numbers))
    return problem


with open(sys.argv[1], "rb") as file:
    x = pickle.load(file)
y = cvxpy.Variable(name="y")
variables = cvxpy.Problem(cvxpy.Minimize(x + y)).variables()
print(f"numbers: x {x.id}, y {y.id}, variables: {len(variables)}")
solve("with x of the pickle", x, y)
solve("with a new x", cvxpy.Variable(name="x"), y)
PYTHON

"$folder/venv/bin/python" "$folder/store.py" "$folder/x.pickle"
seen=$("$folder/venv/bin/python" "$folder/try.py" "$folder/x.pickle")
printf '%s\n' "$seen"
[ "$seen" = "numbers: x 1, y 1, variables: 2
with x of the pickle: optimal, least value 32.00 at x -1.00, y -1.00
with a new x: optimal, least value 0.00 at x 3.00, y -5.00" ]
