"""The line of an error that a remote kernel has written before it ended."""

from __future__ import annotations

import pytest

from aca_kernel.messaging.loss_wording import failed_start

TRACEBACK = """Traceback (most recent call last):
  File "/tmp/aca/launcher.py", line 31, in main
    from ipykernel.kernelapp import IPKernelApp
"""


@pytest.mark.parametrize(
    ("log", "quoted"),
    [
        (TRACEBACK + "ImportError: no such thing\n", "ImportError: no such thing"),
        # Of several lines the first, of several tracebacks the last.
        (TRACEBACK + "ImportError: no\n\nHow to mend it:\n  so\n", "ImportError: no"),
        (TRACEBACK + "KeyError: 1\n\nDuring that:\n\n" + TRACEBACK + "OSError: 2.", "OSError: 2"),
        (TRACEBACK + "\x1b[31mImportError\x1b[0m: \x07no\r\n", "ImportError: no"),
        (
            "[IPKernelApp] ERROR | bad\n[IPKernelApp] CRITICAL | worse\n",
            "[IPKernelApp] CRITICAL | worse",
        ),
        (
            "Fatal Python error: init\nImportError: no\n\nCurrent thread:\n  <no>\n",
            "ImportError: no",
        ),
        ("No space left on device", "No space left on device"),
        ("\n \n", "it ended with exit status 1"),
        ("", "it ended with exit status 1"),
        ("x" * 1000, "x" * 300),
    ],
)
def test_the_line_of_the_last_error_is_quoted(log: str, quoted: str) -> None:
    assert failed_start(1, log) == quoted


def test_what_was_killed_says_so() -> None:
    assert "memory ran out" in failed_start(-9, "")
