"""`python -m tests.libraries [NAME…]`: libraries of others, and what a restore does to them.

Each has a notebook that makes objects, gets a new environment by `%aca restart --keep`, and uses
them; the same runs with ipykernel's kernel, without that. After the restore each cell shows what
it shows there, or what it uses is named by the kernel's sentence with the reason. Anything else is
silently wrong, and makes the exit status 1.

The libraries are installed in groups in virtual environments of their own, in the versions that pip
finds. NAME is a group or a library. All take an hour and ten gigabytes in `--folder` (a temporary
one otherwise), where environments stay for the next run; with `--remove` each is removed after use.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from tests.clients.foreign.place import make_python

from . import frames, geography, learning, models, plots, science, simulation, tensors, tools

GROUPS = (tensors, simulation, plots, frames, science, models, learning, geography, tools)

# A cell may say what it needs that is no variable, as `# needs: the callbacks of figure 1`.
_NEEDS = re.compile(r"^# needs: (.*)$", re.MULTILINE)

# Before the cells for which the environment is new.
_RESTART = "# %% restart"

_VERSIONS = """
import importlib.metadata, json, sys
print(json.dumps({name: importlib.metadata.version(name) for name in sys.argv[1:]}))
"""


class Row(NamedTuple):
    """What came of a notebook. wrong: what was silently different, cell by cell."""

    library: str
    version: str
    survives: str
    named: dict[str, str]
    wrong: list[str]


def main() -> int:
    """Run what is asked for, print the table; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.libraries", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="all, if none is named")
    parser.add_argument("--folder", type=Path, help="keep environments here")
    parser.add_argument("--remove", action="store_true", help="remove each after use")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="libraries-"))
    known = {name_of(group) for group in GROUPS}.union(*(group.NOTEBOOKS for group in GROUPS))
    if unknown := set(options.names) - known:
        parser.error(f"no group or library {', '.join(sorted(unknown))}")
    rows: list[Row] = []
    for group in GROUPS:
        is_asked = not options.names or name_of(group) in options.names
        wanted = [name for name in group.NOTEBOOKS if is_asked or name in options.names]
        if wanted:
            rows += run_group(group, wanted, folder / name_of(group))
            if options.remove:
                shutil.rmtree(folder / name_of(group))
    print("\n| library | version | what survives | what is named |\n|---|---|---|---|")
    for row in sorted(rows, key=lambda one: one.library.lower()):
        print(f"| {row.library} | {row.version} | {row.survives} | {told(row.named)} |")
    wrong = [row.library for row in rows if row.wrong]
    print(f"\n{len(rows)} libraries, {len(wrong)} silently wrong: {', '.join(wrong) or 'none'}")
    return 1 if wrong else 0


def name_of(group: Any) -> str:
    """Return a group's name."""
    return str(group.__name__).rpartition(".")[2]


def told(named: dict[str, str]) -> str:
    """Return names with reasons for a row of the table."""
    return "; ".join(f"`{name}`: {reason}" for name, reason in named.items()).replace("|", "\\|")


def run_group(group: Any, names: list[str], folder: Path) -> list[Row]:
    """Run some notebooks of a group with both kernels."""
    python = make_python(folder / "venv", group.REQUIREMENTS)
    versions = json.loads(_output(python, "-c", _VERSIONS, *names))
    notebooks = {name: halves_of(group.NOTEBOOKS[name]) for name in names}
    plain = run_plain(python, notebooks, folder)
    restored = run_all(python, "aca", notebooks, folder)
    rows = []
    for name, halves in notebooks.items():
        title = group.NOTEBOOKS[name].strip().partition("\n")[0].lstrip("# ")
        row = compare(name, versions[name], title, halves, plain[name], restored[name])
        for one in row.wrong:
            print(f"\n{name}: SILENTLY WRONG {one}", flush=True)
        print(f"{name}: {len(row.wrong)} wrong, named {row.named}", flush=True)
        rows.append(row)
    return rows


