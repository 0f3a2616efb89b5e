#!/usr/bin/env bash
# sympy 1.14.0: a Wild symbol that was copied or pickled matches what it excludes.
#
# exclude and properties say what a Wild symbol must not be, and what it must be. Copies and pickles hold
# the name and the assumptions: the symbol comes back without both. A pattern with it finds matches that
# it did not find before, and a replacement that is built on it is made there. Nothing is raised, and a
# lambda among the properties is no trouble for pickle, either: it is not asked for it. The copy is
# unequal to the symbol, and printed alike.
#
# Seen (Python 3.11):
#   before: x**2 None, 1/2 None
#   deepcopy: x**2 {a_: x}, 1/2 {n_: 1/2}
#   pickle: x**2 {a_: x}, 1/2 {n_: 1/2}
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "sympy==1.14.0"

cat >"$folder/try.py" <<'PYTHON'
import copy
import pickle

from sympy import Rational, Symbol, Wild

x = Symbol("x")
coefficient_of_x = Wild("a", exclude=[x]) * x
whole_number = Wild("n", properties=[lambda number: number.is_Integer])


def through(make):
    power = (x**2).match(make(coefficient_of_x))
    half = Rational(1, 2).match(make(whole_number))
    return f"x**2 {power}, 1/2 {half}"


print("before:", through(lambda pattern: pattern))
print("deepcopy:", through(copy.deepcopy))
print("pickle:", through(lambda pattern: pickle.loads(pickle.dumps(pattern))))
PYTHON

seen=$("$folder/venv/bin/python" "$folder/try.py")
printf '%s\n' "$seen"
[ "$seen" = "before: x**2 None, 1/2 None
deepcopy: x**2 {a_: x}, 1/2 {n_: 1/2}
pickle: x**2 {a_: x}, 1/2 {n_: 1/2}" ]
