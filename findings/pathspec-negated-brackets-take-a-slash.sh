#!/usr/bin/env bash
# pathspec 1.1.1 (with git 2.39): a bracket that excludes characters matches a slash.
#
# In git no bracket stands for the slash between two names: `run[!0-9]*` is a pattern for names such as run_old.
# pathspec's [!0-9] is any character that is no digit, a slash among them. So the pattern takes all that
# is in a folder "run", and with "!" in front it brings all of that back. GitIgnoreSpec, which is there to
# do as git does, is like PathSpec in this; `*` and `?` stop at a slash in both. Tools that ask pathspec,
# such as hatchling for the files of a package, leave out or take in files that git sees the other way,
# without a word.
#
# Seen (Python 3.11):
#   run[!0-9]*: git ignores run_old | GitIgnoreSpec run/a.csv run_old | PathSpec run/a.csv run_old
#   run?*: git ignores run1 run_old | GitIgnoreSpec run1 run_old | PathSpec run1 run_old
#   *.csv, !run[!0-9]*: git ignores run/a.csv | GitIgnoreSpec nothing | PathSpec nothing
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "pathspec==1.1.1"

cat >"$folder/try.py" <<'PYTHON'
import subprocess
import sys
from pathlib import Path

from pathspec import GitIgnoreSpec, PathSpec

folder = Path(sys.argv[1])
subprocess.run(["git", "init", "--quiet", folder], check=True)
PATHS = ["run/a.csv", "run1", "run_old"]


def git(patterns):
    (folder / ".gitignore").write_text("\n".join(patterns) + "\n")
    command = ["git", "-C", folder, "check-ignore", "--no-index", *PATHS]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True).stdout.split()


for patterns in (["run[!0-9]*"], ["run?*"], ["*.csv", "!run[!0-9]*"]):
    specs = {
        "GitIgnoreSpec": GitIgnoreSpec.from_lines(patterns),
        "PathSpec": PathSpec.from_lines("gitignore", patterns),
    }
    found = {"git ignores": git(patterns)}
    found |= {name: [path for path in PATHS if spec.match_file(path)] for name, spec in specs.items()}
    print(", ".join(patterns) + ":", " | ".join(
        f"{name} {' '.join(paths) or 'nothing'}" for name, paths in found.items()
    ))
PYTHON

seen=$("$folder/venv/bin/python" -W ignore "$folder/try.py" "$folder/repository")
printf '%s\n' "$seen"
[ "$seen" = "run[!0-9]*: git ignores run_old | GitIgnoreSpec run/a.csv run_old | PathSpec run/a.csv run_old
run?*: git ignores run1 run_old | GitIgnoreSpec run1 run_old | PathSpec run1 run_old
*.csv, !run[!0-9]*: git ignores run/a.csv | GitIgnoreSpec nothing | PathSpec nothing" ]
