"""Names of files that are never sent to an environment, and never written by one.

Hidden ones, among them `.env`, `.git`, `.ssh`, `.netrc` and `.ipynb_checkpoints`, and those that
keys, passwords and tokens are usually kept under. Upper and lower case count the same.
"""

from __future__ import annotations

import fnmatch
import functools
import re

# A name has at most 255 bytes on the file systems there are; nobody nests folders deeper.
_LONGEST_NAME_BYTES = 255
_DEEPEST = 64

_SECRET = (
    # Private keys and what holds them.
    "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", "*.pem", "*.key", "*.der", "*.ppk",
    "*.pfx", "*.p12", "*.p8", "*.jks", "*.keystore", "*.kdb", "*.kdbx", "*.gpg", "*.pgp",
    "*.age", "*.ovpn", "*private_key*", "*privatekey*", "*private-key*", "wallet.dat",
    # Variables and settings that services take their secrets from.
    "*.env", "env.*", "_netrc", "netrc", "htpasswd", "pgpass*", "kubeconfig*", "*.publishsettings",
    "local.settings.json", "*.tfstate", "*.tfstate.*", "*.tfvars", "*.tfvars.json",
    # Credentials and tokens.
    "credentials", "credentials.*", "*credentials.json", "*_credentials.*", "*-credentials.*",
    "client_secret*", "service_account*", "service-account*", "serviceaccount*",
    "secret", "secret.*", "secrets", "secrets.*", "*_secret.*", "*_secrets.*", "*-secret.*",
    "*-secrets.*", "password", "password.*", "passwords", "passwords.*",
    "token", "token.*", "*_token", "*_token.*", "*-token", "*-token.*",
    "*token.json", "*token.txt", "*tokens.json", "access_tokens*", "accesstokens*",
    "msal_*cache*", "apikey*", "api_key*", "api-key*", "*.apikey",
)  # fmt: skip


@functools.cache
def _secret_expression() -> re.Pattern[str]:
    return re.compile("|".join(fnmatch.translate(pattern) for pattern in _SECRET))


def is_withheld(name: str) -> bool:
    """Tell whether nothing of this name crosses, neither a file nor a folder."""
    return name.startswith(".") or _secret_expression().match(name.casefold()) is not None


def parts_of(path: str, *, with_withheld: bool = False) -> list[str] | None:
    """Return the parts of a relative path, none for the folder itself.

    None: it is not a path in the folder's own terms, or one of its names is withheld.
    """
    if not path:
        return []
    parts = path.split("/")
    if len(parts) > _DEEPEST or not all(map(_is_plain, parts)):
        return None
    return None if not with_withheld and any(map(is_withheld, parts)) else parts


def _is_plain(name: str) -> bool:
    """Tell whether it is a name, and shows as what it is."""
    if name in ("", ".", "..") or "\\" in name:
        return False
    try:
        encoded = name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return len(encoded) <= _LONGEST_NAME_BYTES and name.isprintable()
