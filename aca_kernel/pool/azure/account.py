"""The Azure CLI's current account, the default subscription."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

from ...errors import SettingInvalid
from .credentials import in_thread
from .resource_names import check_subscription

# `az` imports for a second or two; this is for a slow machine.
_TIMEOUT_SECONDS = 20.0


async def subscription_of(given: str) -> str:
    """Return the given subscription's id, or that of the Azure CLI's current account.

    Raises SettingInvalid: neither is one.
    """
    if given:
        return check_subscription(given)
    current = await in_thread(_current_subscription)
    if current is None:
        raise SettingInvalid(
            "There is no Azure subscription: set ACA_SUBSCRIPTION_ID (or --subscription), or log "
            "in with `az login`, whose current account is then used."
        )
    return check_subscription(current)


def _current_subscription() -> str | None:
    az = shutil.which("az")
    if az is None:
        return None
    try:
        done = subprocess.run(
            [az, "account", "show", "--output", "json"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_SECONDS,
            # Not the notebook's folder: `az` might import from it.
            cwd=os.sep,
            check=True,
        )
        account = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        # Not logged in, or no Azure CLI after all.
        return None
    current = account.get("id") if isinstance(account, dict) else None
    return current if isinstance(current, str) else None
