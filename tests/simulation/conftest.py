"""Lets the tests of this directory use all cores."""

import pytest

from cores import on_all_cores

cores = pytest.fixture(scope="module")(on_all_cores)
