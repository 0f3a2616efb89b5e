"""Who is let in to the control plane: tokens, azure-identity, Host and Origin."""

import base64
import json

import pytest

from aca_kernel.localpool.controlplane.arm_errors import ArmError
from aca_kernel.localpool.controlplane.tokens import CLIENT, TokenIssuer

from ..support import local_http, running_control_plane

SCOPE = "https://management.azure.com/.default"


@pytest.fixture(scope="module")
def arm():
    with running_control_plane() as one:
        yield one


@pytest.fixture
def identity(arm, monkeypatch):
    """The environment of the managed identity, in this process."""
    monkeypatch.setenv("IDENTITY_ENDPOINT", arm.env["IDENTITY_ENDPOINT"])
    monkeypatch.setenv("IDENTITY_HEADER", arm.env["IDENTITY_HEADER"])
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return monkeypatch


def get(arm, authorization, **headers):
    if authorization is not None:
        headers["Authorization"] = authorization
    params = {"api-version": arm.API_VERSION}
    return local_http("GET", arm.url + arm.pool_path(), params=params, headers=headers)


@pytest.mark.parametrize("name", ["ManagedIdentityCredential", "DefaultAzureCredential"])
def test_azure_identity_gets_a_token_that_counts(arm, identity, name):
    import azure.identity

    with getattr(azure.identity, name)() as credential:
        token = credential.get_token(SCOPE)
        assert get(arm, f"Bearer {token.token}").status_code == 200
        # It is kept by the credential: the next one costs no request.
        assert credential.get_token(SCOPE).token == token.token


def test_azure_identity_without_the_endpoint_s_secret_gets_no_token(arm, identity):
    from azure.core.exceptions import ClientAuthenticationError
    from azure.identity import ManagedIdentityCredential

    identity.setenv("IDENTITY_HEADER", "wrong")
    with ManagedIdentityCredential() as credential, pytest.raises(ClientAuthenticationError):
        credential.get_token(SCOPE)


def test_an_expired_token_is_refused_and_renewed(identity, helpers):
    from azure.identity import ManagedIdentityCredential

    with running_control_plane(token_lifetime_seconds=3.0) as arm:
        identity.setenv("IDENTITY_ENDPOINT", arm.env["IDENTITY_ENDPOINT"])
        identity.setenv("IDENTITY_HEADER", arm.env["IDENTITY_HEADER"])
        with ManagedIdentityCredential() as credential:
            token = credential.get_token(SCOPE)
            helpers.wait_until(lambda: get(arm, f"Bearer {token.token}").status_code == 401)
            refused = get(arm, f"Bearer {token.token}")
            assert refused.json()["error"]["code"] == "ExpiredAuthenticationToken"
            assert 'error="invalid_token"' in refused.headers["WWW-Authenticate"]
            renewed = credential.get_token(SCOPE)
            assert renewed.token != token.token
            assert get(arm, f"Bearer {renewed.token}").status_code == 200


def foreign_token():
    parts = ({"alg": "HS256"}, {"aud": "https://management.azure.com", "exp": 9999999999})
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in parts]
    return ".".join([*(part.rstrip("=") for part in encoded), "c2lnbmF0dXJl"])


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        (None, "AuthenticationFailed"),
        ("", "AuthenticationFailed"),
        ("Basic dXNlcjp3b3Jk", "AuthenticationFailedInvalidHeader"),
        ("Bearer", "AuthenticationFailedInvalidHeader"),
        ("Bearer abc", "AuthenticationFailedInvalidHeader"),
        (f"Bearer {foreign_token()}", "InvalidAuthenticationToken"),
        ("Bearer a.b.c", "InvalidAuthenticationToken"),
    ],
)
def test_what_is_not_a_token_of_this_server(arm, authorization, code):
    answer = get(arm, authorization)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, code)
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


def test_a_changed_token_is_refused(arm):
    head, _, signature = arm.token().split(".")
    claims = {"aud": "https://management.azure.com", "exp": 9999999999}
    middle = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    answer = get(arm, f"Bearer {head}.{middle}.{signature}")
    assert answer.json()["error"]["code"] == "InvalidAuthenticationToken"


