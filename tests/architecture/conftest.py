"""What the architecture tests share."""

from types import SimpleNamespace

import pytest

from tests.architecture.samples import make_samples


@pytest.fixture
def samples(db: None) -> SimpleNamespace:
    """One of everything."""
    return make_samples()
