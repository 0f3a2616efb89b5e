#!/usr/bin/env bash
# pip 25.0.1 and uv 0.9.8: a hash in a file of constraints is a demand to all packages for one of
# them, and a fact about one package for the other.
#
# A line `six==1.16.0 --hash=...` in a constraints file, beside requirements without versions: uv
# compares the hash of six and installs the rest. pip switches to --require-hashes for the whole
# call, says that six is not pinned, though the constraint pins it, and installs nothing. A lock
# that is written as constraints serves uv only; for pip the hashes have to be taken out, and nothing
# is compared any more.
#
# Seen (Python 3.11):
#   uv: six==1.16.0 tomli==2.0.1
#   pip: ERROR: In --require-hashes mode, all requirements must have their versions pinned with ==.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "pip==25.0.1" "uv==0.9.8"
cd "$folder"
printf 'six\ntomli==2.0.1\n' >requirements.txt
# Of the wheel six-1.16.0-py2.py3-none-any.whl.
hash=8abb2f1d86890a2dfb989f9a77cfcfd3e47c2a354b01111771326f8aa26e0254
printf 'six==1.16.0 --hash=sha256:%s\n' "$hash" >constraints.txt

seen="uv: $(venv/bin/uv pip install --python venv/bin/python --dry-run \
  -r requirements.txt -c constraints.txt 2>&1 | sed -n 's/^ + //p' | sort | paste -sd ' ')
pip: $(venv/bin/python -m pip install --disable-pip-version-check --dry-run \
  -r requirements.txt -c constraints.txt 2>&1 | grep -o '^ERROR: [^.]*\.' || true)"
printf '%s\n' "$seen"
[ "$seen" = "uv: six==1.16.0 tomli==2.0.1
pip: ERROR: In --require-hashes mode, all requirements must have their versions pinned with ==." ]
