"""Every answer of Resource Manager becomes the right error, a repetition, or a result."""

from __future__ import annotations

import asyncio
import email.utils
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from aca_kernel import errors
from aca_kernel.pool.azure import arm as arm_module
from aca_kernel.pool.azure import long_running
from aca_kernel.pool.azure.arm import Arm, ArmAnswer
from aca_kernel.pool.azure.clouds import cloud_at
from aca_kernel.pool.azure.credentials import Tokens
from aca_kernel.pool.azure.pools import SessionPools
from aca_kernel.pool.azure.resource_names import pool_id

from ...certificates import self_signed_certificate
from .support import SUBSCRIPTION, CannedArm, canned_arm, clean, identity, local_cloud, with_arm

PATH = pool_id(SUBSCRIPTION, "rg", "west").path
GROUP_PATH = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg"


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with canned_arm() as address:
        clean(monkeypatch, identity(address))
        # Their length is no part of what is tested here.
        monkeypatch.setattr(arm_module, "_FIRST_PAUSE_SECONDS", 0.01)
        monkeypatch.setattr(long_running, "_FIRST_POLL_SECONDS", 0.01)
        yield address


def request(url: str, method: str = "GET", path: str = PATH, **options: Any) -> ArmAnswer:
    async def once(arm: Arm) -> ArmAnswer:
        return await arm.request(method, path, "2025-02-02-preview", **options)

    return asyncio.run(with_arm(local_cloud(url), once))


def refused(status: int, code: str, message: str = "A reason.", **headers: str) -> tuple:
    return status, headers, {"error": {"code": code, "message": message}}


def test_a_request_carries_token_and_version(url: str) -> None:
    CannedArm.answers = [(200, {}, {"name": "west"})]
    assert request(url).body == {"name": "west"}
    (seen,) = CannedArm.seen
    assert seen == ("GET", f"{PATH}?api-version=2025-02-02-preview", "Bearer token-1")


@pytest.mark.parametrize(
    ("answer", "path", "expected", "words"),
    [
        (refused(401, "InvalidAuthenticationToken"), PATH, errors.AccessDenied, "az login"),
        (
            refused(403, "AuthorizationFailed"),
            PATH,
            errors.AccessDenied,
            "'Container Apps SessionPools Contributor' on resource group rg",
        ),
        (
            refused(403, "AuthorizationFailed"),
            GROUP_PATH,
            errors.AccessDenied,
            f"'Contributor' on subscription {SUBSCRIPTION}",
        ),
        ((403, {}, b"Forbidden"), PATH, errors.AccessDenied, "SessionPools Contributor"),
        (refused(404, "ResourceNotFound"), PATH, errors.PoolNotFound, "session pool west"),
        (refused(404, "ResourceGroupNotFound"), PATH, errors.PoolNotFound, "no resource group rg"),
        (refused(404, "SubscriptionNotFound"), PATH, errors.PoolNotFound, "az account list"),
        ((404, {}, b""), GROUP_PATH, errors.PoolNotFound, "no resource group rg"),
        (
            refused(409, "MissingSubscriptionRegistration"),
            PATH,
            errors.AzureRefused,
            "az provider register --namespace Microsoft.App",
        ),
        (
            refused(400, "SessionMCPServerNotEnabled"),
            PATH,
            errors.PoolNotFound,
            "only be switched on when",
        ),
        (refused(409, "QuotaExceeded"), PATH, errors.AzureRefused, "A quota"),
        (
            refused(400, "BadRequest", "The maximum number of session pools is 20."),
            PATH,
            errors.AzureRefused,
            "A quota",
        ),
        (
            refused(403, "RequestDisallowedByPolicy", "Policy 'x' forbids it."),
            PATH,
            errors.AzureRefused,
            "Policy 'x' forbids it.",
        ),
        (
            refused(400, "LocationNotAvailableForResourceType", "No 'mars' here."),
            PATH,
            errors.AzureRefused,
            "No 'mars' here.",
        ),
        ((400, {}, {"error": "odd"}), PATH, errors.AzureRefused, "no reason"),
        ((400, {}, []), PATH, errors.AzureRefused, "no reason"),
        (refused(429, "Throttled"), PATH, errors.PoolBusy, "no more requests"),
        (refused(503, "ServiceUnavailable"), PATH, errors.PoolUnreachable, "HTTP 503"),
        (
            (302, {"location": "https://login.example"}, b""),
            PATH,
            errors.RemoteProtocolError,
            "not Azure",
        ),
        (
            (200, {}, b"<html>Log in to the network</html>"),
            PATH,
            errors.RemoteProtocolError,
            "not Azure",
        ),
        ((200, {}, []), PATH, errors.RemoteProtocolError, "not Azure"),
    ],
)
def test_every_refusal_has_its_leaf_and_its_remedy(
    url: str, answer: Any, path: str, expected: type[errors.AcaKernelError], words: str
) -> None:
    CannedArm.answers = [answer]
    with pytest.raises(expected) as caught:
        request(url, path=path)
    assert type(caught.value) is expected
    assert words in caught.value.message
    assert caught.value.message.endswith(".")
    assert "token-" not in caught.value.message + caught.value.detail


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_passes_by_itself_is_repeated(url: str, status: int) -> None:
    CannedArm.answers = [refused(status, "Passing", **{"retry-after": "0"})] * 2 + [(200, {}, {})]
    assert request(url).status == 200
    assert len(CannedArm.seen) == 3


