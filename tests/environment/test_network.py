"""Cells go on through a network that fails; none is lost and none runs twice."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from ..certificates import self_signed_certificate
from ..far_line import Line, make_certificates
from ..proxy import running_proxy
from ..support import Client, Pool, running_kernel


def env_through(proxy_endpoint: str, pool: Pool) -> dict[str, str]:
    return {**pool.env, "ACA_MCP_ENDPOINT": proxy_endpoint}


@pytest.fixture(params=["http", "https"])
def certificate(request: pytest.FixtureRequest, tmp_path: Path) -> str | None:
    """No certificate, for the way to a pool on this machine; one, for the way to others."""
    return self_signed_certificate(tmp_path) if request.param == "https" else None


def trusting(certificate: str | None) -> dict[str, str]:
    return {"SSL_CERT_FILE": certificate} if certificate else {}


def count(kernel: Client, times: int) -> None:
    kernel.run("counter = 0")
    for n in range(1, times + 1):
        assert kernel.run("counter += 1\nprint(counter)").text == f"{n}\n"


def test_a_pool_that_cannot_be_reached_for_half_a_minute_costs_no_cell(
    pool: Pool, tmp_path: Path
) -> None:
    certificate = self_signed_certificate(tmp_path)
    with (
        running_proxy(pool.endpoint, certificate) as proxy,
        running_kernel(env_through(proxy.endpoint, pool) | trusting(certificate)) as kernel,
    ):
        count(kernel, 2)
        running = kernel.send(
            "import time\nfor n in range(10):\n    print(n, flush=True)\n    time.sleep(1)\n"
            "counter += 1"
        )
        kernel.wait_for_stream(running, "1")
        proxy.refuse()
        threading.Timer(30, proxy.accept_again).start()
        cell = kernel.collect(running, timeout=90)
        assert cell.status == "ok"
        assert cell.text.split() == [str(n) for n in range(2, 10)]
        # One quiet sentence, not one a second.
        assert cell.said.count("cannot be reached") == 1
        assert kernel.run("counter").result == "3"


def test_a_cell_submitted_while_the_pool_is_away_runs_once_when_it_is_back(pool: Pool) -> None:
    with (
        running_proxy(pool.endpoint) as proxy,
        running_kernel(env_through(proxy.endpoint, pool)) as kernel,
    ):
        count(kernel, 1)
        proxy.refuse()
        threading.Timer(4, proxy.accept_again).start()
        assert kernel.run("counter += 1\nprint(counter)").text == "2\n"


def test_what_was_reported_as_failed_does_not_run_later(pool: Pool) -> None:
    short = ("--AcaKernel.reconnect_timeout_seconds=1",)
    with (
        running_proxy(pool.endpoint) as proxy,
        running_kernel(env_through(proxy.endpoint, pool), arguments=short) as kernel,
    ):
        count(kernel, 1)
        kernel.run("1")  # the connection is idle and whole
        proxy.refuse()
        error = kernel.run("counter += 100").error
        assert error is not None
        assert error["ename"] in ("PoolUnreachable", "ResultUnknown")
        proxy.accept_again()
        # The same environment: what it knew is still there.
        assert kernel.run("counter").result == "1"


@pytest.mark.parametrize(("last", "result"), [("swallowed", "1"), ("passed", "101")])
def test_what_may_have_run_says_so_and_does_not_run_later(
    pool: Pool, certificate: str | None, last: str, result: str
) -> None:
    short = ("--AcaKernel.reconnect_timeout_seconds=1",)
    with (
        running_proxy(pool.endpoint, certificate) as proxy,
        running_kernel(
            env_through(proxy.endpoint, pool) | trusting(certificate), arguments=short
        ) as kernel,
    ):
        count(kernel, 1)
        proxy.last_request = last
        error = kernel.run("counter += 100").error
        assert error is not None
        assert error["ename"] == "ResultUnknown"
        assert "This may have run, or be running still" in error["evalue"]
        proxy.accept_again()
        assert kernel.run("counter").result == result
        assert kernel.run("counter += 1\ncounter").result == str(int(result) + 1)


def test_output_that_piled_up_comes_no_faster_than_a_server_lets_it_pass(pool: Pool) -> None:
    """Jupyter Server drops more than 3 MB of text or 3,000 messages in three seconds."""
    with (
        running_proxy(pool.endpoint) as proxy,
        running_kernel(env_through(proxy.endpoint, pool)) as kernel,
    ):
        kernel.run("import time")
        running = kernel.send(
            "print('started', flush=True)\n"
            "for n in range(80):\n    print(n, 'x' * 80_000, flush=True)\n    time.sleep(0.1)"
        )
        kernel.wait_for_stream(running, "started")
        proxy.refuse()
        threading.Timer(6, proxy.accept_again).start()
        cell = kernel.collect(running, timeout=60)
        assert cell.text.count("\n") == 80
        sizes = [
            (arrival, len(message["content"]["text"]))
            for message, arrival in zip(cell.messages, cell.arrivals, strict=True)
            if message["msg_type"] == "stream"
        ]
        for start, _ in sizes:
            assert sum(size for at, size in sizes if start <= at < start + 2.9) < 3_000_000


def test_connections_that_are_reset_in_the_middle_of_an_answer(
    pool: Pool, certificate: str | None
) -> None:
    with (
        running_proxy(pool.endpoint, certificate) as proxy,
        running_kernel(env_through(proxy.endpoint, pool) | trusting(certificate)) as kernel,
    ):
        kernel.run("counter = 0")
        for n in range(1, 11):
            proxy.resets_left = 1
            assert kernel.run("counter += 1\nprint(counter)").text == f"{n}\n"


def test_answers_that_drip(pool: Pool, certificate: str | None) -> None:
    with (
        running_proxy(pool.endpoint, certificate) as proxy,
        running_kernel(env_through(proxy.endpoint, pool) | trusting(certificate)) as kernel,
    ):
        proxy.drip_bytes = 100
        count(kernel, 5)
        assert len(kernel.run("print('x' * 100_000)").text) == 100_001


def test_an_interrupt_is_felt_while_the_pool_answers_slowly(pool: Pool) -> None:
    with running_kernel(pool.env) as kernel:
        kernel.run("import time")
        pool.fault(kind="delay", seconds=0.5, every=1)
        running = kernel.send("print('started', flush=True)\ntime.sleep(60)")
        kernel.wait_for_stream(running, "started")
        kernel.interrupt()
        assert kernel.collect(running, timeout=15).status == "error"


def test_an_interrupt_ends_the_wait_of_a_cell_that_has_not_been_sent(
    pool: Pool, certificate: str | None
) -> None:
    with (
        running_proxy(pool.endpoint, certificate) as proxy,
        running_kernel(env_through(proxy.endpoint, pool) | trusting(certificate)) as kernel,
    ):
        count(kernel, 1)
        proxy.refuse()
        cells = [kernel.send("counter += 1"), kernel.send("counter += 1")]
        kernel.wait_for_stream(cells[0], "cannot be reached")
        kernel.interrupt()
        for cell in cells:
            error = kernel.collect(cell, timeout=15).error
            assert error is not None
            assert error["ename"] == "KeyboardInterrupt"
        proxy.accept_again()
        assert kernel.run("counter").result == "1"


def test_an_interrupt_of_a_cell_that_cannot_be_reached_is_promised_and_kept(pool: Pool) -> None:
    with (
        running_proxy(pool.endpoint) as proxy,
        running_kernel(env_through(proxy.endpoint, pool)) as kernel,
    ):
        running = kernel.send("import time\nprint('started', flush=True)\ntime.sleep(600)")
        kernel.wait_for_stream(running, "started")
        proxy.refuse()
        kernel.wait_for_stream(running, "cannot be reached")
        kernel.interrupt()
        kernel.wait_for_stream(running, "interrupted as soon as the pool answers")
        proxy.accept_again()
        error = kernel.collect(running, timeout=30).error
        assert error is not None
        assert error["ename"] == "KeyboardInterrupt"
        assert kernel.run("6 * 7").result == "42"


@dataclass
class Far:
    """A pool at the end of a line of 80 ms. env: of a kernel."""

    line: Line
    env: dict[str, str]


@pytest.fixture(params=["http", "https"])
def far(request: pytest.FixtureRequest, pool: Pool, tmp_path: Path) -> Iterator[Far]:
    authority, certificate = make_certificates(str(tmp_path))
    is_secure = request.param == "https"
    line = Line(urlsplit(pool.endpoint).port or 0, certificate if is_secure else "")
    line.delay = 0.04
    yield Far(line, env_through(line.endpoint, pool) | trusting(authority if is_secure else None))
    line.close()


def test_connections_that_are_lost_without_a_word_are_noticed_in_seconds(
    far: Far,
) -> None:
    """A window of 20 s and what an answer may be late would be waited for otherwise."""
    with running_kernel(far.env) as kernel:
        kernel.run("import time\ncounter = 0")
        for n in range(1, 3):
            running = kernel.send(
                "print('started', flush=True)\ntime.sleep(3)\ncounter += 1\nprint(counter)"
            )
            kernel.wait_for_stream(running, "started")
            far.line.swallow()
            assert kernel.collect(running, timeout=18).text.endswith(f"{n}\n")
        # While nothing is pending, nobody can notice.
        far.line.swallow()
        running = kernel.send("counter += 1\nprint(counter)")
        assert kernel.collect(running, timeout=18).text == "3\n"


def test_an_idle_kernel_says_nothing_over_its_connections(far: Far) -> None:
    with running_kernel(far.env) as kernel:
        kernel.run("import time; time.sleep(1)")
        kernel.run("1")
        with far.line.watch() as traffic:
            time.sleep(6)  # nothing tells of what does not come
        assert not traffic.calls
        assert not traffic.opened
        with far.line.watch() as traffic:
            kernel.run("1")
        assert [call.handshakes for call in traffic.calls] == [0]
