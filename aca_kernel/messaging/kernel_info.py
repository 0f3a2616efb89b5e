"""The answer to kernel_info_request, which stays the same for a kernel's life."""

from __future__ import annotations

import platform
import sys
from importlib import metadata
from typing import Any

from .. import __version__
from .publisher import Publisher
from .requests import Request, RequestTable

# As ipykernel 7.
PROTOCOL_VERSION = "5.3"


class KernelInfo:
    """Answers kernel_info_requests; on shell, each waits for the cells before it in its shell."""

    def __init__(self, table: RequestTable, publisher: Publisher) -> None:
        self._table = table
        self._publisher = publisher
        self._content = kernel_info()
        # Requests, and the cells that each waits for.
        self._deferred: list[tuple[Request, set[str]]] = []

    def asked(self, request: Request) -> None:
        """Take a request; `answer_due` answers it."""
        cells = {
            one.msg_id
            for one in self._table
            if one.is_execute
            and one.channel == request.channel == "shell"
            and one.subshell_id == request.subshell_id
        }
        self._deferred.append((request, cells))

    def answer_due(self) -> None:
        """Answer requests that wait for no cell any more."""
        waiting, self._deferred = self._deferred, []
        for request, cells in waiting:
            if any(self._table.find(cell) is not None for cell in cells):
                self._deferred.append((request, cells))
            else:
                self._publisher.answer(request, self._content)


def kernel_info() -> dict[str, Any]:
    """Return the content of kernel_info_reply.

    Names the Python of this process, which on the embedded pool is the remote one too.
    """
    version, ipython = platform.python_version(), version_of("ipython") or "?"
    return {
        "status": "ok",
        "protocol_version": PROTOCOL_VERSION,
        "implementation": "aca_kernel",
        "implementation_version": __version__,
        "language_info": {
            "name": "python",
            "version": version,
            "mimetype": "text/x-python",
            "codemirror_mode": {"name": "ipython", "version": sys.version_info[0]},
            "pygments_lexer": "ipython3",
            "nbconvert_exporter": "python",
            "file_extension": ".py",
        },
        "banner": (
            f"Python {version} -- IPython {ipython}, "
            f"in an Azure Container Apps session environment (aca_kernel {__version__})"
        ),
        "help_links": [
            {"text": "Python Reference", "url": f"https://docs.python.org/{version[:4]}"},
            # As ipykernel lists them.
            {"text": "IPython Reference", "url": "https://ipython.readthedocs.io/en/stable/"},
            {"text": "NumPy Reference", "url": "https://docs.scipy.org/doc/numpy/reference/"},
            {"text": "SciPy Reference", "url": "https://docs.scipy.org/doc/scipy/reference/"},
            {"text": "Matplotlib Reference", "url": "https://matplotlib.org/contents.html"},
            {"text": "SymPy Reference", "url": "http://docs.sympy.org/latest/index.html"},
            {"text": "pandas Reference", "url": "https://pandas.pydata.org/pandas-docs/stable/"},
            {
                "text": "Azure Container Apps dynamic sessions",
                "url": "https://learn.microsoft.com/azure/container-apps/sessions",
            },
        ],
        "supported_features": ["kernel subshells", "debugger"],
    }


def version_of(distribution: str) -> str:
    """Return the version of an installed distribution, empty if there is none."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""
