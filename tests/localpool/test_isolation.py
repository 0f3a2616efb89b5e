"""What a session can see and reach, and what it cannot."""

import contextlib
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import zipfile
from pathlib import Path

import httpx
import pytest

import aca_kernel

NOBODY = 65534

pytestmark = pytest.mark.skipif(not shutil.which("bwrap"), reason="bubblewrap is not installed")


def test_the_user_is_another_one_in_namespaces_of_its_own(pool, shell):
    assert pool.info["isolation"] == "bubblewrap"
    assert shell("id -un; id -u; hostname")["stdout"] == "ubuntu\n1000\nsession\n"
    assert len(shell("ps -e | wc -l")["stdout"]) <= 3
    assert "0000000000000000" in shell("grep CapEff /proc/self/status")["stdout"]


def test_only_the_sessions_own_places_are_writable(shell):
    for path in ("/", "/etc", "/usr", "/home", "/mnt", "/opt", sys.prefix):
        assert shell(f"touch {path}/probe")["exitCode"] != 0, path
    assert shell("touch /mnt/data/a /tmp/b /home/ubuntu/c /dev/shm/d /var/tmp/e")["exitCode"] == 0


def test_the_home_and_the_current_directory_are_not_there(start, tmp_path):
    home, project = tmp_path / "home", tmp_path / "home" / "project"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "id_rsa").write_text("secret")
    (home / "library").mkdir()
    (home / "library" / "shared_module.py").write_text("value = 7")
    project.mkdir()
    (project / ".env").write_text("secret")
    package = os.path.dirname(os.path.dirname(os.path.abspath(aca_kernel.__file__)))
    path = f"{home}:{project}:{home}/library:{package}"
    pool = start(env={**os.environ, "HOME": str(home), "PYTHONPATH": path}, cwd=project)
    environment_id = pool.launch()
    # A directory that PYTHONPATH names is shown; the two accidents are not.
    code = "import shared_module\nshared_module.value"
    assert pool.python(environment_id, code)["executionResult"] == 7
    assert pool.shell(environment_id, f"ls -A {home}")["stdout"] == "library\n"
    assert pool.shell(environment_id, f"ls -A {os.path.expanduser('~')}/.ssh")["exitCode"] != 0


def test_files_of_other_sessions_and_of_the_pool_are_not_there(pool, shell):
    assert shell(f"ls {os.path.dirname(pool.directory)}")["exitCode"] != 0
    assert "shadow" not in shell("ls /etc")["stdout"]
    assert "private" not in shell("ls /etc/ssl")["stdout"]


def test_variables_are_few_and_hold_no_credentials(start):
    secrets = {
        "AZURE_CLIENT_SECRET": "hidden-1",
        "ACA_MCP_API_KEY": "hidden-2",
        "HTTPS_PROXY": "http://user:hidden-3@proxy.example:80",
        "PIP_INDEX_URL": "https://user:hidden-4@index.example/simple",
        "PIP_EXTRA_INDEX_URL": "https://token-hidden-5@extra.example/simple",
        "LC_TIME": "C",
        "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
    }
    pool = start(env={**os.environ, **secrets})
    environment_id = pool.launch()
    variables = pool.python(environment_id, "import os\ndict(os.environ)")["executionResult"]
    assert "hidden" not in str(variables)
    assert variables["HTTPS_PROXY"] == "http://proxy.example:80"
    assert variables["PIP_INDEX_URL"] == "https://index.example/simple"
    assert variables["LC_TIME"] == "C"
    assert "MPLBACKEND" not in variables
    # It works on the session's processes and is no variable of theirs.
    assert "GLIBC_TUNABLES" not in variables
    assert "GLIBC" not in pool.shell(environment_id, "env")["stdout"]
    began_with = (
        "b'GLIBC_TUNABLES=glibc.malloc.hugetlb=1' in open('/proc/self/environ', 'rb').read()"
    )
    assert pool.python(environment_id, began_with)["executionResult"] is True
    # Neither can they be read elsewhere.
    everywhere = pool.shell(environment_id, "cat /proc/*/environ /proc/*/cmdline | tr '\\0' '\\n'")
    assert "hidden" not in everywhere["stdout"]


def _listen():
    server = socket.create_server(("127.0.0.1", 0))

    def greet():
        with contextlib.suppress(OSError), server.accept()[0] as connection:
            connection.sendall(b"hello")

    threading.Thread(target=greet, daemon=True).start()
    return server


CONNECT = """
import socket
def reach(host, port):
    try:
        return socket.create_connection((host, port), 2).recv(5).decode()
    except OSError as error:
        return type(error).__name__ + str(error.errno)
"""


def test_without_egress_nothing_is_reached(start):
    pool = start(egress="disabled", env={**os.environ, "HTTPS_PROXY": "http://proxy:1"})
    environment_id = pool.launch()
    pool.python(environment_id, CONNECT)
    with _listen() as server:
        port = server.getsockname()[1]
        code = f"reach('127.0.0.1', {port}), reach('192.0.2.1', 80)"
        refused, unreachable = pool.python(environment_id, code)["executionResult"]
    assert refused == "ConnectionRefusedError111"
    assert unreachable == "OSError101"
    # Its own loopback works: ipykernel and debuggers need it.
    code = """
server = socket.create_server(('127.0.0.1', 0))
import threading
threading.Thread(target=lambda: server.accept()[0].sendall(b'inner')).start()
reach('127.0.0.1', server.getsockname()[1])
"""
    assert pool.python(environment_id, code)["executionResult"] == "inner"
    assert "proxy" not in pool.shell(environment_id, "env")["stdout"].lower()


