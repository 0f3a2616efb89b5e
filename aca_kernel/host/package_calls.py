"""Answers to the environment's calls about packages (remote/packages/).

    packages        {}      {requirements, constraints, python, told} of the setting `packages`
    packages_told   {text}  a sentence for the cell that waits; no answer

Of this machine's files only those are read that the setting names, and of them only what it asks
for goes to the environment.
"""

from __future__ import annotations

import asyncio
import time

from ..errors import CallRefused
from ..messaging.inbox import Inbox, Noticed
from ..packages import declared
from ..settings import AcaKernel
from .call import Answer, Call

# A sentence about progress is short.
_LONGEST_TEXT = 1000


class PackageCalls:
    """What environments ask about packages.

    folder: what files of requirements lie in. inbox: told sentences for the user.
    """

    def __init__(self, settings: AcaKernel, folder: str, inbox: Inbox[Noticed]) -> None:
        self._settings = settings
        self._folder = folder
        self._inbox = inbox

    async def declared(self, _call: Call) -> Answer:
        """Return what the setting asks for."""
        if not self._settings.packages:
            raise CallRefused("The setting `packages` is empty.")
        found = await asyncio.to_thread(declared.read, self._settings.packages, self._folder)
        return {
            "requirements": found.requirements,
            "constraints": found.constraints,
            "python": found.python,
            "told": " ".join(found.told),
        }, ()

    async def told(self, call: Call) -> None:
        """Show a sentence with the cell that waits."""
        text = call.text("text")[:_LONGEST_TEXT]
        self._inbox.put_nowait(Noticed(time.monotonic(), text))
