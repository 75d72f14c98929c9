"""Tests: the same tree as the sources, contracts that every store passes, and real processes in e2e."""

from hypothesis import HealthCheck, settings

# A slow, shared machine is no failure.
settings.register_profile("steady", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("long", settings.get_profile("steady"), max_examples=5000)
settings.load_profile("steady")
