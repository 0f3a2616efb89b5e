"""Clouds: the address of Resource Manager, the scope and the authority of its tokens."""

from __future__ import annotations

import os
from dataclasses import dataclass
from urllib.parse import urlsplit

from ...errors import SettingInvalid
from ..transport.contract import LOOPBACK_HOSTS, is_in_the_clear, web_address

# Host of the login and the Azure CLI's name of the cloud, by the host of its Resource Manager.
# Source: azure.identity.AzureAuthorityHosts, and `az cloud list`.
_KNOWN = {
    "management.azure.com": ("login.microsoftonline.com", "AzureCloud"),
    "management.usgovcloudapi.net": ("login.microsoftonline.us", "AzureUSGovernment"),
    "management.chinacloudapi.cn": ("login.chinacloudapi.cn", "AzureChinaCloud"),
}


@dataclass(frozen=True)
class Cloud:
    """One Azure.

    arm_endpoint: without a slash at the end.
    authority: host of the login; None: azure-identity decides.
    cli_name: for `az cloud set --name`; None: the public one, or not known.
    """

    arm_endpoint: str
    authority: str | None
    cli_name: str | None

    @property
    def login_command(self) -> str:
        """The Azure CLI's commands for a login."""
        return f"az cloud set --name {self.cli_name} && az login" if self.cli_name else "az login"

    @property
    def scope(self) -> str:
        """The scope of a token: this Resource Manager and no other.

        So a token that was sent to another address cannot be used against Azure.
        """
        return f"{self.arm_endpoint}/.default"

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine, which no proxy can reach."""
        return urlsplit(self.arm_endpoint).hostname in LOOPBACK_HOSTS


def cloud_at(arm_endpoint: str, *, allow_plain_http: bool = False) -> Cloud:
    """Return the cloud whose Resource Manager is at this address.

    AZURE_AUTHORITY_HOST, which azure-identity reads, takes precedence.
    Raises SettingInvalid: no web address, or a token must not be sent there.
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
