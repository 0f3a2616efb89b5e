"""The package's rooms: who imports whom, and names that mean one thing."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

import aca_kernel

PACKAGE = Path(aca_kernel.__file__).parent

# Left never imports right, and rooms on one floor do not import each other.
FLOORS = (
    ("__init__", "errors", "settings", "system"),
    ("remote",),
    ("messaging", "pool", "localpool", "packages"),
    ("environment",),
    ("checkpoint",),
    ("host",),
    ("kernel",),
    ("app",),
    ("batch",),
    ("cli",),
    ("__main__",),
)

# Rooms that must be complete in themselves: they import these rooms and modules at the most.
ALONE = {"remote": set(), "localpool": {"__init__", "errors", "remote.large_json"}}

# Two modules of one name are two ends of the same thing, or what a room is called by.
SAME_NAMES = {
    "__init__": "packages",
    "__main__": "programs",
    "checkpoint": "the halves on the user's machine and in the environment",
    "notebook_files": "the halves on the user's machine and in the environment",
    "transfer": "the halves on the user's machine and in the environment",
    "write_back": "the halves on the user's machine and in the environment",
    "packages": "the halves on the user's machine and in the environment",
    "shell": "the halves on the user's machine and in the environment",
    "environment": "the room, and its main value",
}

# Classes of one name that are the same thing, on two systems.
SAME_CLASSES = {"Parent": ["system.on_posix", "system.on_windows"]}

# Where what runs on one system only may stand: session pools are for Linux and macOS.
OF_ONE_SYSTEM = ("remote", "localpool", "system")

# What Windows lacks or means otherwise; mypy finds the rest (tests/windows/mypy.ini).
POSIX_ONLY = {
    "os": {
        "O_CLOEXEC",
        "O_DIRECTORY",
        "O_NOFOLLOW",
        "O_NONBLOCK",
        "fork",
        "getgid",
        "getuid",
        "kill",
        "killpg",
        "pread",
        "pwrite",
        "statvfs",
    },
    "signal": {"SIGHUP", "SIGKILL", "SIGPIPE", "SIGUSR1", "SIGUSR2", "pthread_sigmask"},
    "asyncio": {"run", "create_subprocess_exec", "create_subprocess_shell"},
    "loop": {"add_signal_handler"},
}


def modules() -> dict[str, Path]:
    """Return the path of each module by its dotted name below the package."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = list(path.relative_to(PACKAGE).with_suffix("").parts)
        if parts[-1] == "__init__" and len(parts) > 1:
            parts.pop()
        found[".".join(parts)] = path
    return found


