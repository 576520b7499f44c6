"""Tests mirror the package. A package itself, so that `tests.strategies` and `tests.reference` import."""