def halves_of(notebook: str) -> list[list[str]]:
    """Return the cells before the restart, and those after it."""
    return [
        [cell.strip() for cell in half.split("\n# %%\n")]
        for half in notebook.strip().split(f"\n{_RESTART}\n")
    ]


def run_plain(python: Path, notebooks: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Run notebooks with ipykernel's kernel, but for those of which it is known what they show."""
    path = folder / "plain.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    keys = {
        name: hashlib.sha256(json.dumps(halves).encode()).hexdigest()
        for name, halves in notebooks.items()
    }
    new = {name: halves for name, halves in notebooks.items() if keys[name] not in known}
    for name, result in run_all(python, "python3", new, folder).items():
        known[keys[name]] = result
    path.write_text(json.dumps(known))
    return {name: known[key] for name, key in keys.items()}


def run_all(python: Path, kernel: str, notebooks: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Run notebooks with a kernel; return by name what running.py writes of each."""
    kept = ("LANG", "LC_ALL", "PATH", "TMPDIR")
    home = folder / "home"
    home.mkdir(parents=True, exist_ok=True)
    env = {name: os.environ[name] for name in kept if name in os.environ}
    env |= {"HOME": str(home), "JUPYTER_PATH": str(python.parents[1] / "share" / "jupyter")}
    # Sets of texts have one order in both.
    env["PYTHONHASHSEED"] = "0"
    done = subprocess.run(
        [python, Path(__file__).with_name("running.py")],
        input=json.dumps({"kernel": kernel, "notebooks": notebooks}),
        stdout=subprocess.PIPE,
        text=True,
        env=env,
        check=True,
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return {one["name"]: one for one in found}


def compare(
    name: str, version: str, title: str, halves: list[list[str]], plain: Any, restored: Any
) -> Row:
    """Compare what the cells after the restart showed."""
    for one in (plain, restored):
        if "failed" in one:
            return Row(name, version, title, {}, [one["failed"]])
    named = named_in(restored["said"])
    wrong = []
    cells = [*halves[0], *halves[1]]
    for number, (code, one, other) in enumerate(
        zip(cells, plain["shown"], restored["shown"], strict=True)
    ):
        is_after = number >= len(halves[0])
        if re.search(r"^\w*(Error|Exception)\b.*: ", one, re.MULTILINE):
            wrong.append(f"(the notebook itself fails)\n{code}\n---\n{one}")
        elif one != other and not (is_after and is_explained(code, named)):
            wrong.append(f"cell {number}:\n{code}\n--- python3\n{one}--- aca\n{other}")
    if "came back" not in restored["said"]:
        wrong.append(f"said: {restored['said']}")
    return Row(name, version, title, named, wrong)


def is_explained(code: str, named: dict[str, str]) -> bool:
    """Tell whether a cell uses something that was named."""
    needs = {text.strip() for text in _NEEDS.findall(code)}
    # `x`, or what belongs to it: "the gradient graph of `x`".
    names = {word for name in named for word in re.findall(r"`(\w+)`", name)} | set(named)
    return any(name in needs or re.search(rf"\b{re.escape(name)}\b", code) for name in names)


def named_in(said: str) -> dict[str, str]:
    """Return what did not come back, with the reasons, out of the kernel's sentence."""
    # The sentence is folded to the width of a line.
    text = " ".join(said.split()).partition("not restored: ")[2]
    found: dict[str, str] = {}
    # name (reason), name (reason). A reason may have parentheses of its own.
    while text:
        name, _, rest = text.partition(" (")
        depth, end = 1, 0
        while end < len(rest) and depth:
            depth += {"(": 1, ")": -1}.get(rest[end], 0)
            end += 1
        found[name.strip(" ,")] = rest[: end - 1]
        text = rest[end:]
        if not text.startswith(","):
            break
    return found


def _output(python: Path, *words: str) -> str:
    return subprocess.run([python, *words], capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    sys.exit(main())
