"""Messages on the shell channel that have a checkpoint taken or restored (state.py)."""

from __future__ import annotations

REQUEST = "aca_state_request"
REPLY = "aca_state_reply"

# Ids of our messages begin so; a front end's do not.
PREFIX = "aca-state-"
