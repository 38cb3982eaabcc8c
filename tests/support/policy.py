"""A test that cannot have what it needs is a counted skip with its reason; under CI=true it is a failure."""

import os
from typing import NoReturn

import pytest


def in_ci() -> bool:
    """Tell whether this run is the one that guards the main line (`CI=true`)."""
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def require(condition: object, reason: str) -> None:
    """Go on when `condition` holds; otherwise skip the test for `reason`, or fail it in CI.

    Example: `require(path, "Chromium is not installed")`.
    """
    if not condition:
        unavailable(reason)


def unavailable(reason: str) -> NoReturn:
    """Give up this test: a skip that is counted, or in CI a failure."""
    if in_ci():
        pytest.fail(f"needed in CI: {reason}", pytrace=False)
    pytest.skip(reason)
