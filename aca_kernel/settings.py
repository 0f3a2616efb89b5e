"""Every setting of the kernel, in one place.

Three ways in, in this order: command line (which includes the argv of a kernelspec),
configuration file (`aca_kernel_config.py` in a Jupyter configuration directory),
environment variables. With none of them the embedded pool is used.
"""

from __future__ import annotations

import os

from traitlets import Bool, Enum, Float, Integer, Unicode, default
from traitlets.config import Configurable


class AcaKernel(Configurable):
    """Where cells run, and how long to wait for it."""

    endpoint = Unicode(
        help="""MCP endpoint of a session pool (its `mcpServerEndpoint`), an absolute URL.
        Default: the environment variable ACA_MCP_ENDPOINT; empty: an embedded local pool.""",
    ).tag(config=True)

    api_key = Unicode(
        help="""Key for the endpoint, sent as `x-ms-apikey`. Default: the environment variable
        ACA_MCP_API_KEY. Never put it on a command line or into a kernelspec.""",
    ).tag(config=True)

    allow_plain_http = Bool(
        False,
        help="""Send the key to an `http://` endpoint that is not on this machine. The key then
        crosses the network in the clear.""",
    ).tag(config=True)

    cooldown_seconds = Integer(
        300,
        min=1,
        help="""How long an environment lives without a call: `coolDownPeriodInSeconds` of the
        pool. The embedded pool is started with it; for others it only words a message.""",
    ).tag(config=True)

    connect_timeout_seconds = Float(
        10.0, min=0.1, help="""How long one connection to the pool may take to be made."""
    ).tag(config=True)

    pool_full_timeout_seconds = Float(
        660.0,
        min=0,
        help="""How long a cell waits for a place in a full pool. Default: twice the usual
        cooldown and a minute, since a place is kept for the cooldown after its last use.""",
    ).tag(config=True)

    reconnect_timeout_seconds = Float(
        180.0,
        min=0,
        help="""How long a running notebook waits for a pool that does not answer or cannot
        be reached before its cells end in an error.""",
    ).tag(config=True)

    start = Enum(
        ["auto", "kernel", "first-cell"],
        default_value="auto",
        help="""When to take an environment, and with it a place in the pool: at the start of
        the kernel, or with the first cell. auto: at the start on the embedded pool, with the
        first cell elsewhere, where opening a notebook should not cost a place.""",
    ).tag(config=True)

    install_ipykernel = Bool(
        True,
        help="""Install ipykernel in an environment that has none (it needs egress). Without
        it cells run in plain mode: no live output, completion, widgets or input().""",
    ).tag(config=True)

    egress = Enum(
        ["enabled", "disabled"],
        default_value="enabled",
        help="""Whether cells reach the network; of the embedded pool only.""",
    ).tag(config=True)

    isolation = Enum(
        ["auto", "bubblewrap", "process"],
        default_value="auto",
        help="""How the embedded pool isolates cells: `bubblewrap` demands it, `process` does
        without, `auto` uses it where it works.""",
    ).tag(config=True)

    interpreter = Enum(
        ["light", "ipykernel"],
        default_value="light",
        help="""Session interpreter of the embedded pool: a light one, or an ipykernel as the
        service has it (slower; for development against the service's behaviour).""",
    ).tag(config=True)

    @default("endpoint")
    def _default_endpoint(self) -> str:
        return os.environ.get("ACA_MCP_ENDPOINT", "")

    @default("api_key")
    def _default_api_key(self) -> str:
        return os.environ.get("ACA_MCP_API_KEY", "")
