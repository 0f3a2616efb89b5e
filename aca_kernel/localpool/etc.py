"""The parts of the machine's /etc that a sandbox shows: what programs need, and nothing secret.

Inside, the pool's own user owns what it owns here, root's files if root serves the pool. Not shown
are therefore also files that not everybody may read here.
"""

from __future__ import annotations

import os
import stat
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Name resolution, certificates, time zone, libraries, fonts.
# Not among them: ssl/private, ssh, shadow, sudoers, NetworkManager, and what holds passwords for
# programs: fstab, maven, mysql, odbc.ini, pip.conf, profile.d, wgetrc.
_SYSTEM = (
    "alternatives",
    "ca-certificates",
    "crypto-policies",
    "fonts",
    "gai.conf",
    "host.conf",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "locale.alias",
    "localtime",
    "mime.types",
    "networks",
    "nsswitch.conf",
    "os-release",
    "pki/ca-trust",
    "pki/tls/certs",
    "pki/tls/cert.pem",
    "pki/tls/openssl.cnf",
    "protocols",
    "resolv.conf",
    "rpc",
    "services",
    "shells",
    "ssl/certs",
    "ssl/openssl.cnf",
    "terminfo",
    "timezone",
)

# Of installed packages, which do not start without them or behave otherwise.
_PACKAGES = (
    "ImageMagick-*",
    "OpenCL",
    "R",
    "X11",
    "bash.bashrc",
    "chromium",
    "chromium.d",
    "debian_version",
    "egl",
    "firefox",
    "firefox-esr",
    "gdb",
    "ghostscript",
    "glvnd",
    "groff",
    "gtk-*",
    "inputrc",
    "java",
    "java-*",
    "julia",
    "libreoffice",
    "lsb-release",
    "magic",
    "magic.mime",
    "manpath.config",
    "octave.conf",
    "odbcinst.ini",
    "openmpi",
    "papersize",
    "perl",
    "python3",
    "python3.*",
    "redhat-release",
    "sgml",
    "texmf",
    "vulkan",
    "xml",
)


def shown(etc: Path = Path("/etc")) -> Iterator[tuple[str, str]]:
    """Yield what is shown: its path here, links resolved, and below /etc, folders first."""
    names = sorted(os.listdir(etc))
    packages = [name for name in names if any(fnmatch(name, one) for one in _PACKAGES)]
    for name in sorted({*_SYSTEM, *packages}):
        path = etc / name
        # Often a link into /run (resolv.conf) or /usr: what it means.
        if path.exists() and _is_public(os.stat(path)):
            yield os.path.realpath(path), name


def hidden(path: str, name: str) -> Iterator[tuple[str, bool]]:
    """Yield what is secret in a folder that is shown: its path below /etc; whether it is a folder.

    path, name: as `shown` yields them.
    """
    for folder, folders, files in os.walk(path):
        inside = os.path.normpath(os.path.join(name, os.path.relpath(folder, path)))
        for one in [*folders, *files]:
            try:
                found = os.lstat(os.path.join(folder, one))
            except OSError:  # removed meanwhile
                continue
            if not stat.S_ISLNK(found.st_mode) and not _is_public(found):
                is_folder = stat.S_ISDIR(found.st_mode)
                yield os.path.join(inside, one), is_folder
                if is_folder:
                    folders.remove(one)


def _is_public(found: os.stat_result) -> bool:
    needed = 0o005 if stat.S_ISDIR(found.st_mode) else 0o004
    return found.st_mode & needed == needed
