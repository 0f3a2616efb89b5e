"""Programs find what their command or their cell names, whichever folder they are in."""

from __future__ import annotations

from pathlib import Path

from ...support import running_kernel

# Each with a file that nobody has asked for before.
CELLS = {
    "%%bash\ncat 0.txt": "0\n",
    "%%sh\n# it's a comment\nwc -c < 1.txt": "2\n",
    "%%script bash\nfor name in 2*.txt; do cat $name; done": "2\n",
    "%%bash -s 3.txt\ncat $1": "3\n",
    "%%capture taken\n%%bash\ncat 4.txt": "",
    "%%python3\nprint(open('5.txt').read(), end='')": "5\n",
    "%%script python3\nimport helper\nprint(helper.VALUE)": "helped\n",
    "%%bash\ncd sub\ncd inner && cat 6.txt": "6\n",
    "!cd sub/inner && cat 7.txt": "7\r\n",
    "!cd sub && python3 program.py && python3 -m module": "8\r\nmodule\r\n",
    "import subprocess\nprint(subprocess.check_output(['cat', '9.txt'], cwd='sub/inner'))": (
        "b'9\\n'\n"
    ),
    "%%perl\nopen(F,'<','11.txt'); print <F>;": "11\n",
    "!make -s -C made": "10\r\n",
}


def test_programs_find_what_is_named_to_them(folder: Path) -> None:
    inner = folder / "sub" / "inner"
    inner.mkdir(parents=True)
    for number in range(6):
        (folder / f"{number}.txt").write_text(f"{number}\n")
    for number in range(6, 10):
        (inner / f"{number}.txt").write_text(f"{number}\n")
    (folder / "11.txt").write_text("11\n")
    (folder / "helper.py").write_text("VALUE = 'helped'\n")
    (folder / "sub" / "program.py").write_text("print(open('inner/8.txt').read(), end='')\n")
    (folder / "sub" / "module.py").write_text("print('module')\n")
    (folder / "made").mkdir()
    (folder / "made" / "Makefile").write_text("all:\n\tcat 10.txt\n")
    (folder / "made" / "10.txt").write_text("10\n")
    with running_kernel() as kernel:
        for code, shown in CELLS.items():
            cell = kernel.run(code)
            assert (cell.status, cell.stream("stdout"), cell.said) == ("ok", shown, ""), code
        assert kernel.run("taken.stdout").result == "'4\\n'"
