"""Messages on the shell channel by which the kernel has a checkpoint taken or restored (state.py).

Standard library only.
"""

from __future__ import annotations

REQUEST = "aca_state_request"
REPLY = "aca_state_reply"

# Ids of our messages begin so; a front end's do not.
PREFIX = "aca-state-"
