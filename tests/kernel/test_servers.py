"""Servers that cells start: whether a browser on the user's machine reaches them is said."""

from __future__ import annotations

from ..support import Client, eventually, local_http, running_kernel

START = """
import http.server, threading
server = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
threading.Thread(target=server.serve_forever, daemon=True).start()
port = server.server_port
print(f"Running on http://127.0.0.1:{port}/")
"""
FRAME = "from IPython.display import IFrame\nIFrame(f'http://localhost:{port}/', 100, 100)"


def test_an_address_that_leads_nowhere_is_told_once() -> None:
    with running_kernel(arguments=("--AcaKernel.egress=disabled",)) as kernel:
        cell = kernel.run(START)
        port = cell.text.strip("/\n").rpartition(":")[2]
        assert f"The server at port {port} is in the session environment." in cell.said
        assert "aca-kernel help clients" in cell.said
        cell = kernel.run(FRAME)
        assert (cell.status, cell.said) == ("ok", "")
        # Nothing listens there.
        assert kernel.run("print('http://localhost:1')").said == ""
        # A server in a new process is another one.
        kernel.run("import os; os.kill(os.getpid(), 9)")
        assert "The server at port" in kernel.run(START.replace(", 0)", f", {port})")).said
        kernel.restart()
        assert "The server at port" in kernel.run(START).said


def test_what_no_user_sees_has_no_sentence() -> None:
    shown = "print(f'http://127.0.0.1:{port}')"
    with running_kernel(arguments=("--AcaKernel.egress=disabled",)) as kernel:
        kernel.run(START.replace("print", "# "))
        hidden = {"store_history": False, "stop_on_error": False, "allow_stdin": True}
        for options in (hidden, {**hidden, "allow_stdin": False}, {"silent": True}):
            cell = kernel.run(shown, **options)
            assert (cell.status, cell.said) == ("ok", "")
        # The first cell that shows it has it.
        assert eventually(lambda: "The server at port" in kernel.run(shown).said)


def test_where_it_is_reached_nothing_is_said(shared_kernel: Client) -> None:
    cell = shared_kernel.run(START)
    assert (cell.status, cell.said) == ("ok", "")
    address = cell.text.removeprefix("Running on ").strip()
    assert local_http("GET", address).status_code == 200
    shared_kernel.run("server.shutdown(); server.server_close()")