@pytest.mark.parametrize(
    ("resource", "is_accepted"),
    [
        ("https://management.azure.com", True),
        ("https://management.azure.com/", True),
        ("https://management.core.windows.net/", True),
        ("https://management.usgovcloudapi.net", True),
        ("http://127.0.0.1:1234", True),
        ("https://vault.azure.net", False),
        ("http://example.com", False),
        ("https://management.azure.com.example.com", False),
    ],
)
def test_a_token_is_for_resource_manager(arm, resource, is_accepted):
    answer = get(arm, f"Bearer {arm.token(resource)}")
    if is_accepted:
        assert answer.status_code == 200
    else:
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "InvalidAuthenticationTokenAudience"


GOOD = {"resource": "https://management.azure.com", "api-version": "2019-08-01"}


@pytest.mark.parametrize(
    ("params", "is_named", "status"),
    [
        (GOOD, True, 200),
        ({**GOOD, "client_id": CLIENT}, True, 200),
        (GOOD, False, 401),
        ({"resource": GOOD["resource"]}, True, 400),
        ({**GOOD, "api-version": "2018-02-01"}, True, 400),
        ({"api-version": "2019-08-01"}, True, 400),
        ({**GOOD, "client_id": "another"}, True, 400),
        ({**GOOD, "mi_res_id": "another"}, True, 400),
    ],
)
def test_the_token_endpoint(arm, params, is_named, status):
    headers = {"X-IDENTITY-HEADER": arm.env["IDENTITY_HEADER"] if is_named else "wrong"}
    answer = local_http("GET", arm.env["IDENTITY_ENDPOINT"], params=params, headers=headers)
    assert answer.status_code == status
    if status == 200:
        body = answer.json()
        assert (body["resource"], body["token_type"]) == (GOOD["resource"], "Bearer")
        claims = body["access_token"].split(".")[1]
        decoded = json.loads(base64.urlsafe_b64decode(claims + "=="))
        assert str(decoded["exp"]) == body["expires_on"]
    else:
        assert answer.json()["statusCode"] == status
        assert "access_token" not in answer.text


def test_the_token_endpoint_answers_get_only(arm):
    headers = {"X-IDENTITY-HEADER": arm.env["IDENTITY_HEADER"]}
    answer = local_http("POST", arm.env["IDENTITY_ENDPOINT"], params=GOOD, headers=headers)
    assert answer.status_code == 405


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}])
@pytest.mark.parametrize("what", ["arm", "token", "mcp"])
def test_web_pages_and_foreign_names_are_kept_out(arm, headers, what):
    if what == "arm":
        answer = get(arm, f"Bearer {arm.token()}", **headers)
    elif what == "token":
        secret = {"X-IDENTITY-HEADER": arm.env["IDENTITY_HEADER"]}
        answer = local_http(
            "GET", arm.env["IDENTITY_ENDPOINT"], params=GOOD, headers={**secret, **headers}
        )
    else:
        url = f"{arm.url}{arm.group_path}/sessionPools/local/mcp"
        answer = local_http(
            "POST", url, headers={"x-ms-apikey": arm.pool.api_key, **headers}, json={}
        )
    assert answer.status_code == 403


def test_links_lead_back_to_the_name_that_was_called(arm):
    url = arm.url.replace("127.0.0.1", "localhost")
    answer = local_http(
        "GET",
        url + arm.pool_path(),
        params={"api-version": arm.API_VERSION},
        headers={"Authorization": f"Bearer {arm.token()}"},
    )
    endpoint = answer.json()["properties"]["mcpServerSettings"]["mcpServerEndpoint"]
    assert endpoint.startswith(url + "/subscriptions/")


def test_a_token_lives_as_long_as_it_says():
    now = [1000.0]
    tokens = TokenIssuer(60.0, "/id", clock=lambda: now[0])
    issued = tokens.issue("https://management.azure.com")
    header = f"bearer {issued['access_token']}"
    tokens.check(header)
    now[0] = float(issued["expires_on"]) - 0.5
    tokens.check(header)
    now[0] += 1
    with pytest.raises(ArmError) as caught:
        tokens.check(header)
    assert caught.value.code == "ExpiredAuthenticationToken"
    assert issued["access_token"] not in caught.value.message
    with pytest.raises(ArmError, match="invalid"):
        TokenIssuer(60.0, "/id").check(header)