def imports_of(name: str, path: Path, known: dict[str, Path]) -> Iterator[str]:
    """Yield what a module imports of the package, also in functions and for types only."""
    is_package = path.name == "__init__.py"
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            bases = [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                here = ["aca_kernel", *(name.split(".") if name != "__init__" else [])]
                depth = len(here) - node.level + is_package - (name == "__init__")
                base = ".".join([*here[:depth], *([node.module] if node.module else [])])
            bases = [(base, alias.name) for alias in node.names]
        else:
            continue
        for base, member in bases:
            top, _, below = base.partition(".")
            if top != "aca_kernel":
                continue
            inner = f"{below}.{member}".strip(".")
            yield inner if inner in known else below or "__init__"


@pytest.fixture(scope="module")
def arrows() -> dict[str, set[str]]:
    known = modules()
    found = {name: set(imports_of(name, path, known)) for name, path in known.items()}
    assert {one for ends in found.values() for one in ends} <= set(known)
    return found


def room_of(module: str) -> str:
    return module.partition(".")[0]


def test_every_module_lies_on_a_floor(arrows: dict[str, set[str]]) -> None:
    assert {room_of(name) for name in arrows} == {room for floor in FLOORS for room in floor}


def test_imports_go_to_the_left_only(arrows: dict[str, set[str]]) -> None:
    floor = {room: number for number, floor in enumerate(FLOORS) for room in floor}
    wrong = [
        f"{name} imports {other}"
        for name, others in arrows.items()
        for other in others
        if room_of(name) != room_of(other)
        and floor[room_of(other)] >= floor[room_of(name)]
        # The settings and errors of the lowest floor know the version.
        and not (floor[room_of(name)] == 0 and other == "__init__")
    ]
    assert wrong == []


def test_rooms_that_go_elsewhere_are_complete(arrows: dict[str, set[str]]) -> None:
    wrong = [
        f"{name} imports {other}"
        for name, others in arrows.items()
        if room_of(name) in ALONE
        for other in others
        if not {other, room_of(other)} & (ALONE[room_of(name)] | {room_of(name)})
    ]
    assert wrong == []


def test_no_imports_go_in_a_circle(arrows: dict[str, set[str]]) -> None:
    """Leave out what imports nothing that is left, until nothing is left."""
    left = {name: set(others) for name, others in arrows.items()}
    while free := [name for name, others in left.items() if not others & left.keys() - {name}]:
        for name in free:
            del left[name]
    assert sorted(left) == []


def test_two_modules_of_one_name_are_the_same_thing() -> None:
    places = defaultdict(list)
    for name in modules():
        # A command of `aca-kernel` is called as its users write it.
        if room_of(name) != "cli" or name.count(".") == 0 or "doctor" in name:
            places[name.rpartition(".")[2]].append(name)
    twice = {last: names for last, names in places.items() if len(names) > 1}
    assert {last: names for last, names in twice.items() if last not in SAME_NAMES} == {}


def test_no_two_classes_share_a_name() -> None:
    places = defaultdict(list)
    for name, path in modules().items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(name)
    twice = {one: sorted(names) for one, names in places.items() if len(names) > 1}
    assert twice == SAME_CLASSES


def test_what_one_system_lacks_stands_in_the_room_for_it() -> None:
    wrong = [
        f"{name}: {node.value.id}.{node.attr}"
        for name, path in modules().items()
        if room_of(name) not in OF_ONE_SYSTEM
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        if node.attr in POSIX_ONLY.get(node.value.id, ())
    ]
    assert wrong == []


def test_each_room_says_what_lies_above_and_below() -> None:
    for floor in FLOORS[1:-1]:
        for room in floor:
            if room == "app":
                continue
            text = ast.get_docstring(
                ast.parse((PACKAGE / room / "__init__.py").read_text(encoding="utf-8"))
            )
            assert text is not None
            assert "Above: " in text, room
            assert "Below: " in text, room


# What the core is made of has no clock, no task and no descriptor of its own.
SANS_IO = (
    "environment.exchange",
    "kernel.commands",
    "kernel.core",
    "kernel.delivery",
    "kernel.ending",
    "kernel.events",
    "kernel.exchange_loop",
    "kernel.idle_polls",
    "kernel.interrupt",
    "kernel.lifecycle",
    "kernel.outputs",
    "kernel.plain_mode",
    "kernel.pool_trouble",
    "kernel.recovery",
    "kernel.send_queue",
    "kernel.shared",
    "kernel.usage",
    "messaging.early_status",
    "messaging.outgoing",
    "messaging.publisher",
    "messaging.rate_limit",
    "messaging.request_state",
    "messaging.requests",
)


@pytest.mark.parametrize("name", SANS_IO)
def test_the_core_does_no_input_or_output(name: str) -> None:
    imported = set()
    for node in ast.walk(ast.parse(modules()[name].read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            imported.add((node.module or "").partition(".")[0])
        assert not isinstance(node, (ast.AsyncFunctionDef, ast.Await))
    assert not imported & {"asyncio", "os", "socket", "subprocess", "threading", "time", "zmq"}


def test_the_kernel_hands_out_no_callbacks() -> None:
    wrong = [
        name
        for name, path in modules().items()
        if room_of(name) == "kernel" and "Callable" in path.read_text(encoding="utf-8")
    ]
    assert wrong == []
