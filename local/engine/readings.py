"""Where AWS's recordings and its Developer Guide differ, or nobody has recorded what happens.

`SFN_READING=recorded` (the default) is AWS as it was recorded, and the guide where it was not; `SFN_READING=other` is the
other way round. A definition has to work either way.
"""

from __future__ import annotations

import os

_CHOICES = ("recorded", "other")
_reading = os.environ.get("SFN_READING", _CHOICES[0])
if _reading not in _CHOICES:
    raise ValueError(f"SFN_READING is {_reading!r}, not one of {', '.join(_CHOICES)}")
_recorded = _reading == "recorded"

# Recorded of a task's result; the guide says that States.DataLimitExceeded is taken by its own name only.
ALL_TAKES_DATA_LIMIT = _recorded
# Of an activity nobody has recorded it; a callback's was States.Timeout.
LOST_HEARTBEAT = {"activity": "States.HeartbeatTimeout" if _recorded else "States.Timeout", "callback": "States.Timeout"}
