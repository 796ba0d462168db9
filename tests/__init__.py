"""Tests, in the rooms of what they test; helpers are in ``tests.support``."""
