"""Which requests count as VS Code's own, and what its code is for."""

from __future__ import annotations

from typing import Any

import pytest

from aca_kernel.messaging.hidden import INSPECTOR_QUERY, HiddenKind, is_hidden, kind_of

VS_CODE = {"silent": False, "store_history": False, "stop_on_error": False, "allow_stdin": True}


@pytest.mark.parametrize(
    "others",
    [
        pytest.param({"store_history": True}, id="a cell"),
        pytest.param({"stop_on_error": True, "allow_stdin": False}, id="nbclient without history"),
        pytest.param({"stop_on_error": True}, id="a script's"),
        pytest.param({"silent": True}, id="qtconsole's"),
        pytest.param({"allow_stdin": False}, id="nbclient, errors allowed"),
    ],
)
def test_the_names_in_a_cell_do_not_make_it_hidden(others: dict[str, Any]) -> None:
    assert is_hidden(VS_CODE, "print('_VSCODE_')")
    assert not is_hidden({**VS_CODE, **others}, "print('_VSCODE_', __vsc_ipynb_file__)")


def test_consoles_ask_for_a_prompt_by_no_code() -> None:
    prompt = {"code": "", "silent": True}
    assert is_hidden(prompt, "")
    assert not is_hidden({**prompt, "user_expressions": {"it": "x"}}, "")
    assert not is_hidden({**prompt, "silent": False}, "")
    assert not is_hidden({"silent": True}, "")
    assert kind_of("") is HiddenKind.QUERY


def test_what_a_request_leaves_out_is_as_the_protocol_has_it() -> None:
    assert not is_hidden({}, "_VSCODE_sys")
    assert not is_hidden({"store_history": False}, "_VSCODE_sys")


@pytest.mark.parametrize(
    "code",
    [
        "def __jupyter_exec_background__():\n    pass",
        "\nimport vscode as __vscode\ntry:\n    __vscode.chat.__on_message('1', None)\n",
    ],
)
def test_background_code_may_ask_for_nothing(code: str) -> None:
    assert is_hidden({**VS_CODE, "allow_stdin": False}, code)


@pytest.mark.parametrize(
    ("content", "hidden"),
    [
        ({"silent": True, "stop_on_error": False}, True),
        ({"store_history": False, "stop_on_error": False}, True),
        ({}, False),
        ({"store_history": False}, False),
    ],
)
def test_the_variable_inspector_is_known_by_its_names(
    content: dict[str, Any], hidden: bool
) -> None:
    assert is_hidden(content, INSPECTOR_QUERY) is hidden
    assert not is_hidden({"silent": True}, "dict_list()")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("def _jupyterlab_variableinspector_is_matrix(x):\n    pass", HiddenKind.SETUP),
        ("_jupyterlab_variableinspector_changesettings(maxitems=7)", HiddenKind.SETUP),
        (INSPECTOR_QUERY, HiddenKind.QUERY),
        ("_jupyterlab_variableinspector_deletevariable('x')", HiddenKind.ASKED),
        ("__file__ = 'C:\\\\it\\'s\\\\one.py'", HiddenKind.SETUP),
        ("import os as _VSCODE_os\ntry:\n    _VSCODE_os.chdir('/x')\nexcept:\n    pass", "setup"),
        ("pass", HiddenKind.QUERY),
        ("import debugpy\ndebugpy.debug_this_thread()", HiddenKind.QUERY),
        ("import debugpy;debugpy.wait_for_client()", HiddenKind.QUERY),
        ("from debugpy import trace_this_thread;trace_this_thread(False)", HiddenKind.QUERY),
        ("import debugpy;debugpy.listen(('localhost', 0))", HiddenKind.ASKED),
        ("import pandas as _VSCODE_pandas;print(_VSCODE_pandas.__version__)", HiddenKind.ASKED),
        ('_VSCODE_getDataFrame("info", False, df)', HiddenKind.ASKED),
        ("import os;os.getcwd();", HiddenKind.ASKED),
        # A user's startup command, though it has to do with a debugger.
        ("import debugpy; debugpy.listen(5678)", HiddenKind.UNKNOWN),
    ],
)
def test_what_hidden_code_is_for(code: str, kind: HiddenKind | str) -> None:
    assert kind_of(code) is HiddenKind(kind)
