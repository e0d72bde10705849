"""How hard a property is tried: the same few examples in every run, or EFFORT (50) times as many drawn anew.

A failure prints `@reproduce_failure`: the example, to be pasted above the test.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

LONG = "long"
_TIMES = int(os.environ.get("EFFORT", "50"))
_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


def effort(examples: int, steps: int = 40) -> settings:
    """Return the settings of a property that needs `examples` of up to `steps` steps to be believed."""
    is_long = settings.get_current_profile_name() == LONG
    return settings(
        max_examples=examples * _TIMES if is_long else examples,
        stateful_step_count=steps * 2 if is_long else steps,
        derandomize=not is_long,
        database=None,
        deadline=None,
        print_blob=True,
        suppress_health_check=_SLOW if is_long else [HealthCheck.too_slow],
    )
