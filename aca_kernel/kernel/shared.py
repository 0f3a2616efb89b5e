"""What the parts of one core share."""

from __future__ import annotations

import logging

from ..messaging.early_status import EarlyStatus
from ..messaging.publisher import Publisher
from ..messaging.requests import RequestTable
from ..messaging.setup_code import SetupCode
from ..messaging.subshells import Subshells
from ..messaging.widget_scripts import WidgetScripts
from .commands import Command


class Shared:
    """Values that several parts change. Each adds its commands to `out`.

    table: unfinished requests. notices: sentences for the user, shown with the next cell and then
    removed. setup: what runs ahead of the user's cells, and is shown to nobody.
    """

    def __init__(self, log: logging.Logger) -> None:
        self.log = log
        self.out: list[Command] = []
        self.notices: list[str] = []
        self.table = RequestTable()
        self.publisher = Publisher(self.out, self.table)
        self.announcer = EarlyStatus(self.publisher, self.table)
        self.widgets = WidgetScripts(self.publisher)
        self.subshells = Subshells()
        self.setup = SetupCode()
