#!/usr/bin/env bash
# qiskit 2.6.2: an AncillaRegister takes a number away from the names of QuantumRegisters.
#
# Registers without a name get a letter and a number: q for quantum, a for ancilla, c for classical.
# Ancillas have a letter of their own, and no count of their own: after q0 and q1 the first one is
# a2, and the next QuantumRegister q3. Code that counts registers of a kind by their names, or that
# sets the count of one kind after loading a circuit, gets the other kind's numbers wrong.
#
# Seen (Python 3.11):
#   q0 q1 a2 q3 a4 c0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "qiskit==2.6.2"

cat >"$folder/try.py" <<'PYTHON'
from qiskit.circuit import AncillaRegister, ClassicalRegister, QuantumRegister

kinds = [QuantumRegister, QuantumRegister, AncillaRegister, QuantumRegister, AncillaRegister]
print(*[kind(1).name for kind in [*kinds, ClassicalRegister]])
PYTHON

seen=$("$folder/venv/bin/python" "$folder/try.py")
printf '%s\n' "$seen"
[ "$seen" = "q0 q1 a2 q3 a4 c0" ]
