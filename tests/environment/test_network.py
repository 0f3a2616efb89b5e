"""Cells go on through a network that fails; none is lost and none runs twice."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest

from ..certificates import make_certificates, self_signed_certificate
from ..far_line import Line
from ..proxy import Proxy, running_proxy
from ..support import AT_ONCE, Client, Pool, running_kernel, running_pool

# The way to a pool on this machine, and the way to others.
BOTH = pytest.mark.parametrize("scheme", ["http", "https"], scope="module")
HTTP = pytest.mark.parametrize("scheme", ["http"], scope="module")
HTTPS = pytest.mark.parametrize("scheme", ["https"], scope="module")


@dataclass
class Way:
    """A kernel whose pool is behind a proxy."""

    kernel: Client
    proxy: Proxy
    pool: Pool

    def begin_anew(self) -> None:
        """Have the kernel forget what it has told of the pool, which it repeats after a minute."""
        assert self.kernel.run("%aca restart").error is None
        self.pool.expire()

    def mend(self) -> None:
        """End what the proxy and the pool were told, and a cell that runs on."""
        self.proxy.behave()
        self.pool.clear_faults()
        try:
            self.kernel.run("1", timeout=AT_ONCE)
        except queue.Empty:
            self.kernel.restart(now=True)


@contextmanager
def running_way(scheme: str, factory: pytest.TempPathFactory, *arguments: str) -> Iterator[Way]:
    certificate = self_signed_certificate(factory.mktemp("tls")) if scheme == "https" else None
    with running_pool() as pool, running_proxy(pool.endpoint, certificate) as proxy:
        env = env_through(proxy.endpoint, pool) | trusting(certificate)
        with running_kernel(env, arguments=arguments) as kernel:
            yield Way(kernel, proxy, pool)


@pytest.fixture(scope="module")
def shared_way(scheme: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Way]:
    with running_way(scheme, tmp_path_factory) as way:
        yield way


@pytest.fixture
def way(shared_way: Way) -> Iterator[Way]:
    yield shared_way
    shared_way.mend()


@pytest.fixture(scope="module")
def shared_impatient_way(scheme: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Way]:
    short = "--AcaKernel.reconnect_timeout_seconds=1"
    with running_way(scheme, tmp_path_factory, short) as way:
        yield way


@pytest.fixture
def impatient_way(shared_impatient_way: Way) -> Iterator[Way]:
    """One whose kernel tries for a second only."""
    yield shared_impatient_way
    shared_impatient_way.mend()


def env_through(proxy_endpoint: str, pool: Pool) -> dict[str, str]:
    return {**pool.env, "ACA_MCP_ENDPOINT": proxy_endpoint}


def trusting(certificate: str | None) -> dict[str, str]:
    return {"SSL_CERT_FILE": certificate} if certificate else {}


def count(kernel: Client, times: int) -> None:
    kernel.run("counter = 0")
    for n in range(1, times + 1):
        assert kernel.run("counter += 1\nprint(counter)").text == f"{n}\n"


@HTTPS
def test_a_pool_that_cannot_be_reached_for_half_a_minute_costs_no_cell(way: Way) -> None:
    way.begin_anew()
    count(way.kernel, 2)
    running = way.kernel.send(
        "import time\nfor n in range(10):\n    print(n, flush=True)\n    time.sleep(1)\n"
        "counter += 1"
    )
    way.kernel.wait_for_stream(running, "1")
    way.proxy.refuse()
    threading.Timer(30, way.proxy.accept_again).start()
    cell = way.kernel.collect(running, timeout=90)
    assert cell.status == "ok"
    assert cell.text.split() == [str(n) for n in range(2, 10)]
    # One quiet sentence, not one a second.
    assert cell.said.count("cannot be reached") == 1
    assert way.kernel.run("counter").result == "3"


@HTTP
def test_a_cell_submitted_while_the_pool_is_away_runs_once_when_it_is_back(way: Way) -> None:
    count(way.kernel, 1)
    way.proxy.refuse()
    threading.Timer(4, way.proxy.accept_again).start()
    assert way.kernel.run("counter += 1\nprint(counter)").text == "2\n"


@HTTP
def test_what_was_reported_as_failed_does_not_run_later(impatient_way: Way) -> None:
    count(impatient_way.kernel, 1)
    impatient_way.kernel.run("1")  # the connection is idle and whole
    impatient_way.proxy.refuse()
    error = impatient_way.kernel.run("counter += 100").error
    assert error is not None
    assert error["ename"] in ("PoolUnreachable", "ResultUnknown")
    impatient_way.proxy.accept_again()
    # The same environment: what it knew is still there.
    assert impatient_way.kernel.run("counter").result == "1"


@pytest.mark.parametrize(("last", "result"), [("swallowed", "1"), ("passed", "101")])
@BOTH
def test_what_may_have_run_says_so_and_does_not_run_later(
    impatient_way: Way, last: str, result: str
) -> None:
    count(impatient_way.kernel, 1)
    impatient_way.proxy.last_request = last
    error = impatient_way.kernel.run("counter += 100").error
    assert error is not None
    assert error["ename"] == "ResultUnknown"
    assert "This may have run, or be running still" in error["evalue"]
    impatient_way.proxy.accept_again()
    assert impatient_way.kernel.run("counter").result == result
    assert impatient_way.kernel.run("counter += 1\ncounter").result == str(int(result) + 1)


@HTTP
def test_output_that_piled_up_comes_no_faster_than_a_server_lets_it_pass(way: Way) -> None:
    """Jupyter Server drops more than 3 MB of text or 3,000 messages in three seconds."""
    way.kernel.run("import time")
    running = way.kernel.send(
        "print('started', flush=True)\n"
        "for n in range(80):\n    print(n, 'x' * 80_000, flush=True)\n    time.sleep(0.1)"
    )
    way.kernel.wait_for_stream(running, "started")
    way.proxy.refuse()
    threading.Timer(6, way.proxy.accept_again).start()
    cell = way.kernel.collect(running, timeout=60)
    assert cell.text.count("\n") == 80
    sizes = [
        (arrival, len(message["content"]["text"]))
        for message, arrival in zip(cell.messages, cell.arrivals, strict=True)
        if message["msg_type"] == "stream"
    ]
    for start, _ in sizes:
        assert sum(size for at, size in sizes if start <= at < start + 2.9) < 3_000_000


@BOTH
def test_connections_that_are_reset_in_the_middle_of_an_answer(way: Way) -> None:
    way.kernel.run("counter = 0")
    for n in range(1, 11):
        way.proxy.resets_left = 1
        assert way.kernel.run("counter += 1\nprint(counter)").text == f"{n}\n"


@BOTH
def test_answers_that_drip(way: Way) -> None:
    way.proxy.drip_bytes = 100
    count(way.kernel, 5)
    assert len(way.kernel.run("print('x' * 100_000)").text) == 100_001


@HTTP
def test_an_interrupt_is_felt_while_the_pool_answers_slowly(way: Way) -> None:
    way.kernel.run("import time")
    way.pool.fault(kind="delay", seconds=0.5, every=1)
    running = way.kernel.send("print('started', flush=True)\ntime.sleep(60)")
    way.kernel.wait_for_stream(running, "started")
    way.kernel.interrupt()
    assert way.kernel.collect(running, timeout=15).status == "error"


@BOTH
def test_an_interrupt_ends_the_wait_of_a_cell_that_has_not_been_sent(way: Way) -> None:
    way.begin_anew()
    count(way.kernel, 1)
    way.proxy.refuse()
    cells = [way.kernel.send("counter += 1"), way.kernel.send("counter += 1")]
    way.kernel.wait_for_stream(cells[0], "cannot be reached")
    way.kernel.interrupt()
    for cell in cells:
        error = way.kernel.collect(cell, timeout=15).error
        assert error is not None
        assert error["ename"] == "KeyboardInterrupt"
    way.proxy.accept_again()
    assert way.kernel.run("counter").result == "1"


@HTTP
def test_an_interrupt_of_a_cell_that_cannot_be_reached_is_promised_and_kept(way: Way) -> None:
    way.begin_anew()
    running = way.kernel.send("import time\nprint('started', flush=True)\ntime.sleep(600)")
    way.kernel.wait_for_stream(running, "started")
    way.proxy.refuse()
    way.kernel.wait_for_stream(running, "cannot be reached")
    way.kernel.interrupt()
    way.kernel.wait_for_stream(running, "interrupted as soon as the pool answers")
    way.proxy.accept_again()
    error = way.kernel.collect(running, timeout=30).error
    assert error is not None
    assert error["ename"] == "KeyboardInterrupt"
    assert way.kernel.run("6 * 7").result == "42"


@dataclass
class Far:
    """A kernel whose pool is at the end of a line of 80 ms."""

    line: Line
    kernel: Client


@pytest.fixture(scope="module")
def far(scheme: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Far]:
    authority, certificate = make_certificates(str(tmp_path_factory.mktemp("tls")))
    is_secure = scheme == "https"
    with running_pool() as pool:
        line = Line(urlsplit(pool.endpoint).port or 0, certificate if is_secure else "")
        line.delay = 0.04
        env = env_through(line.endpoint, pool) | trusting(authority if is_secure else None)
        with running_kernel(env) as kernel:
            yield Far(line, kernel)
        line.close()


@BOTH
def test_connections_that_are_lost_without_a_word_are_noticed_in_seconds(
    far: Far,
) -> None:
    """A window of 20 s and what an answer may be late would be waited for otherwise."""
    far.kernel.run("import time\ncounter = 0")
    # What asks for a call must be lost with it: within a second its connections are there, too.
    code = "time.sleep(1)\nprint('started', flush=True)\ntime.sleep(3)\ncounter += 1"
    for n in range(1, 3):
        running = far.kernel.send(f"{code}\nprint(counter)")
        far.kernel.wait_for_stream(running, "started")
        far.line.swallow()
        assert far.kernel.collect(running, timeout=18).text.endswith(f"{n}\n")
    # While nothing is pending, nobody can notice.
    far.kernel.run("time.sleep(1)")
    far.line.swallow()
    running = far.kernel.send("counter += 1\nprint(counter)")
    assert far.kernel.collect(running, timeout=18).text == "3\n"


@BOTH
def test_an_idle_kernel_says_nothing_over_its_connections(far: Far) -> None:
    far.kernel.run("import time; time.sleep(1)")
    far.kernel.run("1")
    with far.line.watch() as traffic:
        time.sleep(6)  # nothing tells of what does not come
    assert not traffic.calls
    assert not traffic.opened
    with far.line.watch() as traffic:
        far.kernel.run("1")
    assert [call.handshakes for call in traffic.calls] == [0]
