"""Who and what these tests are about."""

import pytest

from hotels.models import Role
from tests.factories import (
    make_member,
    make_programme,
    make_property,
    make_staff,
)


@pytest.fixture
def place():
    return make_property()


@pytest.fixture
def programme():
    return make_programme()


@pytest.fixture
def member(programme):
    return make_member(programme, points=5000)


@pytest.fixture
def clerk(place):
    return make_staff(place=place)


@pytest.fixture
def manager(place):
    return make_staff(Role.PROPERTY_MANAGER, place=place)
