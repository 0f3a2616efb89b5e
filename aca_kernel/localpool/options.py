"""Every setting of a local session pool, checked once, when it is made."""

from __future__ import annotations

import dataclasses
import os
import sys
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from ..errors import SettingInvalid

Isolation = Literal["auto", "bubblewrap", "process"]
Egress = Literal["enabled", "disabled"]
Interpreter = Literal["light", "ipykernel"]
LaunchTools = Literal["both", "python", "shell"]
_CHOICES = {
    "isolation": get_args(Isolation),
    "egress": get_args(Egress),
    "interpreter": get_args(Interpreter),
    "launch-tools": get_args(LaunchTools),
}

DEFAULT_PORT = 8931

# What a field's annotation accepts in JSON; every other one is a word of a closed set.
_JSON_TYPES: dict[str, tuple[type, ...]] = {
    "bool": (bool,),
    "int": (int,),
    "float": (int, float),
    "Quirks": (list,),
}


@dataclass(frozen=True)
class Quirks:
    """Ways in which the service is known, or suspected, to differ between pools.

    Each is off by default; service-contract facts name the sources. The names are
    what `--quirk` takes.
    """

    # An expired or unknown id silently gets a new, empty session.
    silent_replacement: bool = False
    # A wrong API key answers 200 with a JSON-RPC error instead of 401.
    auth_error_in_200: bool = False
    # A full pool answers 404 instead of 429.
    pool_full_as_404: bool = False
    # A shell command waits for running Python code of its environment.
    serialise_tools: bool = False
    # The session's Python has no ipykernel and no pyzmq.
    no_ipykernel: bool = False
    # Output that looks like bare base64 is decoded (enableAutoBase64Decoding).
    decode_base64: bool = False
    # Failed code shows in `status` only; `isError` stays false.
    failed_without_is_error: bool = False
    # The protocol's stateless revision is unknown, as its pages of 2026 say: 2025-03-26 only.
    handshake_only: bool = False
    # Control plane: reading a pool says null for mcpServerSettings although it has them.
    mcp_settings_null: bool = False
    # Control plane: isMcpServerEnabled, as the published specification writes it.
    mcp_settings_casing: bool = False
    # Control plane: creating and changing a pool ends in provisioningState Failed.
    provisioning_fails: bool = False
    # Control plane: the subscription has not registered Microsoft.App.
    provider_not_registered: bool = False
    # Control plane: the feature SessionPoolsSupportMCP is not registered, without which pools get
    # no MCP server.
    feature_not_registered: bool = False
    # Control plane: keys are rotated by the action of the published specification only.
    rotation_as_specified: bool = False
    # Control plane: the caller has no role (403 for all), or the role Reader (403 for the rest).
    no_role: bool = False
    reader_role: bool = False
    # Control plane: every second request is answered with 429 and Retry-After.
    arm_throttles: bool = False


