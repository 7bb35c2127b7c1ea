"""Who and what these tests are about."""

import pytest

from tests.factories import (
    make_membership,
    make_programme,
    make_property,
    make_staff,
    make_voucher_type,
)


@pytest.fixture
def programme():
    return make_programme()


@pytest.fixture
def place():
    return make_property()


@pytest.fixture
def clerk(place):
    return make_staff(place=place)


@pytest.fixture
def member(programme):
    return make_membership(programme)


@pytest.fixture
def voucher_type(programme):
    return make_voucher_type(programme)
