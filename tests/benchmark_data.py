"""The public benchmarks, for tests of figures that are known for them."""

from pathlib import Path

import benchmarks
import pytest


def benchmark(name: str) -> Path:
    """Its folder; the test is skipped, and says so, where it is not there."""
    found = benchmarks.find(name)
    if found is None:
        pytest.skip(benchmarks.missing(name))
    return found
