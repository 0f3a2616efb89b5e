"""The answer to kernel_info_request: the same at any time of a kernel's life."""

from __future__ import annotations

import platform
import sys
from importlib import metadata
from typing import Any

from .. import __version__

# What ipykernel 7 speaks.
PROTOCOL_VERSION = "5.3"


def kernel_info() -> dict[str, Any]:
    """Return the content of kernel_info_reply: the same at any time of a kernel's life.

    Names the Python of this process, which on the embedded pool is the remote one too.
    """
    version = platform.python_version()
    try:
        ipython = metadata.version("ipython")
    except metadata.PackageNotFoundError:
        ipython = "?"
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
