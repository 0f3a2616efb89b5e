"""Settings of the kernel.

Precedence, highest first: command line (with the argv of a kernelspec), configuration file
(`aca_kernel_config.py` in a Jupyter configuration directory), environment variables. With none
of them the embedded pool is used.

An endpoint takes precedence over a pool's name, but not one of the environment variables over
a name from elsewhere: a kernelspec for one pool must not lead to another (`AcaKernel.place`).
"""

from __future__ import annotations

import math
import os
import re
import shlex
from collections.abc import Mapping
from typing import Any, Literal

from traitlets import Bool, Enum, Float, Integer, TraitError, Unicode, validate
from traitlets.config import Configurable

# The public cloud's. Source: Azure REST API reference, "Components of a REST API request".
DEFAULT_ARM_ENDPOINT = "https://management.azure.com"

# Environment variables that are the default of a setting, if they are not empty.
VARIABLES = {
    "endpoint": "ACA_MCP_ENDPOINT",
    "api_key": "ACA_MCP_API_KEY",
    "subscription": "ACA_SUBSCRIPTION_ID",
    "resource_group": "ACA_RESOURCE_GROUP",
    "session_pool": "ACA_SESSION_POOL",
    "arm_endpoint": "ACA_ARM_ENDPOINT",
}


_REFERENCE = re.compile(r"\$\{\w+\}")

# In front of the host: a user with a password, or a token alone.
_PASSWORD = re.compile(r"://(?:[^/\s@:]*:[^/\s@]+|[^/\s@:]{16,})@")


def _split_words(text: str) -> list[str]:
    """Raises TraitError, without the text."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise TraitError("The setting environment has a quote that does not end.") from error
    if any(word.startswith("=") for word in words):
        raise TraitError("The setting environment has a value without a name.")
    return words


def package_words(setting: str) -> list[str]:
    """Return the words of the setting `packages`. Raises ValueError where a quote does not end.

    A backslash separates folders, as Windows has them. `-r` ahead of a file, as for pip, says
    nothing more than its name.
    """
    splitter = shlex.shlex(setting, posix=True, punctuation_chars=False)
    splitter.whitespace_split = True
    splitter.commenters = splitter.escape = ""
    found = (re.sub(r"^(?:-r|--requirement(?:=|$))", "", word) for word in splitter)
    return [word for word in found if word]


class UnicodeOrVariable(Unicode[str, "str | bytes"]):
    """A text whose default is one of `VARIABLES`."""

    def default(self, obj: Any = None) -> str | None:
        """Called by traitlets when the trait is first read."""
        environ = os.environ if obj is None else obj.environ
        return environ.get(VARIABLES[str(self.name)]) or super().default(obj)


class Duration(Float[float, "float | int | str"]):
    """A time in the unit that the setting's name says: a number, or without end."""

    def validate(self, obj: Any, value: Any) -> float:
        """Raises TraitError, as for a value that is too small; `nan` is smaller than nothing."""
        number = super().validate(obj, value)
        if math.isnan(number):
            self.error(obj, value)
        return number