def test_a_rotation_is_not_repeated(url: str) -> None:
    CannedArm.answers = [refused(503, "ServiceUnavailable"), (200, {}, {})]
    with pytest.raises(errors.ResultUnknown):
        request(url, "POST", is_repeatable=False)
    assert len(CannedArm.seen) == 1


def test_a_refused_token_is_asked_for_anew_once(url: str) -> None:
    CannedArm.answers = [refused(401, "ExpiredAuthenticationToken"), (200, {}, {})]
    assert request(url).status == 200
    assert [token for _, _, token in CannedArm.seen] == ["Bearer token-1", "Bearer token-2"]


def test_a_throttle_longer_than_patience_is_told(url: str) -> None:
    CannedArm.answers = [refused(429, "Throttled", **{"retry-after": "3600"})]
    with pytest.raises(errors.PoolBusy) as caught:
        request(url)
    assert caught.value.retry_after_seconds == 3600
    assert len(CannedArm.seen) == 1


def test_retry_after_may_be_a_date() -> None:
    date = email.utils.formatdate(time.time() + 30, usegmt=True)
    seconds = arm_module.retry_after({"retry-after": date})
    assert seconds is not None
    assert 25 < seconds <= 30
    assert arm_module.retry_after({"retry-after": "soon"}) is None
    assert arm_module.retry_after({}) is None


