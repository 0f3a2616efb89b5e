"""Recovery from the end of an environment or a remote kernel: restores, and notices of losses.

The core tells what has happened. What `is_due` is brought back before the next request is sent;
what the user is to be told about it goes along with the next cell.
"""

from __future__ import annotations

from typing import Any

from ..checkpoint import wording
from ..errors import AcaKernelError, CheckpointFailed
from ..messaging.loss_wording import death_of, loss_of, loss_sentence
from ..messaging.publisher import STATE_LOST, Notice
from .commands import CancelRestore, Restore
from .shared import Shared

# So many variables may end the remote kernel, one after the other, before it is given up.
_MOST_DEATHS = 4

_ON_REQUEST = "`%aca restore` brings back what was stored."


class Recovery:
    """Decides what is brought back, and when.

    is_due: whether it is to be brought back before the next request.
    has_any: whether there is a checkpoint. problem: why the last attempt to take one, or to bring
    it back, failed; empty if it did not.
    mode: the setting `restore`.
    """

    def __init__(self, shared: Shared, mode: str) -> None:
        self.is_due = False
        self.has_any = False
        self.problem = ""
        self._shared = shared
        self._notices = shared.notices
        self._mode = mode
        # Restores are numbered; of the one that requests wait for, None if there is none.
        self._restores = 0
        self._number: int | None = None
        # Of the remote kernel while something was being brought back: all, and before this attempt.
        self._deaths = self._deaths_before = 0
        # What has been lost, as the beginning of a sentence.
        self._loss = ""

    def kept(self, *, has_any: bool) -> None:
        """There is a checkpoint, or there is none any more."""
        self.has_any, self.problem = has_any, ""

    def lost_environment(self, idle_seconds: float) -> None:
        """The environment has ended, and there was something in it."""
        self.gave_up(loss_of(idle_seconds))

    def gave_up(self, loss: str) -> None:
        """What there was in the environment is lost. loss: as the beginning of a sentence."""
        self._loss = loss
        self.is_due = self._comes_back()

    def died(self, code: int) -> str:
        """The remote kernel has ended; return what the cell that it ran is told."""
        # What is being brought back may be what it died of.
        self._deaths += self.is_restoring
        self.is_due = self._comes_back() and not self.is_restoring
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

    def left(self, *, keeps_state: bool) -> None:
        """The user has asked for another environment, with or without what is in this one."""
        self.is_due = keeps_state and self.has_any
        if not keeps_state:
            self._loss = ""

    def _comes_back(self) -> bool:
        return self.has_any and self._mode == "auto"

    def _may_be_asked(self) -> bool:
        return self.has_any and self._mode != "off"

    # -- bringing it back ----------------------------------------------------------

    @property
    def is_restoring(self) -> bool:
        """Whether requests wait for a restore."""
        return self._number is not None

    def is_current(self, number: int) -> bool:
        """Tell whether requests wait for the restore of this number."""
        return number == self._number

    def begin(self) -> None:
        """Bring the last checkpoint back now."""
        self._deaths_before = self._deaths
        self._restore(after_death=False)

    def _restore(self, *, after_death: bool) -> None:
        self._restores += 1
        self._number = self._restores
        self._shared.out.append(Restore(self._number, after_death))

    def abandon(self) -> None:
        """Restore at another time."""
        if self._number is not None:
            self._number = None
            self._shared.out.append(CancelRestore())

    def restored(self, report: dict[str, Any] | None, cells_since: int) -> None:
        """It has been brought back."""
        self._number, self.is_due, self._deaths = None, False, 0
        if report is None:
            self.tell(wording.LOST)
        elif report.get("is_interrupted"):
            self.tell(wording.interrupted(report))
        else:
            self.tell(wording.restored(report, cells_since))

    def failed(self, error: AcaKernelError | None) -> None:
        """It could not be, or it was cancelled: give up, or try again without what is deadly."""
        self._number = None
        if error is None:
            self._give_up("It was interrupted.")
            return
        before, self._deaths_before = self._deaths_before, self._deaths
        has_died = self._deaths > before
        if isinstance(error, CheckpointFailed) and has_died and before < _MOST_DEATHS:
            self._restore(after_death=True)
            return
        self._shared.log.warning("%s %s", error.message, error.detail)
        self._give_up(error.message)

    def lost_while_restoring(self) -> None:
        """The environment has ended: what was being brought back is not tried again by itself."""
        if not self.is_restoring:
            return
        self.abandon()
        self.is_due = False
        self.problem = (
            "The new environment ended while variables were brought back; `%aca restore` "
            "tries it again."
        )

    def _give_up(self, reason: str) -> None:
        """Do not try again by itself. reason: a sentence."""
        self.is_due, self._deaths = False, 0
        self.tell(wording.not_restored(reason, is_kept=self.has_any))

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
            hint = self.problem
            if not hint and self._may_be_asked():
                hint = _ON_REQUEST
            self._notices.append(Notice(f"{loss_sentence(loss)} {hint}".rstrip(), STATE_LOST))
