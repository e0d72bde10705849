"""Units, each once: nanoseconds in the spans people speak of, seconds in a day, and zero where money is counted."""

from __future__ import annotations

from decimal import Decimal

MS_NS = 1_000_000
SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
HOUR_NS = 60 * MINUTE_NS
DAY_NS = 24 * HOUR_NS

HOUR_S = 3600
DAY_S = 86_400

ZERO = Decimal(0)
