#!/usr/bin/env bash
# nbdime 4.0.4 (with nbformat 5.11.1): where both sides have added the same cell, the merged one has an object
# for its id, and nothing is merged.
#
# A cell that is pasted twice, or written by two people, has two ids. nbdime takes cells of like source for one,
# as it should, and leaves both ids in a dictionary of its own in place of the id. nbformat cannot validate
# that: nbmerge, and git's merge driver that is made of it, end with a TypeError. git then names a conflict
# in the notebook, but what lies there is the local side as it was, without a mark of a conflict, and without
# anything that the other side has changed in other cells. `git add` takes it for the merge. The default
# strategy, inline, does this; use-local and use-remote pick an id. Cells that differ altogether are merged.
#
# Seen (Python 3.11, git 2.39):
#   id of the merged cell: {'local_id': 'bb', 'remote_id': 'cc'}
#   git: CONFLICT (content): Merge conflict in n.ipynb
#   the driver: TypeError: unhashable type: 'NotebookNode'
#   in the notebook: x = 1 | y = 1, other side's x = 2: no, marks: no
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "nbdime==4.0.4" "nbformat==5.11.1"

cat >"$folder/try.py" <<'PYTHON'
import argparse
import re
import subprocess
import sys

import nbformat
from nbdime.merging.notebooks import merge_notebooks
from nbformat import v4


def notebook(**cells):
    return v4.new_notebook(cells=[v4.new_code_cell(text, id=name) for name, text in cells.items()])


def git(*words):
    named = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    run = subprocess.run(["git", *named, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return run.stdout


base = notebook(aa="x = 1")
local = notebook(aa="x = 1", bb="y = 1")
remote = notebook(aa="x = 2", cc="y = 1")

strategy = argparse.Namespace(
    merge_strategy="inline", input_strategy=None, output_strategy=None, ignore_transients=True, log_level="ERROR"
)
merged, _ = merge_notebooks(base, local, remote, strategy)
print("id of the merged cell:", dict(merged.cells[1].id))

git("init", "--quiet", "--initial-branch=local")
subprocess.run([sys.executable, "-m", "nbdime", "config-git", "--enable"], check=True, capture_output=True)
for branch, side in (("local", base), ("remote", remote), ("local", local)):
    git("switch", "--quiet", *(["--create"] if branch == "remote" else []), branch)
    nbformat.write(side, "n.ipynb")
    git("add", "n.ipynb")
    git("commit", "--quiet", "--message", branch)
said = git("merge", "remote")
print("git:", re.search("^CONFLICT.*", said, re.M)[0])
print("the driver:", re.search("^TypeError.*", said, re.M)[0])
sources = [cell.source for cell in nbformat.read("n.ipynb", 4).cells]
answers = ["yes" if any(text in one for one in sources) else "no" for text in ("x = 2", "<<<<")]
print("in the notebook:", " | ".join(sources) + ", other side's x = 2: {}, marks: {}".format(*answers))
PYTHON

mkdir "$folder/repository"
seen=$(cd "$folder/repository" && HOME="$folder" PATH="$folder/venv/bin:$PATH" python "$folder/try.py")
printf '%s\n' "$seen"
[ "$seen" = "id of the merged cell: {'local_id': 'bb', 'remote_id': 'cc'}
git: CONFLICT (content): Merge conflict in n.ipynb
the driver: TypeError: unhashable type: 'NotebookNode'
in the notebook: x = 1 | y = 1, other side's x = 2: no, marks: no" ]