class AcaKernel(Configurable):
    """Settings of a kernel: the place of its cells, timeouts, checkpoints, files.

    environ: the variables that `VARIABLES` are taken from.
    """

    environ: Mapping[str, str] = os.environ

    endpoint = UnicodeOrVariable(
        help="""MCP endpoint of a session pool (its `mcpServerEndpoint`), an absolute URL; empty: an
        embedded pool. Default: the environment variable ACA_MCP_ENDPOINT."""
    ).tag(config=True)

    api_key = UnicodeOrVariable(
        help="""Key for the endpoint, sent as `x-ms-apikey`. Never put it on a command line or into
        a kernelspec. Default: the environment variable ACA_MCP_API_KEY."""
    ).tag(config=True)

    subscription = UnicodeOrVariable(
        help="""Id of the session pool's Azure subscription. Default: the environment variable
        ACA_SUBSCRIPTION_ID, else the Azure CLI's current account."""
    ).tag(config=True)

    resource_group = UnicodeOrVariable(
        help="Resource group of the pool. Default: the environment variable ACA_RESOURCE_GROUP."
    ).tag(config=True)

    session_pool = UnicodeOrVariable(
        help="""Name of a session pool in Azure, which gives its endpoint and key. Default: the
        environment variable ACA_SESSION_POOL."""
    ).tag(config=True)

    arm_endpoint = UnicodeOrVariable(
        DEFAULT_ARM_ENDPOINT,
        help="""Azure Resource Manager of another cloud than the public one:
        https://management.usgovcloudapi.net, https://management.chinacloudapi.cn. Default: the
        environment variable ACA_ARM_ENDPOINT, else https://management.azure.com.""",
    ).tag(config=True)

    allow_plain_http = Bool(
        False, help="Send keys and tokens in the clear to `http://` endpoints on other machines."
    ).tag(config=True)

    cooldown_seconds = Integer(
        300,
        min=1,
        help="""Lifetime of an environment without a call: `coolDownPeriodInSeconds` of the pool.
        Sets the embedded pool's, and must match another pool's. After it, completions and views of
        variables wait for the next cell, because a call could take a place in the pool.""",
    ).tag(config=True)

    connect_timeout_seconds = Duration(
        10.0, min=0.1, help="Timeout of a new connection to the pool."
    ).tag(config=True)

    pool_full_timeout_seconds = Duration(
        660.0,
        min=0,
        help="""Longest wait of a cell for a place in a full pool. Default: twice the usual cooldown
        and a minute, because a place is kept for the cooldown after its last use.""",
    ).tag(config=True)

    reconnect_timeout_seconds = Duration(
        180.0,
        min=0,
        help="""Longest wait of a running notebook for a pool that does not answer or cannot be
        reached. Then its cells end in an error.""",
    ).tag(config=True)

    key_rotation_timeout_seconds = Duration(
        330.0,
        min=0,
        help="""Longest wait of a cell for a pool to accept its key from Azure. Default: the five
        minutes that the service needs after a rotation, and half a minute.""",
    ).tag(config=True)

    start = Enum(
        ["auto", "kernel", "first-cell"],
        default_value="auto",
        help="""When to launch an environment, which takes a place in the pool: with the kernel, or
        with the first cell. auto: with the kernel on the embedded pool, with the first cell
        elsewhere, where opening a notebook should not cost a place.""",
    ).tag(config=True)

    reuse = Enum(
        ["user", "restart", "never"],
        default_value="user",
        help="""Next user of a warm environment when its kernel ends, not on the embedded pool.
        user: the next kernel of this user and pool on this machine, which starts afresh in it
        without another place; restart: this kernel only, when it is restarted; never: nobody.""",
    ).tag(config=True)

    install_ipykernel = Bool(
        True,
        help="""Install ipykernel in an environment that has none, which needs egress. Without it
        cells run in plain mode: no live output, completion, widgets or input().""",
    ).tag(config=True)

    egress = Enum(
        ["enabled", "disabled"],
        default_value="enabled",
        help="Network of cells on the embedded pool.",
    ).tag(config=True)

    isolation = Enum(
        ["auto", "bubblewrap", "process"],
        default_value="auto",
        help="""Isolation of cells on the embedded pool: `bubblewrap` demands it, `process` does
        without, `auto` uses it where it works.""",
    ).tag(config=True)

    interpreter = Enum(
        ["light", "ipykernel"],
        default_value="light",
        help="""Session interpreter of the embedded pool: a light one, or an ipykernel as in the
        service, which is slower and for development.""",
    ).tag(config=True)

    checkpoint = Enum(
        ["auto", "on-request", "off"],
        default_value="auto",
        help="""When to store variables and files on this machine: shortly before the cooldown ends,
        by `%aca checkpoint` only, or never.""",
    ).tag(config=True)

    checkpoint_before_seconds = Duration(
        45.0,
        min=1,
        help="""Time between a checkpoint and the end of the cooldown; never more than half of the
        cooldown.""",
    ).tag(config=True)

    checkpoint_after_seconds = Duration(
        0.0, min=0, help="Take a checkpoint also after each cell that ran for longer; 0: do not."
    ).tag(config=True)

    checkpoint_variable_mb = Integer(
        500, min=1, help="Largest variable of a checkpoint, in megabytes."
    ).tag(config=True)

    checkpoint_total_mb = Integer(
        1000, min=1, help="Largest sum of all variables of a checkpoint, in megabytes."
    ).tag(config=True)

    checkpoint_files_mb = Integer(
        200, min=0, help="Largest sum of all files of a checkpoint, in megabytes; 0: no files."
    ).tag(config=True)

    checkpoint_keep = Bool(
        False,
        help="""Keep the checkpoint when the kernel is shut down. The next kernel of the notebook
        restores it by `%aca restore`.""",
    ).tag(config=True)

    restore = Enum(
        ["auto", "on-request", "off"],
        default_value="auto",
        help="""When to restore variables and files in a new environment: before its first cell, by
        `%aca restore` only, or never.""",
    ).tag(config=True)

    keep_alive_minutes = Duration(
        0.0,
        min=0,
        help="""Time to keep an unused environment, counted from the last cell; 0: for the
        cooldown only. It keeps its place in the pool.""",
    ).tag(config=True)

    environment = Unicode(
        "",
        help="""Environment variables that cells get beside those that are set for this kernel, in
        words: names and patterns of variables to pass on (`OPENAI_* TZ`), and `NAME=VALUE` for
        what is no secret. Quotes are read as a shell does.""",
    ).tag(config=True)

    environment_file = Unicode(
        "",
        help="""File of environment variables to pass on, `NAME=VALUE` a line, such as the `.env` of
        VS Code. A relative path is looked for beside the notebook and in the folders above.""",
    ).tag(config=True)

    packages = Unicode(
        "",
        help="""Packages to install in a new environment before its first cell, in words:
        requirements (`polars "duckdb>=1"`) and names of files beside the notebook or in the folders
        above: of requirements (`requirements.txt`), `pyproject.toml` or `pyproject.toml:GROUP`,
        `uv.lock` or `uv.lock:GROUP`.""",
    ).tag(config=True)

    packages_index_url = Unicode(
        "",
        help="""Index to install packages from, an absolute URL. `${NAME}` in it is an environment
        variable of cells, which the setting `environment` passes on: so a password stays out of
        settings.""",
    ).tag(config=True)

    packages_timeout_seconds = Duration(
        300.0,
        min=1,
        help="""Longest installation of packages before a cell, and of those that a restore brings
        back.""",
    ).tag(config=True)

    files = Enum(
        ["auto", "on-demand", "hint", "off"],
        default_value="auto",
        help="""Files beside the notebook that a cell opens and the environment does not have.
        on-demand: they are sent; hint: the error names them, and the line that sends them; off:
        neither. auto: on-demand on the embedded pool, hint elsewhere, where they would leave your
        machine.""",
    ).tag(config=True)

    files_root = Unicode(
        "",
        help="""How far up from the notebook files count as beside it, so that `..` and absolute
        paths of your machine find them. Empty: the notebook's folder; `repository`: up to the
        nearest folder that holds `.git` or `pyproject.toml`; or the path of a folder above the
        notebook's. What is never sent stays so.""",
    ).tag(config=True)

    files_largest_mb = Integer(
        1000, min=0, help="Largest file that is sent on demand or comes back, in megabytes."
    ).tag(config=True)

    files_total_mb = Integer(
        5000,
        min=0,
        help="""Largest sum of files that are sent on demand to one environment, and of files that
        come back from it, in megabytes.""",
    ).tag(config=True)

    files_back = Bool(
        False,
        help="""After each cell, bring files that it has written in the working directory to the
        notebook's folder: new ones, and those that came back before and were not changed here.""",
    ).tag(config=True)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # Before anything reads them: reading a default sets it.
        self._given = frozenset(
            name for name in ("endpoint", "session_pool") if self.trait_has_value(name)
        )

    @validate("environment")
    def _check_environment(self, proposal: Any) -> str:
        _split_words(proposal["value"])
        return str(proposal["value"])

    @validate("packages")
    def _check_packages(self, proposal: Any) -> str:
        try:
            package_words(proposal["value"])
        except ValueError as error:
            raise TraitError("The setting packages has a quote that does not end.") from error
        return str(proposal["value"])

    @validate("packages_index_url")
    def _check_index(self, proposal: Any) -> str:
        if _PASSWORD.search(_REFERENCE.sub("", proposal["value"])):
            raise TraitError(
                "The setting packages_index_url has a password: write `${NAME}` for it, and pass "
                "the variable NAME by the setting environment."
            )
        return str(proposal["value"])

    def packages_config(self) -> dict[str, Any]:
        """Return what remote kernels are told about packages."""
        return {
            "wanted": bool(self.packages),
            "index_url": self.packages_index_url,
            "seconds": self.packages_timeout_seconds,
        }

    def environment_words(self) -> tuple[dict[str, str], list[str]]:
        """Return what `environment` sets, and the names and patterns that it has passed on."""
        words = _split_words(self.environment)
        pairs = dict(word.split("=", 1) for word in words if "=" in word)
        return pairs, [word for word in words if "=" not in word]

    @property
    def place(self) -> Literal["endpoint", "azure", "embedded"]:
        """The place of cells: at an endpoint, in a pool known by its name in Azure, or here.

        A resource group alone is half of a name: "azure", which then reports the missing half.
        """
        if "endpoint" in self._given and self.endpoint:
            return "endpoint"
        if "session_pool" in self._given and self.session_pool:
            return "azure"
        if "endpoint" in self._given:
            return "embedded"
        if self.endpoint:
            return "endpoint"
        return "azure" if self.session_pool or self.resource_group else "embedded"

    @property
    def files_root_used(self) -> str:
        """The value of `files_root`, which does not count where no files are found."""
        return "" if self.files_mode == "off" else self.files_root

    @property
    def files_mode(self) -> Literal["on-demand", "hint", "off"]:
        """The value of `files`, with `auto` resolved."""
        if self.files == "auto":
            return "on-demand" if self.place == "embedded" else "hint"
        return self.files  # type: ignore[return-value]  # the trait allows no other
