"""Environments that outlive their kernel, so that the next kernel need not take a new place.

A pool has few places, an environment holds one until its cooldown has passed, and nothing
ends it earlier. So every kernel lists its environment in a small file below Jupyter's
runtime directory, and holds a lock on that file for as long as it lives. A file without a
lock is an environment without a kernel: left by one that has shut down, or that was killed.
The next kernel of the same user and pool takes it over by taking the lock, and starts afresh
in it (remote/agent.py, `retire`).

The lock is the operating system's, so that it cannot outlive its holder. The files hold no
key: who has the id alone can do nothing with it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from jupyter_core.paths import jupyter_runtime_dir

# An environment that has so little time left is not worth a try.
_LEAST_SECONDS = 3.0

# No environment has been warm for so long without a call.
_FORGOTTEN_SECONDS = 24 * 3600.0

# The file's time is the environment's last use; setting it more often changes nothing.
_TOUCH_SECONDS = 1.0


@dataclass
class Claim:
    """This kernel's hold on one environment; ends with `release`, or with the process.

    nonce: of the generation that ran in it last, "" if there was none.
    """

    environment_id: str
    owner: str
    path: Path
    descriptor: int
    nonce: str = ""
    _touched: float = 0.0

    def touch(self) -> None:
        """The environment has just been used."""
        now = time.monotonic()
        if now - self._touched >= _TOUCH_SECONDS and self.descriptor >= 0:
            self._touched = now
            with contextlib.suppress(OSError):  # somebody has emptied the directory
                os.utime(self.path)

    def begin(self, nonce: str) -> None:
        """A generation begins in it; the next kernel must be able to end its processes."""
        self.nonce = nonce
        with contextlib.suppress(OSError):  # the disk is full: then it is not handed over
            self.write()

    def write(self) -> None:
        """Write down what another kernel has to know."""
        content = {"environment_id": self.environment_id, "owner": self.owner, "nonce": self.nonce}
        os.truncate(self.descriptor, 0)
        os.pwrite(self.descriptor, json.dumps(content).encode("ascii"), 0)

    def release(self, *, keep: bool) -> None:
        """Let go of it; keep: the environment lives, and another kernel may have it."""
        if self.descriptor < 0:
            return
        if not keep:
            with contextlib.suppress(OSError):
                self.path.unlink()
        os.close(self.descriptor)
        self.descriptor = -1


class WarmEnvironments:
    """The environments that this user's kernels have, or had, in one pool.

    owner: told apart from other kernels by it, the same before and after a restart.
    is_shared: whether to take over what other kernels have left.
    """

    def __init__(self, endpoint: str, owner: str, *, is_shared: bool, log: logging.Logger) -> None:
        self._directory = Path(jupyter_runtime_dir()) / "aca-kernel" / _digest(endpoint)
        self._owner = _digest(owner)
        self._is_shared = is_shared
        self._log = log

    def take(self, cooldown_seconds: float) -> Iterator[Claim]:
        """Yield claims on environments that nobody has, likeliest to be alive first.

        Whoever gets one releases it. What has cooled down is removed from the list.
        """
        for path in self._candidates():
            claim = self._lock(path)
            if claim is None:
                continue
            left = cooldown_seconds - (time.time() - _used_at(path))
            if left < _LEAST_SECONDS:
                claim.release(keep=False)
            else:
                yield claim

    def add(self, environment_id: str) -> Claim | None:
        """List a new environment and claim it; None where that is not possible."""
        path = self._directory / f"{_digest(environment_id)}.json"
        self._sweep()
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            self._log.info("environments cannot be handed over: %s", error.strerror)
            return None
        claim = Claim(environment_id, self._owner, path, descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            claim.write()
        except OSError as error:  # a file system without locks, or a full one
            os.close(descriptor)
            self._log.info("environments cannot be handed over: %s", error.strerror)
            return None
        return claim

    def _sweep(self) -> None:
        """Remove what was listed for pools that nobody uses any more."""
        long_ago = time.time() - _FORGOTTEN_SECONDS
        for path in self._directory.parent.glob("*/*.json"):
            if _used_at(path) < long_ago:
                with contextlib.suppress(OSError):
                    path.unlink()

    def _candidates(self) -> list[Path]:
        try:
            paths = list(self._directory.glob("*.json"))
        except OSError:
            return []
        # This kernel's own from before a restart, then what was used last.
        return sorted(paths, key=lambda path: (self._is_ours(path), _used_at(path)), reverse=True)

    def _is_ours(self, path: Path) -> bool:
        return _read(path).get("owner") == self._owner

    def _lock(self, path: Path) -> Claim | None:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Between opening and locking, another kernel may have taken and removed it.
            is_same = os.fstat(descriptor).st_ino == os.stat(path).st_ino
        except OSError:
            is_same = False
        content = _read(path) if is_same else {}
        environment_id, nonce = content.get("environment_id"), content.get("nonce")
        may_have = self._is_shared or content.get("owner") == self._owner
        if not isinstance(environment_id, str) or not may_have:
            os.close(descriptor)
            return None
        claim = Claim(environment_id, self._owner, path, descriptor)
        # It will stand in a shell command.
        claim.nonce = nonce if isinstance(nonce, str) and nonce.isalnum() else ""
        # From now on it is this kernel's, also for the time after a restart.
        with contextlib.suppress(OSError):
            used_at = os.fstat(descriptor).st_mtime
            claim.write()
            os.utime(path, (used_at, used_at))
        return claim


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def _used_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _read(path: Path) -> dict[str, object]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
