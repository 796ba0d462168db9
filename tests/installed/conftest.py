"""The wheel, installed into an empty environment. ``scripts/package`` builds it and runs these tests."""

import os

if "VSV_DIST" not in os.environ:  # the plain test suite: no wheel is built
    collect_ignore_glob = ["test_*.py"]