def test_with_egress_the_machines_network_is_there(pool, environment):
    pool.python(environment, CONNECT)
    with _listen() as server:
        code = f"reach('127.0.0.1', {server.getsockname()[1]})"
        assert pool.python(environment, code)["executionResult"] == "hello"
    assert pool.shell(environment, "cat /etc/resolv.conf")["exitCode"] == 0


def test_packages_of_the_pools_environment_are_there(python):
    answer = python("import sys, httpx, numpy\nhttpx.__file__, sys.version_info[:3]")
    assert answer["executionResult"] == [httpx.__file__, list(sys.version_info[:3])]


def test_installing_packages_works_and_touches_nothing_outside(start, tmp_path):
    source = tmp_path / "wheels"
    source.mkdir()
    _make_wheel(source, "sample_package", "1.0", "value = 42\n")
    _make_wheel(source, "httpx", "999", "value = 43\n")
    environ = {**os.environ, "PIP_FIND_LINKS": str(source), "PIP_NO_INDEX": "1"}
    pool = start(env=environ)
    environment_id = pool.launch()
    answer = pool.python(environment_id, "%pip install sample_package")
    assert "Successfully installed" in answer["stdout"], answer
    assert (
        pool.python(environment_id, "import sample_package as s\ns.value")["executionResult"] == 42
    )
    assert pool.shell(environment_id, "pip uninstall -y sample_package")["exitCode"] == 0
    # What is there already counts as installed, and can be shadowed by another version.
    assert "already satisfied" in pool.shell(environment_id, "pip install httpx")["stdout"]
    assert pool.shell(environment_id, "pip install httpx==999")["exitCode"] == 0
    assert pool.python(environment_id, "import httpx\nhttpx.value")["executionResult"] == 43
    probe = [sys.executable, "-c", "import sample_package"]
    assert subprocess.run(probe, capture_output=True, check=False).returncode != 0


def _make_wheel(directory, name, version, source):
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(directory / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}.py", source)
        wheel.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(
            f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n"
        )


def test_without_a_sandbox_the_pool_says_so_and_works(start, tmp_path):
    # A PATH without bwrap.
    programs = tmp_path / "bin"
    programs.mkdir()
    pool = start(isolation="auto", env={**os.environ, "PATH": str(programs)})
    assert pool.info["isolation"] == "process"
    assert "by process only" in pool.info["notice"]
    environment_id = pool.launch()
    answer = pool.python(environment_id, "import os\nos.getcwd(), os.environ['HOME']")
    directory = os.path.join(pool.directory, "s1")
    assert answer["executionResult"] == [f"{directory}/data", f"{directory}/home"]
    assert pool.shell(environment_id, "pwd")["stdout"] == f"{directory}/data\n"
    pool.close()
    assert not os.path.exists(directory)


@pytest.mark.parametrize("ready_sessions", [0, 1])
def test_a_sandbox_that_does_not_work_is_noticed(start, tmp_path, ready_sessions):
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'bwrap: No permissions' >&2\nexit 1\n")
    broken.chmod(0o755)
    environ = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    pool = start(env=environ, ready_sessions=ready_sessions)
    assert pool.info["isolation"] == "process"
    assert pool.python(pool.launch(), "1")["executionResult"] == 1
    demanded = start(env=environ, ready_sessions=ready_sessions, isolation="bubblewrap")
    assert "does not work here" in demanded.info["error"]
    assert demanded.process.wait(5) == 2


def test_a_demanded_sandbox_that_is_missing_is_one_sentence(start, tmp_path):
    pool = start(isolation="bubblewrap", env={**os.environ, "PATH": str(tmp_path)})
    assert "no bwrap program" in pool.info["error"]


def as_nobody(*paths):
    """A command that runs another as nobody, for whom these paths are there in any case.

    What only its owner may enter, such as root's home with a Python in it, is covered by a
    directory that holds them and nothing else.
    """
    view = ["bwrap", "--dev-bind", "/", "/"]
    covered = set()
    for path in map(Path, paths):
        above = list(reversed(path.parents))
        closed = [folder for folder in above if not folder.stat().st_mode & stat.S_IXOTH]
        if closed:
            if closed[0] not in covered:
                view += ["--tmpfs", closed[0]]
            for folder in above[above.index(closed[0]) + 1 :]:
                if folder not in covered:
                    view += ["--perms", "0755", "--dir", folder]
            view += ["--bind", path, path]
            covered.update(above)
    return [*view, "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become nobody")
def test_an_unprivileged_user_gets_a_sandbox_too(start):
    with tempfile.TemporaryDirectory() as temporary:
        os.chown(temporary, NOBODY, NOBODY)
        package = os.path.dirname(os.path.dirname(os.path.abspath(aca_kernel.__file__)))
        within = as_nobody(sys.prefix, sys.base_prefix, package, temporary)
        environ = {**os.environ, "TMPDIR": temporary, "HOME": "/nonexistent"}
        pool = start(within=within, env=environ, isolation="bubblewrap", max_processes=40)
        environment_id = pool.launch()
        assert pool.python(environment_id, "import os\nos.getuid()")["executionResult"] == 1000
        # No control group is ours here: the limit of processes is the kernel's per-user one.
        answer = pool.shell(environment_id, "for i in $(seq 100); do sleep 5 & done")
        assert answer["exitCode"] != 0
        pool.close()
        assert os.listdir(temporary) == []
