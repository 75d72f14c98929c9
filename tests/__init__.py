"""Tests: the same tree as the sources, contracts that every store passes, and real processes in e2e."""

import os

from hypothesis import HealthCheck, settings

# Values are frozen in the process of the tests, and not in the programs that tests start.
os.environ["CHATPROTO_FROZEN"] = "yes"
import chatproto.wire.values  # noqa: F401

del os.environ["CHATPROTO_FROZEN"]

# Programs start as users start them, not by compiling themselves each time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# A slow, shared machine is no failure. The long run has 5,000 examples of each property.
settings.register_profile(
    "steady", deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("long", settings.get_profile("steady"), max_examples=5000)
settings.load_profile("steady")
