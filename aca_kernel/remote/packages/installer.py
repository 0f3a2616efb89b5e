"""Installation by uv or pip, in a process of its own.

uv is taken where the environment has it, or where there is enough to install that it is worth
fetching, else pip; where uv fails, pip has the last word, because
its settings may name an index that uv does not know of. What they say is read for progress and for
the decisive line of a failure. The address of an index goes by variables of their process only,
and what looks like a credential is taken out of all that they say.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import select
import signal
import site
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from . import distributions, uv_binary
from .unmet import unmet, without_hashes

# What takes longer says so, and then at this interval what it is doing.
QUIET_SECONDS = 2.0
_TOLD_SECONDS = 5.0

# Output is read, and the end looked for, at least so often.
_POLL_SECONDS = 0.1

# An index that does not answer is asked once more at the most, and not for minutes.
_TIMEOUT_SECONDS = 15

# So much of the output is kept for the decisive line.
_MOST_LINES = 400

_ENDING_SECONDS = 2.0

# So many requirements are worth fetching uv for, a wheel of some 20 MB: less is sooner done by pip.
_WORTH_UV = 3

# uv's words for what pip's variables say, where nothing is said to uv itself.
_UV_VARIABLES = {
    "PIP_INDEX_URL": "UV_DEFAULT_INDEX",
    "PIP_EXTRA_INDEX_URL": "UV_INDEX",
    "PIP_FIND_LINKS": "UV_FIND_LINKS",
    "PIP_CERT": "SSL_CERT_FILE",
    "PIP_TRUSTED_HOST": "UV_INSECURE_HOST",
}

_PIP = [sys.executable, "-m", "pip", "install", "--no-input", "--no-color"]
_PIP += ["--progress-bar", "off", "--disable-pip-version-check"]
# pip would look through all that is installed, for a warning that nobody reads.
_PIP += ["--no-warn-conflicts"]
_PIP += ["--retries", "1", "--timeout", str(_TIMEOUT_SECONDS)]

_VARIABLE = re.compile(r"\$\{(\w+)\}")
_CREDENTIALS = re.compile(r"(?<=://)[^/\s@\"]*@")
_STEP = re.compile(
    r"\s*(Collecting|Downloading|Downloaded|Building|Preparing|Installing|Using cached)\b.*"
)
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

_UNREACHABLE = (
    "Failed to establish a new connection",
    "NameResolutionError",
    "Temporary failure in name resolution",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "client error (Connect)",
    "Network is unreachable",
)


class InstallFailed(Exception):
    """A failure; the text is the decisive line. is_unreachable: no index answers."""

    def __init__(self, line: str, *, is_unreachable: bool = False) -> None:
        super().__init__(line)
        self.is_unreachable = is_unreachable


class Installer:
    """Installs into the Python that runs this.

    index_url: of the setting `packages_index_url`; `${NAME}` in it is a variable of this process.
    most_seconds: the time limit of one installation.
    """

    def __init__(self, index_url: str, most_seconds: float) -> None:
        self._index_url = index_url
        self.most_seconds = most_seconds
        self._is_uv_to_be_had = True

    def install(
        self,
        requirements: Sequence[str],
        constraints: Sequence[str] = (),
        *,
        indexes: Sequence[str] = (),
        is_exact: bool = False,
        target: str = "",
        deadline: float | None = None,
        tell: Callable[[str], None],
    ) -> str:
        """Install; return the name of what did it.

        Raises InstallFailed, and KeyboardInterrupt when all has ended.

        is_exact: the requirements are all that there is to install. target: a folder to install
        into. tell: shows a sentence of progress.
        """
        deadline = time.monotonic() + self.most_seconds if deadline is None else deadline
        variables, secrets = self._variables(indexes)
        with _folder_of_its_own() as folder:
            wanted = ["--no-deps"] if is_exact else []
            wanted += ["--target", target] if target else []
            wanted += ["-r", _write(folder, "requirements.txt", requirements)]
            hashed = list(wanted)
            if constraints:
                hashed += ["-c", _write(folder, "hashed.txt", constraints)]
                plain = map(without_hashes, constraints)
                wanted += ["-c", _write(folder, "constraints.txt", plain)]
            run = _Run(variables, secrets, deadline, self.most_seconds, tell)
            uv = uv_binary.find()
            if not uv and len(requirements) >= _WORTH_UV:
                uv = self._fetch_uv(run)
            if uv and self._by_uv(run, uv, folder, hashed, requirements, constraints, is_exact):
                return "uv"
            run.do([*_PIP, *wanted])
        _find_what_came()
        return "pip"

    def _fetch_uv(self, run: _Run) -> str:
        """Have pip fetch uv from the index; return its path, empty if that has none."""
        if not self._is_uv_to_be_had:
            return ""
        self._is_uv_to_be_had = False
        try:
            into = ["--target", uv_binary.make_folder()]
            run.do([*_PIP, *into, "--no-deps", "--only-binary", ":all:", "uv"])
        except OSError:
            return ""
        except InstallFailed as error:
            if error.is_unreachable or time.monotonic() > run.deadline:
                raise  # pip would wait as long for the packages themselves
            return ""
        return uv_binary.find()

    def _by_uv(
        self,
        run: _Run,
        uv: str,
        folder: str,
        wanted: list[str],
        requirements: Sequence[str],
        constraints: Sequence[str],
        is_exact: bool,
    ) -> bool:
        """Install by uv; tell whether everything is there now."""
        options = ["--python", sys.executable, "--no-progress", "--color", "never"]
        elsewhere = [] if is_exact else _elsewhere()
        if elsewhere:
            # uv looks into one folder and would install again what lies in others.
            left = {distributions.normalized(name_of(one)) for one in unmet(requirements)}
            names = [name for name in elsewhere if name not in left]
            options += ["--excludes", _write(folder, "excludes.txt", names)]
        before = distributions.find()
        try:
            run.do([uv, "pip", "install", *options, *wanted])
        except InstallFailed as error:
            # pip, which is given no hashes, must not install what the lock does not have.
            if time.monotonic() > run.deadline or "Hash mismatch" in str(error):
                raise
            return False
        _forget_compiled(before)
        _find_what_came()
        return not elsewhere or not unmet(requirements, constraints)

    def _variables(self, indexes: Sequence[str]) -> tuple[dict[str, str], list[str]]:
        """Return the variables of the process, and what is not to be shown.

        Raises InstallFailed for an index whose variable is missing: it would refuse its guest.
        """
        variables = dict(os.environ)
        secrets: list[str] = []

        def value(match: re.Match[str]) -> str:
            found = os.environ.get(match[1])
            if found is None:
                raise InstallFailed(
                    f"the address of an index names the variable {match[1]}, which cells do not "
                    "have (pass it on with the setting `environment`)"
                )
            secrets.append(found)
            return found

        if self._index_url:
            url = _VARIABLE.sub(value, self._index_url)
            variables["PIP_INDEX_URL"] = variables["UV_DEFAULT_INDEX"] = url
        if indexes:
            urls = [_VARIABLE.sub(value, one) for one in indexes]
            further = " ".join([variables.get("PIP_EXTRA_INDEX_URL", ""), *urls]).strip()
            variables["PIP_EXTRA_INDEX_URL"] = variables["UV_INDEX"] = further
        for theirs, uvs in _UV_VARIABLES.items():
            if variables.get(theirs):
                variables.setdefault(uvs, variables[theirs])
        variables.setdefault("UV_HTTP_RETRIES", "1")
        variables.setdefault("UV_HTTP_TIMEOUT", str(_TIMEOUT_SECONDS))
        variables.setdefault("UV_PYTHON_DOWNLOADS", "never")
        # Links into a cache on another file system are tried in vain, which uv warns of.
        variables.setdefault("UV_LINK_MODE", "copy")
        return variables, [one for one in secrets if one]


class _Run:
    """Runs programs, one after the other, until a deadline."""

    def __init__(
        self,
        variables: dict[str, str],
        secrets: list[str],
        deadline: float,
        most_seconds: float,
        tell: Callable[[str], None],
    ) -> None:
        self.deadline = deadline
        self._variables = variables
        self._secrets = secrets
        self._most_seconds = most_seconds
        self._tell = tell
        self._tell_at = time.monotonic() + QUIET_SECONDS

    def do(self, command: list[str]) -> None:
        """Run a program to its end. Raises InstallFailed, KeyboardInterrupt."""
        lines: list[str] = []
        try:
            # A process group of its own: it gets no interrupt beside this process.
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=self._variables,
                start_new_session=True,
            )
        except OSError as error:
            raise InstallFailed(f"{os.path.basename(command[0])}: {error.strerror}") from error
        with process:
            try:
                for line in self._lines(process):
                    lines.append(self._clean(line))
                    del lines[:-_MOST_LINES]
                    self._report(lines)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_ENDING_SECONDS)
            finally:
                _end(process)
        if process.returncode:
            is_unreachable = any(word in line for line in lines for word in _UNREACHABLE)
            raise InstallFailed(decisive_line(lines), is_unreachable=is_unreachable)

    def _lines(self, process: subprocess.Popen[bytes]) -> Iterator[str]:
        """Yield lines as they come; empty ones in between, for progress."""
        stream = process.stdout
        if stream is None:
            return
        poll = select.poll()
        poll.register(stream, select.POLLIN)
        buffered = b""
        while True:
            if time.monotonic() > self.deadline:
                raise InstallFailed(f"it takes longer than {self._most_seconds:.0f} s")
            if not poll.poll(int(_POLL_SECONDS * 1000)):
                yield ""
                continue
            data = os.read(stream.fileno(), 65536)
            *lines, buffered = (buffered + data).split(b"\n")
            for line in lines if data else [*lines, buffered]:
                yield line.decode("utf-8", "replace")
            if not data:
                return

    def _clean(self, line: str) -> str:
        line = without_credentials(_ESCAPE.sub("", line))
        for secret in self._secrets:
            line = line.replace(secret, "***")
        return line.rstrip()

    def _report(self, lines: list[str]) -> None:
        now = time.monotonic()
        if now < self._tell_at:
            return
        self._tell_at = now + _TOLD_SECONDS
        steps = [one for one in lines if _STEP.fullmatch(one)]
        self._tell(_step(steps[-1]) if steps else "")


def without_credentials(text: str) -> str:
    """Return a text without users and passwords in addresses."""
    return _CREDENTIALS.sub("", text)


def _step(line: str) -> str:
    """Return what is being done, without the place that a file comes from."""
    words = [word.rpartition("/")[2] if "://" in word else word for word in line.split()]
    return " ".join(words)[:200]


def decisive_line(lines: Iterable[str]) -> str:
    """Return the line of pip's, or of uv's, output that says why it failed."""
    lines = [line.strip() for line in lines if line.strip()]
    for number, line in enumerate(lines):
        if line == "[end of output]" and number:
            # A build has failed: its last line, and what it was.
            what = next((one for one in reversed(lines[:number]) if one.startswith("\u00d7 ")), "")
            return f"{what[2:].rstrip('.')}: {lines[number - 1]}".lstrip(": ")[:300]
    if any("No module named pip" in line for line in lines):
        return "there is no pip in the environment"
    errors = [line[7:] for line in lines if line.startswith("ERROR: ")]
    errors = [one for one in errors if not one.startswith(("ResolutionImpossible", "pip's"))]
    if errors:
        return errors[-1][:300]
    for line in lines:
        if line.startswith("error: "):
            causes = [one[7:] for one in lines if one.startswith("cause: ")]
            return ": ".join([line[7:], *causes[:1]])[:300]
    return lines[-1][:300] if lines else "it does not say why"


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a program with its children, if it has not ended."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_ENDING_SECONDS)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Let an interrupt end what blocks, also where a cell awaits and it would only be noted."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _folder_of_its_own() -> Iterator[str]:
    """Yield a new folder, removed in the end. Raises InstallFailed: it cannot be written."""
    try:
        with tempfile.TemporaryDirectory(prefix="aca-packages-") as folder:
            yield folder
    except OSError as error:
        why = error.strerror or "no folder for temporary files"
        raise InstallFailed(f"the environment cannot write temporary files: {why}") from error


def _elsewhere() -> list[str]:
    """Return names of the packages that lie where installers for this Python do not look."""
    own = {os.path.realpath(sysconfig.get_path(name)) for name in ("purelib", "platlib")}
    return [
        name
        for name, one in distributions.find().items()
        if os.path.realpath(os.path.dirname(one.folder)) not in own
    ]


def _forget_compiled(before: dict[str, distributions.Distribution]) -> None:
    """Remove what Python has compiled of packages that uv has replaced; pip compiles anew.

    Python would take it for that of a new file of the same size and the same second.
    """
    for name, one in distributions.find().items():
        if name not in before or before[name] == one:
            continue
        for file in one.files():
            if file.endswith(".py"):
                path = os.path.join(os.path.dirname(one.folder), file)
                with contextlib.suppress(OSError):
                    os.unlink(importlib.util.cache_from_source(path))


def _find_what_came() -> None:
    importlib.invalidate_caches()
    # pip may have gone there, and nobody has looked there if it was missing at the start.
    user = site.getusersitepackages() if site.ENABLE_USER_SITE else ""
    if user and os.path.isdir(user) and user not in sys.path:
        sys.path.append(user)


def name_of(requirement: str) -> str:
    """Return the name at the head of a requirement, as it is written there."""
    found = re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)", requirement)
    return found[1] if found else requirement


def _write(folder: str, name: str, lines: Iterable[str]) -> str:
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)
    return path
