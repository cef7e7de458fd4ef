"""Runs coroutine tests as those of tests/integration are run."""

from integration.conftest import pytest_pyfunc_call

__all__ = ["pytest_pyfunc_call"]