def test_nobody_there_is_one_sentence(url: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(errors.PoolUnreachable, match="ACA_ARM_ENDPOINT"):
        request(f"http://127.0.0.1:{port}")


@pytest.mark.parametrize("header", ["azure-asyncoperation", "location"])
def test_a_token_is_sent_to_no_other_address(url: str, header: str) -> None:
    CannedArm.answers = [(202, {header: "http://127.0.0.1:9/steal"}, {})]
    with pytest.raises(errors.RemoteProtocolError, match="another address"):
        delete(url)


def test_a_port_that_is_the_usual_one_makes_no_other_address() -> None:
    cloud = cloud_at("https://management.azure.com")
    arm = Arm(cloud, Tokens(cloud))
    for url in ("https://management.azure.com:443/x", "https://MANAGEMENT.azure.com/x"):
        assert arm._own(url) == url
    for url in ("http://management.azure.com/x", "https://management.azure.com:444/x", "/x"):
        with pytest.raises(errors.RemoteProtocolError):
            arm._own(url)


def test_the_pages_of_a_list_are_put_together(url: str) -> None:
    CannedArm.answers = [
        (200, {}, {"value": [{"name": "a"}], "nextLink": f"{url}/more?page=2"}),
        (200, {}, {"value": [{"name": "b"}]}),
    ]

    async def all_pages(arm: Arm) -> list:
        return await arm.get_all(PATH, "2025-02-02-preview")

    found = asyncio.run(with_arm(local_cloud(url), all_pages))
    assert [one["name"] for one in found] == ["a", "b"]


# -- asynchronous operations ---------------------------------------------------------


def delete(url: str, **options: Any) -> list[str]:
    """Delete a pool; return what was told meanwhile."""
    told: list[str] = []

    async def once(arm: Arm) -> None:
        pool = pool_id(SUBSCRIPTION, "rg", "west")
        await SessionPools(arm).delete(pool)

    def progress(what: str, _waited: float) -> None:
        told.append(what)

    asyncio.run(with_arm(local_cloud(url), once, progress=progress, **options))
    return told


def test_a_status_is_followed_to_its_end(url: str) -> None:
    CannedArm.answers = [
        (202, {"azure-asyncoperation": f"{url}/status"}, {}),
        (200, {}, {"status": "InProgress"}),
        (200, {"retry-after": "0"}, {"status": "Deleting"}),
        (200, {}, {"status": "Succeeded"}),
    ]
    assert delete(url)[0] == "Deleting the session pool west"
    assert [path for _, path, _ in CannedArm.seen[1:]] == ["/status"] * 3


def test_a_location_is_followed_until_it_is_no_longer_202(url: str) -> None:
    CannedArm.answers = [
        (202, {"location": f"{url}/result"}, {}),
        (202, {"retry-after": "0"}, {}),
        (200, {}, b""),
    ]
    delete(url)
    assert len(CannedArm.seen) == 3


def test_what_is_done_at_once_is_not_asked_about(url: str) -> None:
    CannedArm.answers = [(204, {}, b"")]
    delete(url)
    assert len(CannedArm.seen) == 1


@pytest.mark.parametrize("state", ["Failed", "Canceled"])
def test_a_failed_operation_says_why(url: str, state: str) -> None:
    CannedArm.answers = [
        (202, {"azure-asyncoperation": f"{url}/status"}, {}),
        (200, {}, {"status": state, "error": {"code": "Broken", "message": "The disk is full"}}),
    ]
    with pytest.raises(errors.AzureRefused) as caught:
        delete(url)
    assert "Deleting the session pool west failed in Azure (Broken): The disk is full." in str(
        caught.value
    )


def test_an_operation_is_left_alone_when_it_takes_too_long(url: str) -> None:
    CannedArm.answers = [
        (202, {"azure-asyncoperation": f"{url}/status"}, {}),
        (200, {}, {"status": "InProgress"}),
    ]
    with pytest.raises(errors.PoolBusy, match="aca-kernel pool show"):
        delete(url, operation_timeout_seconds=0.2)


# -- certificates and proxies --------------------------------------------------------


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_a_private_authority_is_trusted_by_the_usual_variables(
    tmp_path: Any, url: str, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    certificate = self_signed_certificate(tmp_path)
    with canned_arm(certificate) as secure:
        CannedArm.answers = [(200, {}, {"name": "west"})]
        with pytest.raises(errors.SettingInvalid, match="SSL_CERT_FILE"):
            request(secure)
        monkeypatch.setenv(variable, certificate)
        assert request(secure).body == {"name": "west"}
        monkeypatch.setenv(variable, str(tmp_path / "none"))
        with pytest.raises(errors.SettingInvalid, match=variable):
            request(secure)


def test_the_proxy_of_the_environment_is_used_and_no_proxy_respected(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def refuse_once() -> None:
            connection, _ = server.accept()
            with connection:
                asked.append(connection.recv(4096))
                connection.sendall(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")

        def refuse() -> None:
            while True:
                try:
                    refuse_once()
                except OSError:
                    return

        thread = threading.Thread(target=refuse)
        thread.start()
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{server.getsockname()[1]}")
        try:
            with pytest.raises(errors.PoolUnreachable, match="NO_PROXY"):
                request("https://arm.invalid")
            assert asked[0].startswith(b"CONNECT arm.invalid:443")
            asked.clear()
            monkeypatch.setenv("NO_PROXY", "arm.invalid")
            with pytest.raises(errors.PoolUnreachable, match="cannot be reached"):
                request("https://arm.invalid")
            # Nor for this machine, which no proxy reaches.
            monkeypatch.delenv("NO_PROXY")
            CannedArm.answers = [(200, {}, {})]
            assert request(url).status == 200
            assert asked == []
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_a_cloud_without_a_login_sends_nothing(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clean(monkeypatch, {"AZURE_TOKEN_CREDENTIALS": "AzureCliCredential", "PATH": "/nonexistent"})

    async def once(arm: Arm) -> None:
        await arm.request("GET", PATH, "2025-02-02-preview")

    with pytest.raises(errors.CredentialUnavailable):
        asyncio.run(with_arm(cloud_at(url), once))
    assert CannedArm.seen == []
