"""The code by which a member's friends join."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from django.db import connection

from loyalty.models import ReferralCode
from loyalty.rules.referrals import make_code

_INSERT = """
INSERT INTO loyalty_referralcode (membership_id, code)
SELECT * FROM unnest(%s::bigint[], %s::text[])
ON CONFLICT DO NOTHING
RETURNING membership_id
"""


def assign_referral_codes(*, membership_ids: Sequence[int]) -> None:
    """Give new members their codes; who has one keeps it.

    One statement, and two more each time chance drew a code that is taken.
    """
    waiting = list(dict.fromkeys(membership_ids))
    while waiting:
        with connection.cursor() as cursor:
            cursor.execute(_INSERT, [waiting, [make_code(secrets.choice) for _ in waiting]])
            given = {row[0] for row in cursor.fetchall()}
        waiting = [pk for pk in waiting if pk not in given]
        if waiting:
            known = set(ReferralCode.objects.filter(pk__in=waiting).values_list("pk", flat=True))
            waiting = [pk for pk in waiting if pk not in known]
