"""Hypothesis settings of every test: the same examples in each run, and no clock, for machines are shared."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "mammo_monai", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("mammo_monai")
