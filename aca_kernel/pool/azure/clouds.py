"""Which Azure: its Resource Manager, what a token for it is called, and who gives it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from urllib.parse import urlsplit

from ...errors import SettingInvalid
from ..transport.contract import LOOPBACK_HOSTS, is_in_the_clear, web_address

# Where people log in, and what the Azure CLI calls the cloud, by the host of its Resource
# Manager. Source: azure.identity.AzureAuthorityHosts, and `az cloud list`.
_KNOWN = {
    "management.azure.com": ("login.microsoftonline.com", "AzureCloud"),
    "management.usgovcloudapi.net": ("login.microsoftonline.us", "AzureUSGovernment"),
    "management.chinacloudapi.cn": ("login.chinacloudapi.cn", "AzureChinaCloud"),
}


@dataclass(frozen=True)
class Cloud:
    """One Azure.

    arm_endpoint: without a slash at the end.
    authority: host that gives tokens; None: azure-identity decides.
    cli_name: what `az cloud set --name` takes; None: the public one, or not known.
    """

    arm_endpoint: str
    authority: str | None
    cli_name: str | None

    @property
    def scope(self) -> str:
        """What a token is asked for: this Resource Manager and no other.

        A token is good for the resource in its scope only, so that one that was asked for
        on behalf of some other address cannot be used against Azure by whoever listens there.
        """
        return f"{self.arm_endpoint}/.default"

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine, where no proxy can reach it."""
        return urlsplit(self.arm_endpoint).hostname in LOOPBACK_HOSTS


def cloud_at(arm_endpoint: str, *, allow_plain_http: bool = False) -> Cloud:
    """Return the cloud whose Resource Manager is at this address.

    AZURE_AUTHORITY_HOST, which azure-identity reads, counts more than what is known here.
    Raises SettingInvalid: no address of that kind, or a token must not be sent there.
    """
    parts = web_address(arm_endpoint.strip())
    if parts is None or parts.query or parts.fragment:
        raise SettingInvalid(
            "The address of Azure Resource Manager is not a web address. Set ACA_ARM_ENDPOINT "
            "to one like https://management.azure.com, or unset it."
        )
    if is_in_the_clear(parts) and not allow_plain_http:
        raise SettingInvalid(
            f"Azure Resource Manager at {parts.hostname} is plain http, which would send the "
            "login's token in the clear. Use https, or set AcaKernel.allow_plain_http = True."
        )
    authority, cli_name = _KNOWN.get(str(parts.hostname), (None, None))
    if os.environ.get("AZURE_AUTHORITY_HOST"):
        authority = None
    return Cloud(
        arm_endpoint=f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}",
        authority=authority,
        cli_name=None if cli_name == "AzureCloud" else cli_name,
    )
