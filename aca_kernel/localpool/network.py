"""What a session with egress inherits for reaching the network: proxies, CAs, pip.

Credentials stay outside: user names and passwords are cut out of every address, so
a host that asks for them refuses the session instead of being asked elsewhere.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass, field

from .python_environment import is_too_wide

_PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "FTP_PROXY")
_CA_VARIABLES = (
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "GIT_SSL_CAINFO",
)
# Options of `pip install` that say where packages come from and how to reach them.
_PIP_OPTIONS = (
    "index-url",
    "extra-index-url",
    "find-links",
    "no-index",
    "trusted-host",
    "cert",
    "proxy",
    "timeout",
    "default-timeout",
    "retries",
    "prefer-binary",
    "only-binary",
    "no-binary",
)
# Up to the last @ of an address, with or without a scheme before it.
_CREDENTIALS = re.compile(r"(?:(?<=://)|(?<!\S))[^/\s]*@")


@dataclass
class NetworkSettings:
    """Variables for the session and local files or directories they refer to."""

    variables: dict[str, str] = field(default_factory=dict)
    visible: list[str] = field(default_factory=list)


def collect(environ: dict[str, str]) -> NetworkSettings:
    """Gather the settings of this user on this machine, without credentials."""
    found = NetworkSettings()
    for name in _PROXY_VARIABLES:
        for spelling in (name, name.lower()):
            if environ.get(spelling):
                found.variables[spelling] = _without_credentials(environ[spelling])
    for name in _CA_VARIABLES:
        if environ.get(name):
            found.variables[name] = environ[name]
            found.visible += _existing(environ[name].split(os.pathsep))
    for option, value in _pip_options(environ).items():
        name = "PIP_" + option.upper().replace("-", "_")
        # A variable holds on one line what a file may spread over several.
        found.variables[name] = _without_credentials(" ".join(value.split()))
        words = [word.removeprefix("file://") for word in value.split()]
        found.visible += _existing(words)
    return found


def _without_credentials(text: str) -> str:
    return _CREDENTIALS.sub("", text)


def _existing(paths: list[str]) -> list[str]:
    """Return those that exist; of a local index also what its pages link to."""
    found = []
    for path in paths:
        if os.path.isabs(path) and os.path.exists(path):
            # A "simple" index lies beside the files that its pages point to.
            is_index = os.path.basename(path.rstrip("/")) == "simple"
            shown = os.path.dirname(path.rstrip("/")) if is_index else path
            if not is_too_wide(shown):
                found.append(shown)
    return found


def _pip_options(environ: dict[str, str]) -> dict[str, str]:
    """Return pip's settings in the order of precedence that pip documents."""
    options: dict[str, str] = {}
    files = _pip_files(environ)
    if files:
        import configparser  # 3 ms of a start, for those who have such files
    for path in files:
        parser = configparser.RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (OSError, configparser.Error, UnicodeDecodeError):
            continue  # pip itself would stop here; a session is better off without
        for section in ("global", "install"):
            if parser.has_section(section):
                options.update(parser.items(section))
    for name, value in environ.items():
        if name.startswith("PIP_"):
            options[name[4:].lower().replace("_", "-")] = value
    return {name: options[name] for name in _PIP_OPTIONS if options.get(name)}


def _pip_files(environ: dict[str, str]) -> list[str]:
    config_file = environ.get("PIP_CONFIG_FILE")
    if config_file == os.devnull:
        return []
    home = os.path.expanduser("~")
    config_home = environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
    files = [os.path.join(path, "pip", "pip.conf") for path in _config_directories(environ)]
    files += [
        "/etc/pip.conf",
        os.path.join(home, ".pip", "pip.conf"),
        os.path.join(config_home, "pip", "pip.conf"),
        os.path.join(sys.prefix, "pip.conf"),
    ]
    if config_file:
        files.append(config_file)
    return [path for path in files if os.path.isfile(path)]


def _config_directories(environ: dict[str, str]) -> list[str]:
    given = environ.get("XDG_CONFIG_DIRS") or "/etc/xdg"
    return [path for path in given.split(os.pathsep) if path]
