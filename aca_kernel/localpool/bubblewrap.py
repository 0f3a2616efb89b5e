"""The bubblewrap command line of a session: what the sandbox sees, and as whom.

Source: bwrap(1), 0.4 or newer; "observed" notes were made with 0.8.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from . import etc

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

USER = "ubuntu"  # as in the service's image
HOME = "/home/ubuntu"
DATA = "/mnt/data"
HOSTNAME = "session"
UID = 1000

_SYSTEM = ("/bin", "/lib", "/lib32", "/lib64", "/libx32", "/sbin")


def write_etc(directory: str, *, has_network: bool) -> None:
    """Write the files of /etc that are the sandbox's own."""
    os.makedirs(directory)
    hosts = f"127.0.0.1 localhost {HOSTNAME}\n::1 localhost ip6-localhost\n"
    if has_network:  # names that only this machine knows
        with contextlib.suppress(OSError), open("/etc/hosts", encoding="utf-8") as file:
            hosts += file.read()
    files = {
        "passwd": f"root:x:0:0:root:/root:/bin/sh\n{USER}:x:{UID}:{UID}::{HOME}:/bin/sh\n"
        "nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n",
        "group": f"root:x:0:\n{USER}:x:{UID}:\nnogroup:x:65534:\n",
        "hosts": hosts,
        "hostname": HOSTNAME + "\n",
    }
    for name, text in files.items():
        with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
            file.write(text)


def arguments(
    program: str,
    *,
    session: str,
    own_etc: str,
    visible: Iterable[str],
    mounted: Mapping[str, str],
    has_network: bool,
    data_path: str = "",
) -> list[str]:
    """Return the command line up to the program to run.

    session: the directory with `data`, `tmp` and `home`. own_etc: see `write_etc`.
    visible: paths shown read-only where they are. mounted: path inside -> path here,
    also read-only. data_path: where `data` is seen, too, unless something else is there.
    """
    visible = list(visible)
    argv = [program, "--die-with-parent", "--new-session", "--unshare-user"]
    argv += ["--uid", str(UID), "--gid", str(UID), "--unshare-pid", "--unshare-ipc"]
    argv += ["--unshare-uts", "--hostname", HOSTNAME]
    # Root's bwrap would keep capabilities. With our supervisor as process 1 the end of
    # that process is the end of all, and nothing inside can kill it.
    argv += ["--cap-drop", "ALL", "--as-pid-1"]
    if not has_network:
        argv.append("--unshare-net")
    argv += _system()
    for name in os.listdir(own_etc):
        argv += ["--ro-bind", os.path.join(own_etc, name), "/etc/" + name]
    if os.path.isdir("/sys/devices/system"):  # numbers of processors and memory nodes
        argv += ["--ro-bind", "/sys/devices/system", "/sys/devices/system"]
    argv += ["--proc", "/proc", "--dev", "/dev", "--dir", "/run", "--dir", "/var"]
    argv += ["--bind", os.path.join(session, "tmp"), "/tmp"]  # noqa: S108  inside the sandbox
    argv += ["--symlink", "../tmp", "/var/tmp"]  # noqa: S108
    argv += ["--bind", os.path.join(session, "home"), HOME]
    argv += ["--bind", os.path.join(session, "data"), DATA]
    if _is_free(data_path, [*visible, *mounted]):
        argv += ["--bind", os.path.join(session, "data"), data_path]
    for path in visible:
        if not is_system(path):
            argv += ["--ro-bind", path, path]
    for inside, here in mounted.items():
        argv += ["--ro-bind", here, inside]
    return [*argv, "--remount-ro", "/", "--chdir", DATA, "--"]


def _system() -> list[str]:
    """Return the mounts of programs, libraries and the shown parts of /etc."""
    argv = ["--ro-bind", "/usr", "/usr"]
    for path in _SYSTEM:
        if os.path.islink(path):
            argv += ["--symlink", os.readlink(path), path]
        elif os.path.isdir(path):
            argv += ["--ro-bind", path, path]
    for path, name in etc.shown():
        argv += ["--ro-bind", path, "/etc/" + name]
        for secret, is_folder in etc.hidden(path, name):
            # A device there cannot be opened: permission denied, as for anybody else.
            cover = ["--tmpfs"] if is_folder else ["--ro-bind", os.devnull]
            argv += [*cover, "/etc/" + secret]
    return argv


def _is_free(path: str, others: Iterable[str]) -> bool:
    """Tell whether a directory can be made that neither hides nor holds what is there."""
    if not path or os.path.normpath(path) != path or is_system(path):
        return False
    own = ["/proc", "/dev", "/run", "/var", "/sys", "/etc", DATA]
    holds_home = path == HOME or HOME.startswith(path + "/")
    return (
        path.count("/") > 1
        and not holds_home
        and not any(
            one == path or one.startswith(path + "/") or path.startswith(one + "/")
            for one in [*own, *others]
        )
    )


def is_system(path: str) -> bool:
    """Tell whether every session sees this path, as a part of the system."""
    return (
        path.startswith(("/usr/", "/etc/ssl/certs/"))
        or path == "/usr"
        or any(path == system or path.startswith(system + "/") for system in _SYSTEM)
    )
