"""ipykernel's own arguments on the kernel's command line: read as ipykernel reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ipykernel.kernelapp import IPKernelApp
from traitlets.config import Config

from aca_kernel.app import AcaKernelApp
from aca_kernel.remote.arguments import name_of, split_applicable
from tests.support import running_kernel

# What each argument changes, as a cell sees it.
LOOK = """
import json, sys
from matplotlib_inline.config import InlineBackend
ip = get_ipython()
print(json.dumps({
    "stop_on_error_timeout": ip.kernel.stop_on_error_timeout,
    "history": ip.history_manager.enabled,
    "cache": ip.cache_size,
    "jedi": ip.Completer.use_jedi,
    "capture": ip.kernel.parent.capture_fd_output,
    "names": {name: globals().get(name) for name in ("X", "Y", "Z")},
    "extensions": sorted(ip.extension_manager.loaded),
    "rc": InlineBackend.instance(parent=ip).rc,
    "colors": ip.colors,
}))
"""

FORMS = [
    (
        "--Kernel.stop_on_error_timeout=0",
        "--HistoryManager.enabled=False",
        "--InteractiveShell.cache_size=5",
        "--Completer.use_jedi=False",
        "--IPKernelApp.capture_fd_output=False",
        '--IPKernelApp.exec_lines=["X=1"]',
        "--InlineBackend.rc={'figure.dpi': 50}",
        '--IPKernelApp.extensions=["autoreload"]',
    ),
    (
        "--Kernel.stop_on_error_timeout",
        "2.5",
        "-c",
        "Y = 2",
        "--InteractiveShellApp.exec_lines=X=1",
        "--InteractiveShellApp.exec_lines=Z=3",
        "--InteractiveShellApp.extensions",
        "autoreload",
        "--cache-size=7",
        "--colors=nocolor",
        "--InlineBackend.rc",
        "figure.dpi=50",
        "--no-automagic",
        "--HistoryManager.hist_file=:memory:",
        "--matplotlib",
        "inline",
    ),
]


def look(name: str, arguments: tuple[str, ...]) -> dict[str, Any]:
    with running_kernel(name=name, arguments=arguments) as kernel:
        cell = kernel.run(LOOK)
    assert not cell.said, cell.said
    return dict(json.loads(cell.text))


@pytest.mark.parametrize("arguments", FORMS)
def test_arguments_arrive_as_ipykernel_reads_them(arguments: tuple[str, ...]) -> None:
    ours = look("aca", arguments)
    assert ours["cache"] in (5, 7)
    assert ours == look("python3", arguments)


def test_what_cannot_be_applied_is_named_and_the_kernel_starts() -> None:
    arguments = (
        "--Kernel.stop_on_error_timeout=secret",
        "--Kernel.no_such_trait=1",
        "--nonsense=3",
        "--ip=0.0.0.0",
        "--IPKernelApp.hb_port=1",
        "--InteractiveShell.cache_size=5",
        "-c",
    )
    with running_kernel(arguments=arguments) as kernel:
        hidden = kernel.run("1", store_history=False)
        cell = kernel.run("get_ipython().cache_size")
        again = kernel.run("1")
    assert cell.result == "5"
    assert cell.said == (
        "ipykernel runs without what cannot be applied here: --Kernel.stop_on_error_timeout, "
        "--Kernel.no_such_trait, --nonsense, --ip, --IPKernelApp.hb_port, -c."
    )
    assert not hidden.said
    assert not again.said


def test_a_kernel_starts_without_arguments_that_ipykernel_fails_with_later() -> None:
    with running_kernel(arguments=("--IPKernelApp.ipython_dir=/proc/none", "-cX=1")) as kernel:
        cell = kernel.run("'X' in globals()")
    assert cell.result == "False"
    assert cell.said.endswith("cannot be applied here: --IPKernelApp.ipython_dir, -c.")


def test_settings_of_configuration_files_are_taken_where_they_can_be() -> None:
    settings = Config(
        {
            "Kernel": {"stop_on_error_timeout": "0"},
            "InteractiveShell": {"cache_size": 5},
            "Session": {"key": "0"},
            "SomeExtension": {"anything": "goes"},
        }
    )
    accepted, refused = split_applicable(IPKernelApp, settings, [])
    assert not accepted
    assert refused == ["Kernel.stop_on_error_timeout", "Session.key"]
    assert settings.InteractiveShell.cache_size == 5
    assert settings.SomeExtension.anything == "goes"


def test_what_cannot_travel_is_left_out_alone(tmp_path: Path) -> None:
    file = tmp_path / "config.py"
    file.write_text(
        "c.InteractiveShell.cache_size = 5\n"
        "c.InteractiveShell.ast_node_interactivity = 'all'\n"
        "c.InteractiveShell.banner1 = object()\n"
        "c.AcaKernel.cooldown_seconds = 20\n"
    )
    app = AcaKernelApp(config_file=str(file))
    app.load_config_file()
    traits, refused = app._remote_traits()
    assert traits == {"InteractiveShell": {"cache_size": 5, "ast_node_interactivity": "all"}}
    assert refused == ["InteractiveShell.banner1"]


@pytest.mark.parametrize(
    ("argument", "name"),
    [
        ("--Kernel.x=secret", "--Kernel.x"),
        ("-csecret", "-c"),
        ("-c", "-c"),
        ("-csecret=1", "-c"),
        ("-cx.y=1", "-c"),
        ("--user=secret", "--user"),
        ("secret", "…"),
    ],
)
def test_an_argument_is_named_without_its_value(argument: str, name: str) -> None:
    assert name_of(argument) == name
