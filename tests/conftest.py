"""What all tests have in common."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# Examples have no time limit: how long one takes says what else the machine does, not whether the code is right.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
