"""What a background worker wrote down about itself, read back with care: anybody may have written to the cache."""

from __future__ import annotations

import math
import operator
from datetime import datetime
from typing import Any

# What the readings below raise, and what taking a value apart raises that is not of the form it should be.
NOT_OURS = (TypeError, KeyError, ValueError, AttributeError)
LARGEST = 2**63 - 1


def moment(value: Any) -> datetime:
    """Raises TypeError or ValueError for anything but ISO 8601 with its offset."""
    read = datetime.fromisoformat(value)
    if read.tzinfo is None:
        raise ValueError("a moment without its offset")
    return read


def count(value: Any) -> int:
    """Raises TypeError or ValueError for anything but a whole number that fits where numbers are kept."""
    read = operator.index(value)
    if not 0 <= read <= LARGEST:
        raise ValueError("not a count")
    return read


def seconds(value: Any) -> float:
    """Raises TypeError or ValueError for anything but a finite duration."""
    if not isinstance(value, int | float) or not 0 <= value <= LARGEST or math.isnan(value):
        raise ValueError("not a duration")
    return value
