"""Asynchronous operations as clients see them: a status that they poll until it is final.

Source: Resource Manager RPC, "Asynchronous operations"; the status resource of
Azure-AsyncOperation and the rule for Location (202 while it runs) are from there.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from .arm_errors import ArmError

Status = Literal["InProgress", "Succeeded", "Failed"]

# Clients poll as told. The service says 5 to 15 seconds; nothing here takes that long.
RETRY_AFTER_SECONDS = 1
# Finished operations are kept for clients that look late, but not without bound.
_MOST_KEPT = 1000


@dataclass
class Operation:
    """One operation: `resource_id` is what it works on."""

    resource_id: str
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    status: Status = "InProgress"
    started: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    ended: datetime | None = None
    error: ArmError | None = None

    @property
    def is_running(self) -> bool:
        """Tell whether clients go on polling."""
        return self.status == "InProgress"

    def succeed(self) -> None:
        """End it; what was asked for is done."""
        self._end("Succeeded")

    def fail(self, error: ArmError) -> None:
        """End it; what was asked for is not done."""
        self.error = error
        self._end("Failed")

    def _end(self, status: Status) -> None:
        self.status = status
        self.ended = datetime.now(timezone.utc)

    def body(self, path: str) -> dict[str, Any]:
        """Return the status resource. path: its own, which is its id."""
        body: dict[str, Any] = {
            "id": path,
            "name": self.id,
            "status": self.status,
            "startTime": self.started.isoformat(),
        }
        if self.ended is not None:
            body["endTime"] = self.ended.isoformat()
        if self.error is not None:
            body["error"] = self.error.body()
        return body


class Operations:
    """All operations of a control plane, by id."""

    def __init__(self) -> None:
        self._all: dict[str, Operation] = {}

    def start(self, resource_id: str) -> Operation:
        """Add an operation that runs."""
        operation = Operation(resource_id)
        self._all[operation.id] = operation
        finished = [key for key, value in self._all.items() if not value.is_running]
        for key in finished[: max(0, len(self._all) - _MOST_KEPT)]:
            del self._all[key]
        return operation

    def find(self, operation_id: str) -> Operation | None:
        """Return an operation, or None."""
        return self._all.get(operation_id.lower())