@dataclass(frozen=True)
class PoolOptions:
    """The settings of one pool.

    Raises SettingInvalid: a value cannot work; the message names the setting.
    """

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT  # 0: any free port
    allow_remote: bool = False
    api_key: str | None = None  # None: random, per start
    max_concurrent_sessions: int = 5
    cooldown_seconds: float = 300.0
    ready_sessions: int = 0
    replenish: bool = True  # start another ready session for each that is taken
    egress: Egress = "enabled"  # as in the tutorial's template
    isolation: Isolation = "auto"
    call_timeout_seconds: float = 220.0  # the service's limit for one Python execution
    memory_mib: int | None = None  # None: 8192 or 3/4 of this machine; 0: no limit
    max_processes: int = 512  # per session; 0: no limit
    interpreter: Interpreter = "light"
    launch_tools: LaunchTools = "both"
    output_limit: int = 0  # characters of stdout and of stderr in an answer; 0: not cut
    retry_after_seconds: int | None = None  # Retry-After of a full pool; None: absent
    key_rotation_seconds: float = 0.0  # old key works and new one is refused this long
    max_request_bytes: int = 128 << 20  # the service's limit for an uploaded file
    max_output_bytes: int = 64 << 20  # of each stream of one call; the rest is thrown away
    data_path: str = ""  # where sessions in bubblewrap see their data, too; "": nowhere
    near_files: bool = False  # a folder of this pool's is seen in sessions, for its owner's files
    faults: bool = False
    ends_environments: bool = False  # at the request of who has launched one (mcp.py)
    quirks: Quirks = field(default_factory=Quirks)
    # The control plane, and where in it this pool is seen.
    control_plane: bool = False
    subscription: str = "00000000-0000-0000-0000-000000000000"
    resource_group: str = "local"
    name: str = "local"
    location: str = "eastus"
    operation_seconds: float = 1.0  # how long creating, changing and deleting takes
    token_lifetime_seconds: float = 3600.0
    min_cooldown_seconds: int = 300  # the service's own limit; tests want shorter ones

    def __post_init__(self) -> None:
        if self.control_plane:
            # Not for an embedded pool, which must start quickly and has no names.
            from .controlplane import names

            for name in ("subscription", "resource-group", "name", "location"):
                is_valid = names.fits(name, getattr(self, name.replace("-", "_")))
                _check(is_valid, name, names.RULES[name])
        _check(self.operation_seconds >= 0, "operation-seconds", "0 or more")
        _check(self.token_lifetime_seconds > 0, "token-lifetime-seconds", "more than 0")
        _check(self.min_cooldown_seconds in range(1, 301), "min-cooldown-seconds", "1 to 300")
        _check(self.port in range(65536), "port", "a number from 0 to 65535")
        _check(self.api_key is None or len(self.api_key) >= 8, "api-key", "8 characters or more")
        _check(self.max_concurrent_sessions >= 1, "max-concurrent-sessions", "1 or more")
        _check(self.cooldown_seconds > 0, "cooldown-seconds", "more than 0")
        _check(self.ready_sessions >= 0, "ready-sessions", "0 or more")
        _check(self.call_timeout_seconds > 0, "call-timeout-seconds", "more than 0")
        _check(not self.memory_mib or self.memory_mib >= 64, "memory-mib", "0 (no limit) or >= 64")
        _check(
            not self.max_processes or self.max_processes >= 8,
            "max-processes",
            "0 (no limit) or >= 8",
        )
        _check(self.output_limit >= 0, "output-limit", "0 (no limit) or more")
        _check(self.max_request_bytes >= 1024, "max-request-bytes", "1024 or more")
        _check(self.max_output_bytes >= 1024, "max-output-bytes", "1024 or more")
        for name, choices in _CHOICES.items():
            wanted = "one of " + ", ".join(choices)
            _check(getattr(self, name.replace("-", "_")) in choices, name, wanted)
        if self.interpreter == "ipykernel" and self.quirks.no_ipykernel:
            raise SettingInvalid(
                "The interpreter ipykernel and the quirk no_ipykernel exclude each other: "
                "drop one of them."
            )
        if not self.allow_remote and not is_loopback(self.host):
            raise SettingInvalid(
                f"The host {self.host!r} is reachable from other machines. "
                "Use 127.0.0.1, or add --allow-remote if that is meant."
            )

    @property
    def memory_bytes(self) -> int:
        """The memory limit of one session; 0 means none."""
        if self.memory_mib is not None:
            return self.memory_mib << 20
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return min(8192 << 20, total * 3 // 4)


def _check(is_valid: bool, name: str, wanted: str) -> None:
    if not is_valid:
        raise SettingInvalid(f"The setting {name} must be {wanted}.")


def is_loopback(host: str) -> bool:
    """Tell whether this name or address is reachable from this machine only."""
    parts = host.split(".")
    # All of 127.0.0.0/8, but no name that merely starts so: it may resolve to anything.
    is_127 = len(parts) == 4 and parts[0] == "127" and all(part.isdecimal() for part in parts)
    return is_127 or host in {"localhost", "::1"}


def quirk_names() -> list[str]:
    """Return what `--quirk` accepts."""
    return [item.name for item in dataclasses.fields(Quirks)]


def check_system() -> None:
    """Raises SettingInvalid: this system has no session pools of its own."""
    if sys.platform == "win32":
        raise SettingInvalid(
            "A session pool on this machine needs Linux or macOS. On Windows, use a pool in Azure "
            "(`aca-kernel pool create`, then `aca-kernel install --resource-group GROUP --pool "
            "NAME`), or run Jupyter and this kernel in WSL."
        )


def make_quirks(names: list[str]) -> Quirks:
    """Return the quirks with these names switched on; hyphens count as underscores.

    Raises SettingInvalid: there is no quirk of that name.
    """
    chosen = {}
    for given in names:
        name = given.replace("-", "_")
        if name not in quirk_names():
            known = ", ".join(quirk_names())
            raise SettingInvalid(f"There is no quirk {given!r}. Choose from: {known}.")
        chosen[name] = True
    return Quirks(**chosen)


def from_mapping(values: dict[str, Any]) -> PoolOptions:
    """Make options from a JSON object whose keys are the field names.

    `quirks` is a list of names. Raises SettingInvalid: unknown key or unusable value.
    """
    known = {item.name: item.type for item in dataclasses.fields(PoolOptions)}
    for key, value in values.items():
        if key not in known:
            raise SettingInvalid(f"There is no pool setting {key!r}.")
        kind, _, optional = str(known[key]).partition(" | ")
        types = _JSON_TYPES.get(kind, (str,))
        is_right = isinstance(value, types) and (kind == "bool" or not isinstance(value, bool))
        if not is_right and not (optional and value is None):
            raise SettingInvalid(f"The pool setting {key!r} must be of type {known[key]}.")
    return PoolOptions(**{**values, "quirks": make_quirks(values.get("quirks", []))})
