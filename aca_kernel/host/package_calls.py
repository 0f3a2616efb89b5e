"""Answers to the environment's calls about packages (remote/packages/).

    packages        {}      {requirements, constraints, python, told} of the setting `packages`
    packages_told   {text}  a sentence for the cell that waits; no answer
    packages_asked  {requirements, python, indexes}  what a cell's script metadata asks for, which
                            later environments are told with their config; no answer

Of this machine's files only those are read that the setting names, and of them only what it asks
for goes to the environment.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from ..environment.environment import Environment
from ..errors import CallRefused
from ..messaging.inbox import Inbox, Noticed
from ..packages import declared
from ..settings import AcaKernel
from .call import Answer, Call
from .notebook_files.withheld import is_withheld

# A sentence about progress is short, and at the longest time limit there are some sixty of them.
_LONGEST_TEXT = 1000
_MOST_TEXTS = 200

# Of script metadata: a few hundred requirements.
_LONGEST_METADATA = 50_000


class PackageCalls:
    """What environments ask about packages.

    folder: what files of requirements lie in. config: what environments are told about packages
    (AcaKernel.packages_config); its member `notebook` is kept here. inbox: told sentences for the
    user.
    """

    def __init__(
        self, settings: AcaKernel, folder: str, config: dict[str, Any], inbox: Inbox[Noticed]
    ) -> None:
        self._settings = settings
        self._folder = folder
        self._config = config
        self._inbox = inbox
        # The environment that has told something last, and how often it has.
        self._telling: Environment | None = None
        self._told = 0

    async def declared(self, _call: Call) -> Answer:
        """Return what the setting asks for."""
        if not self._settings.packages:
            raise CallRefused("The setting `packages` is empty.")
        found = await asyncio.to_thread(
            declared.read, self._settings.packages, self._folder, is_withheld
        )
        return {
            "requirements": found.requirements,
            "constraints": found.constraints,
            "python": found.python,
            "told": " ".join(found.told),
        }, ()

    async def told(self, call: Call) -> None:
        """Show a sentence with the cell that waits."""
        if call.environment is not self._telling:
            self._telling, self._told = call.environment, 0
        self._told += 1
        if self._told > _MOST_TEXTS:  # nothing of ours says that much
            return
        text = call.text("text")[:_LONGEST_TEXT]
        self._inbox.put_nowait(Noticed(time.monotonic(), text))

    async def asked(self, call: Call) -> None:
        """Remember script metadata for environments to come: without a checkpoint, too."""
        metadata = {
            "requirements": _texts(call.head.get("requirements")),
            "python": call.text("python"),
            "indexes": _texts(call.head.get("indexes")),
        }
        if len(str(metadata)) <= _LONGEST_METADATA:
            self._config["notebook"] = metadata


def _texts(value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise CallRefused("The request has no list of texts.")
    return value
