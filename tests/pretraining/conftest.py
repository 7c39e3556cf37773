"""Records that are measured once for all tests of this room."""

import pytest
from measured_records import equal_records, unequal_records


@pytest.fixture(scope="package")
def equal():
    """Nine records of 4 s."""
    return equal_records()


@pytest.fixture(scope="package")
def unequal():
    """Seven records of 3 to 24 s, two of them at another rate."""
    return unequal_records()
