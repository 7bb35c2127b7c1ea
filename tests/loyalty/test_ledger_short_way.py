"""A single movement takes a shorter function (migration 0007): it must do just what the general one does."""

import datetime as dt

import pytest

from loyalty.models import Lot, LotMove, Posting
from loyalty.services import ledger
from loyalty.services.ledger import RequestKey, SourceLine, posting
from tests.factories import make_membership, make_programme, make_property, make_staff

NOW = dt.datetime(2028, 2, 28, 17, 0, tzinfo=dt.UTC)  # already 29 February in Shanghai


def _live(programme, place, actor, system):
    """Earn four times and spend across lots; returns every recorded fact but ids and hashes."""
    account = ledger.open_account(membership_id=make_membership(programme).pk)
    asked = {"actor": actor, "now": NOW, "account_id": account, "property_id": place.pk}
    answers = []
    for number, lot in enumerate(
        [{}, {"expires_on": None}, {"pending_until": dt.date(2028, 3, 9)}, {"pending_until": None, "kind": "bonus"}]
    ):
        answers.append(
            ledger.earn_points(
                **asked,
                **lot,
                points=300,
                source=SourceLine(system, str(number)),
                request=RequestKey(system, f"e{number}"),
            )
        )
    answers.append(ledger.redeem_points(**asked, points=250, request=RequestKey(system, "r"), reason="tea"))
    facts = ["kind", "points", "available", "pending", "held", "debt", "seq", "replayed"]
    return (
        [[getattr(answer, fact) for fact in facts] for answer in answers],
        list(
            Posting.objects.filter(account_id=account)
            .order_by("seq")
            .values_list("kind", "points", "available_after", "pending_after", "business_date", "occurred_at", "reason")
        ),
        list(
            Lot.objects.filter(account_id=account)
            .order_by("id")
            .values_list("lot_class", "original", "remaining", "state", "earned_date", "release_on", "expires_on")
        ),
        list(
            LotMove.objects.filter(account_id=account)
            .order_by("posting_id", "lot_id")
            .values_list("open_delta", "pending_delta")
        ),
    )


@pytest.mark.django_db
@pytest.mark.parametrize("rounding", ["none", "month_end", "year_end"])
@pytest.mark.parametrize("months", [None, 12])
@pytest.mark.parametrize("pending_days", [0, 3])
def test_the_short_way_does_what_the_general_way_does(monkeypatch, rounding, months, pending_days):
    programme = make_programme(expiry_rounding=rounding, expiry_months=months, pending_days=pending_days)
    place, actor = make_property(), make_staff()

    short = _live(programme, place, actor, "short")
    monkeypatch.setattr(posting, "_POST", "SELECT * FROM loyalty_post_each(%s, %s)")
    general = _live(programme, place, actor, "general")

    assert short == general
