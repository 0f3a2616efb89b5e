"""What is lost when an environment or a remote kernel ends, what comes back, and saying so.

The core tells what has happened and has the checkpoint engine bring back what `is_due` before the
next request is sent; what the user is to be told about it goes along with the next cell.
"""

from __future__ import annotations

import logging
from typing import Any, Protocol

from ..checkpoint import wording
from ..errors import AcaKernelError, CheckpointFailed
from ..messaging.loss_wording import death_of, loss_of, loss_sentence

# So many variables may end the remote kernel, one after the other, before it is given up.
_MOST_DEATHS = 4

_ON_REQUEST = "`%aca restore` brings back what was stored."


class CheckpointFacts(Protocol):
    """What is known of the notebook's checkpoint. problem: why the last attempt failed."""

    has_any: bool
    problem: str


class Recovery:
    """Decides what is brought back, and when.

    is_due: whether it is to be brought back before the next request.
    mode: the setting `restore`. notices: sentences are added here, for the next cell.
    """

    def __init__(
        self,
        checkpoints: CheckpointFacts,
        mode: str,
        notices: list[str],
        log: logging.Logger,
    ) -> None:
        self.is_due = False
        self._checkpoints = checkpoints
        self._mode = mode
        self._notices = notices
        self._log = log
        # Of the remote kernel while something was being brought back: all, and before this attempt.
        self._deaths = self._deaths_before = 0
        # What has been lost, as the beginning of a sentence.
        self._loss = ""

    def lost_environment(self, idle_seconds: float) -> None:
        """The environment has ended, and there was something in it."""
        self.gave_up(loss_of(idle_seconds))

    def gave_up(self, loss: str) -> None:
        """What there was in the environment is lost. loss: as the beginning of a sentence."""
        self._loss = loss
        self.is_due = self._comes_back()

    def died(self, code: int, *, while_restoring: bool) -> str:
        """The remote kernel has ended; return what the cell that it ran is told.

        while_restoring: what was being brought back may be what it died of.
        """
        self._deaths += while_restoring
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
        self._notices.append(death.replace("The next cell runs", "This cell runs"))

    def left(self, *, keeps_state: bool) -> None:
        """The user has asked for another environment, with or without what is in this one."""
        self.is_due = keeps_state and self._checkpoints.has_any
        if not keeps_state:
            self._loss = ""

    def _comes_back(self) -> bool:
        return self._checkpoints.has_any and self._mode == "auto"

    def _may_be_asked(self) -> bool:
        return self._checkpoints.has_any and self._mode != "off"

    # -- bringing it back ----------------------------------------------------------

    def begin(self) -> None:
        """The last checkpoint is to be brought back now."""
        self._deaths = self._deaths_before = 0

    def restored(self, report: dict[str, Any] | None, cells_since: int) -> bool:
        """It has been; return whether there is something in the environment now."""
        self.is_due = False
        if report is None:
            self.tell(wording.LOST)
        elif report.get("is_interrupted"):
            self.tell(wording.interrupted(report))
        else:
            self.tell(wording.restored(report, cells_since))
        return True

    def failed(self, error: AcaKernelError) -> bool:
        """It could not be; return whether it is to be tried again, without what is deadly."""
        before, self._deaths_before = self._deaths_before, self._deaths
        has_died = self._deaths > before
        if isinstance(error, CheckpointFailed) and has_died and before < _MOST_DEATHS:
            return True
        self._log.warning("%s %s", error.message, error.detail)
        self.give_up(error.message)
        return False

    def lost_while_restoring(self) -> None:
        """The environment has ended meanwhile: it is not tried again by itself."""
        self.is_due = False
        self._checkpoints.problem = (
            "The new environment ended while variables were brought back; `%aca restore` "
            "tries it again."
        )

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
            self._notices.append(sentence[0].upper() + sentence[1:] + end)
        elif loss:
            hint = self._checkpoints.problem
            if not hint and self._may_be_asked():
                hint = _ON_REQUEST
            self._notices.append(f"{loss_sentence(loss)} {hint}".rstrip())
