"""Tracebacks name the user's files so that the links of JupyterLab open them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from jupyter_server.services.contents.filemanager import FileContentsManager

from ...support import Cell, Client, running_kernel
from ..conftest import inside

# As JupyterLab 4.6.6 has it: packages/rendermime/src/renderers.ts, `pathLinkRegex`.
LINK = re.compile(
    r"(?P<path>(?:~|\.)?(?:/[\w.-]*)+)(?:(?::|\", line )(?P<line>\d+))?(?::(?P<column>\d+))?"
)

HELPER = "def fail():\n    pass\n    return 1 / 0\n"


def links(cell: Cell) -> list[tuple[str, str]]:
    """Return the paths and lines in a cell's traceback that JupyterLab makes links of."""
    return [(one["path"], one["line"]) for one in LINK.finditer(shown(cell)) if one["line"]]


def shown(cell: Cell) -> str:
    assert cell.error is not None
    return re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(cell.error["traceback"]))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a notebook's folder in it."""
    (tmp_path / "project" / "work" / "tools").mkdir(parents=True)
    (tmp_path / "project" / "pyproject.toml").write_text("")
    (tmp_path / "project" / "above.py").write_text(HELPER)
    (tmp_path / "project" / "work" / "helper.py").write_text(HELPER)
    (tmp_path / "project" / "work" / "tools" / "inner.py").write_text(HELPER)
    (tmp_path / "project" / "work" / "broken.py").write_text("x = 1\ny = = 2\n")
    return tmp_path / "project"


def resolve(project: Path, path: str, cwd: Path) -> list[str]:
    """Resolve a link as `/api/resolvePath` does: by the contents, and by the kernel's folder."""
    contents: Any = FileContentsManager(root_dir=str(project))
    kernel: Any = LocalProvisioner()
    kernel.cwd = str(cwd)
    return [one for one in (contents.resolve_path(path), kernel.resolve_path(path)) if one]


def run(kernel: Client, code: str) -> Cell:
    return kernel.run("import sys\nsys.path.append('..')\n" + code)


def test_a_link_in_a_traceback_opens_the_users_file(project: Path) -> None:
    with inside(project / "work"), running_kernel() as kernel:
        cell = run(kernel, "import helper\nhelper.fail()")
        assert ("./helper.py", "3") in links(cell)
        assert resolve(project, "./helper.py", project / "work") == [
            str(project / "work" / "helper.py")
        ]
        assert ("./tools/inner.py", "3") in links(
            run(kernel, "from tools import inner\ninner.fail()")
        )
        assert ("./broken.py", "2") in links(run(kernel, "import broken"))
        # The cell itself keeps its name, and so does a file that is the environment's.
        cell = run(kernel, "open('own.py', 'w').write('1 / 0')\nimport own")
        assert ("/mnt/data/own.py", "1") in links(cell)
        assert "Cell In[" in shown(cell)


def test_a_file_above_the_notebook_has_its_path_on_this_machine(project: Path) -> None:
    arguments = ("--AcaKernel.files_root=repository",)
    with inside(project / "work"), running_kernel(arguments=arguments) as kernel:
        cell = run(kernel, "import above\nabove.fail()")
        assert (str(project / "above.py"), "3") in links(cell)
        assert "above.py" in resolve(project, str(project / "above.py"), project / "work")
        assert ("./helper.py", "3") in links(run(kernel, "import helper\nhelper.fail()"))
