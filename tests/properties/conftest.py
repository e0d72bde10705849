"""Two profiles: the quick one of every run, seeded by the test itself, and `--hypothesis-profile=long`."""

from __future__ import annotations

from hypothesis import settings

from tests.properties.effort import LONG

settings.register_profile(LONG, deadline=None, print_blob=True)
