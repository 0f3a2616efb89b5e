"""What is lost when an environment or a remote kernel ends, what comes back, and saying so.

The pump tells what has happened and lets `bring_back` do its work before the next request is
sent; what the user is to be told about it goes along with the next cell.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from ..checkpoint import wording
from ..errors import CheckpointFailed, EnvironmentGone
from ..messaging.loss_wording import death_of, loss_of, loss_sentence
from ..messaging.publisher import STATE_LOST, Notice

if TYPE_CHECKING:
    from ..checkpoint.checkpoints import Checkpoints
    from ..settings import AcaKernel

# So many variables may end the remote kernel, one after the other, before it is given up.
_MOST_DEATHS = 4

_ON_REQUEST = "`%aca restore` brings back what was stored."


class Recovery:
    """Decides what is brought back, and when.

    is_due: whether `bring_back` is to be called before the next request.
    notices: sentences are added here, for the next cell.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        settings: AcaKernel,
        notices: list[str],
        log: logging.Logger,
    ) -> None:
        self.is_due = False
        self._checkpoints = checkpoints
        self._settings = settings
        self._notices = notices
        self._log = log
        self._deaths = 0
        # What has been lost, as the beginning of a sentence.
        self._loss = ""

    def lost_environment(self, idle_seconds: float) -> None:
        """The environment has ended, and there was something in it."""
        self._loss = loss_of(idle_seconds)
        self.is_due = self._comes_back()

    def died(self, code: int, *, while_restoring: bool) -> str:
        """The remote kernel has ended; return what the cell that it ran is told.

        while_restoring: what was being brought back may be what it died of.
        """
        self._deaths += while_restoring
        self._checkpoints.lose_variables()
        self.is_due = self._comes_back() and not while_restoring
        death = f"The remote kernel {death_of(code)}."
        if self.is_due:
            return (
                f"{death} Its files are still there. The next cell runs in a fresh remote kernel, "
                "to which the variables that were stored last are brought before."
            )
        text = (
            f"{death} Its variables are lost, its files are still there. The next cell runs in a "
            "fresh remote kernel."
        )
        return f"{text} {_ON_REQUEST}" if self._may_be_asked() else text

    def tell_later(self, death: str) -> None:
        """Have the next cell told of a death that no cell was told of. death: from `died`."""
        text = death.replace("The next cell runs", "This cell runs")
        self._notices.append(Notice(text, STATE_LOST))

    async def left(self, *, keeps_state: bool) -> None:
        """The user has asked for another environment, with or without what is in this one."""
        self.is_due = keeps_state and self._checkpoints.has_any
        if keeps_state:
            self._checkpoints.cells_since = 0
        else:
            self._loss = ""
            await self._checkpoints.clear()

    def _comes_back(self) -> bool:
        return self._checkpoints.has_any and self._settings.restore == "auto"

    def _may_be_asked(self) -> bool:
        return self._checkpoints.has_any and self._settings.restore != "off"

    async def bring_back(self) -> bool:
        """Restore the last checkpoint; return whether it worked.

        What the remote kernel dies of is left out of the next attempt.
        Raises EnvironmentGone, after which it is not tried again by itself, and other errors of
        the pool, after which it is.
        """
        self._deaths = 0
        try:
            report = await self._try()
        except EnvironmentGone:
            self.is_due = False
            self._checkpoints.problem = (
                "The new environment ended while variables were brought back; `%aca restore` "
                "tries it again."
            )
            raise
        except CheckpointFailed as error:
            self._log.warning("%s %s", error.message, error.detail)
            self.give_up(error.message)
            return False
        self.is_due = False
        if report is None:
            self.tell(wording.LOST)
        elif report.get("is_interrupted"):
            self.tell(wording.interrupted(report))
        else:
            self.tell(wording.restored(report, self._checkpoints.cells_since))
        return True

    async def _try(self) -> dict[str, Any] | None:
        while True:
            deaths = self._deaths
            try:
                return await self._checkpoints.restore(after_death=deaths > 0)
            except CheckpointFailed:
                if self._deaths == deaths or deaths >= _MOST_DEATHS:
                    raise

    def give_up(self, reason: str) -> None:
        """What could not be brought back is not tried again by itself. reason: a sentence."""
        self.is_due = False
        self.tell(wording.not_restored(reason, is_kept=self._checkpoints.has_any))

    def tell(self, restored: str = "") -> None:
        """Say, with the next cell, what was lost and what came back, if there is anything to say.

        restored: the end of a sentence, which begins lower case.
        """
        loss, self._loss = self._loss, ""
        if restored:
            sentence = f"{loss}; {restored}" if loss else restored
            end = "." * (not sentence.endswith(".")) + (
                " This cell runs in a new one." * bool(loss)
            )
            text = sentence[0].upper() + sentence[1:] + end
            self._notices.append(Notice(text, STATE_LOST) if loss else text)
        elif loss:
            hint = self._checkpoints.problem
            if not hint and self._may_be_asked():
                hint = _ON_REQUEST
            self._notices.append(Notice(f"{loss_sentence(loss)} {hint}".rstrip(), STATE_LOST))
