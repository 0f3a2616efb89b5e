"""Names of files that are never sent to an environment, and never written by one.

Hidden ones, among them `.env`, `.git`, `.ssh`, `.netrc` and `.ipynb_checkpoints`, and the usual
names of files with keys, passwords and tokens. Case is ignored.
"""

from __future__ import annotations

import fnmatch
import functools
import re
import unicodedata

from ...system import is_plain_name

# The limit of file systems, and a depth that nobody reaches.
_LONGEST_NAME_BYTES = 255
_DEEPEST = 64

# Zero width non-joiner and joiner.
_JOINERS = "\u200c\u200d"

# Between the words of a name.
_GAP = r"[\s._-]"

_SECRET = (
    # Private keys and key stores.
    "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", "*.pem", "*.key", "*.der", "*.ppk",
    "*.pfx", "*.p12", "*.p8", "*.jks", "*.jceks", "*.keystore", "*.kdb", "*.kdbx", "*.keytab",
    "*.gpg", "*.pgp", "*.age", "*.ovpn", "*private_key*", "*privatekey*", "*private-key*",
    "wallet.dat",
    # Variables and settings with secrets of services.
    "*.env", "_netrc", "netrc", "htpasswd", "pgpass*", "kubeconfig*", "*.publishsettings",
    "local.settings.json", "*.tfstate", "*.tfstate.*", "*.tfvars", "*.tfvars.json",
    "vault_pass*", "vault-pass*",
    # Credentials and tokens.
    "*credentials.json", "service_account*", "service-account*", "serviceaccount*",
    "*firebase-adminsdk*", "kaggle.json", "key.json", "keyfile.json", "sa-key.json", "sa_key.json",
    "rootkey*", "msal_*cache*", "access_tokens*", "accesstokens*", "apikey*", "*.apikey",
    "*client_secret*", "*client-secret*", "*client.secret*", "*clientsecret*",
    "*secrets", "*secrets.*",
)  # fmt: skip

# Anywhere in a name.
_SECRET_WORDS = ("secrets", "credentials?", rf"secret{_GAP}?keys?")

# At the beginning of it.
_FIRST_WORDS = ("secret(?=[.]|$)", "passwords?", rf"api{_GAP}?keys?")

# The same for names other than of modules, where they are usual: `env.py`, `get_token.py`.
_SECRET_DATA = (
    "env.*", "*.env.*", "*token.json", "*token.txt", "*tokens.json", "*.tokens",
    "*accesskey*", "*access_key*", "*access-key*",
)  # fmt: skip
_DATA_WORDS = (rf"api{_GAP}?keys?",)
_LAST_WORDS = ("secret", "token", "passwords?", "passwd", "passphrase")

# A file of language models, whose tokens are no secrets.
_ORDINARY = frozenset({"added_tokens.json"})

# Suffixes of backups and of files for this machine.
_BACKUP = re.compile(r"(?:\.(?:bak|backup|old|orig|save|copy|local)|~|\s)+\Z")


# A name is looked at when its folder is listed, as that of the path and of its target.
_KEPT_NAMES = 4096


@functools.cache
def _expressions() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Return the expressions for withheld names: of all files, and of files other than modules."""
    secret = [fnmatch.translate(pattern) for pattern in _SECRET]
    secret += [rf"(?:.*{_GAP})?(?:{word})(?:{_GAP}.*)?\Z" for word in _SECRET_WORDS]
    secret += [rf"(?:{word})(?:{_GAP}.*)?\Z" for word in _FIRST_WORDS]
    data = [fnmatch.translate(pattern) for pattern in _SECRET_DATA]
    data += [rf"(?:.*{_GAP})?(?:{word})(?:{_GAP}.*)?\Z" for word in _DATA_WORDS]
    data += [rf"(?:.*{_GAP})?(?:{word})(?:\..*)?\Z" for word in _LAST_WORDS]
    return re.compile("|".join(secret), re.DOTALL), re.compile("|".join(data), re.DOTALL)


@functools.lru_cache(_KEPT_NAMES)
def is_withheld(name: str) -> bool:
    """Tell whether no file or folder of this name is sent or written."""
    if name.startswith("."):
        return True
    folded = name.casefold()
    current = _BACKUP.sub("", folded)
    if current in _ORDINARY:
        return False
    secret, data = _expressions()
    expressions = (secret,) if current.endswith(".py") else (secret, data)
    return any(one.match(text) for one in expressions for text in (folded, current))


def parts_of(path: str, *, with_withheld: bool = False) -> list[str] | None:
    """Return the parts of a relative path, none for the folder itself.

    None: it is not a plain relative path, or one of its names is withheld.
    """
    if not path:
        return []
    parts = path.split("/")
    if len(parts) > _DEEPEST or not all(map(_is_plain, parts)):
        return None
    return None if not with_withheld and any(map(is_withheld, parts)) else parts


@functools.lru_cache(_KEPT_NAMES)
def _is_plain(name: str) -> bool:
    """Tell whether it is a name without invisible characters, and this system's for that file."""
    if name in ("", ".", "..") or "\\" in name or not is_plain_name(name):
        return False
    try:
        encoded = name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return len(encoded) <= _LONGEST_NAME_BYTES and all(
        character.isprintable()
        # The space in the names of macOS's screenshots, and those of other scripts.
        or unicodedata.category(character) == "Zs"
        or (character in _JOINERS and _is_joining(name, place))
        for place, character in enumerate(name)
    )


def _is_joining(name: str, place: int) -> bool:
    """Tell whether a joiner stands between characters of scripts and emoji that use it."""
    return not (name[:place][-1:] or "a").isascii() and not (name[place + 1 :][:1] or "a").isascii()
