"""The database refuses what does not add up, whoever sends it."""

import datetime as dt

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction

from loyalty.models import Account, Hold, Lot, Posting
from loyalty.selectors.verification import check_guards, verify_ledger
from loyalty.services import ledger
from loyalty.services.ledger import RequestKey, SourceLine
from tests.factories import NOW, make_membership, make_programme, make_property

pytestmark = pytest.mark.django_db


@pytest.fixture
def account() -> int:
    """An account with an open, a pending, a spent lot, a hold, a redemption and a reversal."""
    membership = make_membership(make_programme())
    common = {"actor": None, "now": NOW, "account_id": ledger.open_account(membership_id=membership.pk)}
    place = make_property()
    first = ledger.earn_points(
        **common, points=100, source=SourceLine("pms", "1"), request=RequestKey("pms", "1"), property_id=place.pk
    )
    ledger.earn_points(**common, points=50, expires_on=dt.date(2026, 7, 1))
    ledger.earn_points(**common, points=30, pending_until=dt.date(2026, 7, 1))
    ledger.redeem_points(**common, points=50)
    ledger.place_hold(**common, points=20, hold_until=NOW + dt.timedelta(hours=1))
    ledger.reverse_posting(actor=None, now=NOW, posting_id=first.posting_id, points=10)
    assert Account.objects.filter(pk=common["account_id"], available=70, pending=30, held=20, debt=0).exists()
    return common["account_id"]


def refused(statement: str, params: object = None) -> None:
    # TRUNCATE asks for no pending events before it asks the guard.
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        with pytest.raises(IntegrityError), transaction.atomic():
            cursor.execute(statement, params)


POSTING_COLUMNS = (
    "seq, kind, points, available_after, pending_after, held_after, debt_after, reverses_id, reversed_points, hold_id, "
    "source_system, source_reference, source_line, request_client, request_key, request_hash, rule_version, explanation, "
    "occurred_at, business_date, property_id, actor_id, reason, previous_hash, hash"
)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE loyalty_posting SET points = points + 1",
        "UPDATE loyalty_posting SET reason = 'x'",
        "UPDATE loyalty_posting SET explanation = '{}'",
        "DELETE FROM loyalty_posting WHERE seq = (SELECT max(seq) FROM loyalty_posting)",
        "DELETE FROM loyalty_posting",
        "TRUNCATE loyalty_posting CASCADE",
        "UPDATE loyalty_lotmove SET open_delta = open_delta + 1",
        "UPDATE loyalty_lotmove SET lot_id = lot_id",
        "DELETE FROM loyalty_lotmove",
        "TRUNCATE loyalty_lotmove",
        "UPDATE loyalty_lot SET remaining = remaining - 1 WHERE state = 'open'",
        "UPDATE loyalty_lot SET remaining = 1, state = 'open' WHERE state = 'spent'",
        "UPDATE loyalty_lot SET remaining = original + 1 WHERE state = 'open'",
        "UPDATE loyalty_lot SET remaining = -1 WHERE state = 'open'",
        "UPDATE loyalty_lot SET state = 'open' WHERE state = 'pending'",
        "UPDATE loyalty_lot SET state = 'expired' WHERE state = 'open'",
        "UPDATE loyalty_lot SET state = 'expired', remaining = 0 WHERE state = 'open'",
        "UPDATE loyalty_lot SET expires_on = expires_on + 365",
        "UPDATE loyalty_lot SET expires_on = NULL WHERE state = 'spent'",
        "UPDATE loyalty_lot SET release_on = release_on - 100 WHERE state = 'pending'",
        "UPDATE loyalty_lot SET original = original + 1",
        "UPDATE loyalty_lot SET account_id = account_id",
        "DELETE FROM loyalty_lot",
        "TRUNCATE loyalty_lot CASCADE",
        "UPDATE loyalty_account SET available = available + 1",
        "UPDATE loyalty_account SET available = available - 10, held = held + 10",
        "UPDATE loyalty_account SET pending = 0",
        "UPDATE loyalty_account SET debt = 1",
        "UPDATE loyalty_account SET available = -1",
        "UPDATE loyalty_account SET last_seq = last_seq + 1",
        "UPDATE loyalty_account SET last_seq = last_seq - 1",
        "UPDATE loyalty_account SET last_seq = 0, available = 0, pending = 0, held = 0, head_hash = ''",
        "UPDATE loyalty_account SET head_hash = sha256('x')",
        # Back to an earlier posting, whole.
        """
        UPDATE loyalty_account a
        SET last_seq = p.seq, available = p.available_after, pending = p.pending_after, held = p.held_after,
            debt = p.debt_after, head_hash = p.hash
        FROM loyalty_posting p WHERE p.account_id = a.id AND p.seq = a.last_seq - 1
        """,
        "UPDATE loyalty_account SET last_seq = 0, available = 0, pending = 0, held = 0, debt = 0, head_hash = ''",
        "UPDATE loyalty_account SET membership_id = membership_id",
        "DELETE FROM loyalty_account",
        "TRUNCATE loyalty_account CASCADE",
        "UPDATE loyalty_hold SET points = points - 1",
        "UPDATE loyalty_hold SET state = 'voided'",
        "UPDATE loyalty_hold SET state = 'voided', closed_posting_id = placed_posting_id",
        "DELETE FROM loyalty_hold",
        "TRUNCATE loyalty_hold",
        "UPDATE loyalty_sourcekey SET reference = 'other'",
        "DELETE FROM loyalty_sourcekey",
        "TRUNCATE loyalty_sourcekey",
        "UPDATE loyalty_requestkey SET key = 'other'",
        "DELETE FROM loyalty_requestkey",
        "TRUNCATE loyalty_requestkey",
        """
        INSERT INTO loyalty_lotmove (posting_id, lot_id, account_id, pending_delta, open_delta)
        SELECT max(p.id), max(l.id), max(l.account_id), 0, 1 FROM loyalty_posting p, loyalty_lot l WHERE l.state = 'open'
        """,
        """
        INSERT INTO loyalty_lotmove (posting_id, lot_id, account_id, pending_delta, open_delta)
        VALUES (999999, 999999, 999999, 0, 1)
        """,
        # Moves that add up, of a posting and of lots written long ago.
        """
        INSERT INTO loyalty_lotmove (posting_id, lot_id, account_id, pending_delta, open_delta)
        SELECT (SELECT id FROM loyalty_posting WHERE kind = 'hold'), l.id, l.account_id, 0,
            CASE row_number() OVER (ORDER BY l.id) WHEN 1 THEN 1 ELSE -1 END
        FROM loyalty_lot l WHERE l.state <> 'open' ORDER BY l.id LIMIT 2
        """,
        # The same with the lots changed to fit.
        """
        WITH moved AS (
            INSERT INTO loyalty_lotmove (posting_id, lot_id, account_id, pending_delta, open_delta)
            SELECT (SELECT max(id) FROM loyalty_posting WHERE kind = 'earn'), l.id, l.account_id, 0, -1
            FROM loyalty_lot l WHERE l.state = 'open' LIMIT 1
        )
        UPDATE loyalty_lot SET remaining = remaining - 1 WHERE state = 'open'
        """,
        # A lot with its move, and no posting that brought it.
        """
        WITH lot AS (
            INSERT INTO loyalty_lot (account_id, posting_id, lot_class, original, remaining, state, earned_date)
            SELECT p.account_id, p.id, 'earned', 50, 50, 'open', p.business_date
            FROM loyalty_posting p WHERE p.kind = 'redeem' RETURNING id, posting_id, account_id
        )
        INSERT INTO loyalty_lotmove (posting_id, lot_id, account_id, pending_delta, open_delta)
        SELECT lot.posting_id, lot.id, lot.account_id, 0, 50 FROM lot
        """,
        """
        INSERT INTO loyalty_lot (account_id, posting_id, lot_class, original, remaining, state, earned_date)
        SELECT account_id, posting_id, lot_class, original, original, 'open', earned_date FROM loyalty_lot
        """,
        """
        INSERT INTO loyalty_account (programme_id, membership_id, unit, available, pending, held, debt, last_seq, head_hash)
        SELECT programme_id, membership_id, 'other', 5, 0, 0, 0, 0, '' FROM loyalty_account
        """,
        """
        INSERT INTO loyalty_hold (account_id, points, state, placed_posting_id, hold_until)
        SELECT account_id, 5, 'active', placed_posting_id, hold_until FROM loyalty_hold
        """,
        # A posting beside the account: a copy of the last one under the next number, and one with a gap.
        f"""
        INSERT INTO loyalty_posting (account_id, {POSTING_COLUMNS})
        SELECT account_id, {POSTING_COLUMNS.replace("seq", "seq + 1", 1)} FROM loyalty_posting ORDER BY seq DESC LIMIT 1
        """,
        f"""
        INSERT INTO loyalty_posting (account_id, {POSTING_COLUMNS})
        SELECT account_id, {POSTING_COLUMNS.replace("seq", "seq + 9", 1)} FROM loyalty_posting ORDER BY seq DESC LIMIT 1
        """,
    ],
)
def test_tampering_by_sql_is_refused(account, statement):
    refused(statement)


def forged(
    account: int,
    *,
    seq: int = 1,
    points: int = 5,
    held: int = 0,
    balances: str = "",
    lots: bool = True,
    **columns: object,
):
    """A posting, its account, lot and move in one statement, as a forger who knows the tables would write it."""
    head = Account.objects.get(pk=account)
    row = {
        "kind": "earn", "reverses_id": None, "reversed_points": 0, "source_system": "", "source_reference": "",
        "request_client": "", "request_key": "", **columns,
    }  # fmt: skip
    return (
        f"""
        WITH p AS MATERIALIZED (
            SELECT q.*, loyalty_posting_hash(q.previous_hash, q.id, q.account_id, q.seq, q.kind, q.points, q.available_after,
                q.pending_after, q.held_after, q.debt_after, q.reverses_id, q.reversed_points, NULL, q.source_system,
                q.source_reference, '', q.request_client, q.request_key, '', '', NULL, %(now)s, %(day)s, NULL, NULL, '') AS hash
            FROM (SELECT nextval('loyalty_posting_id_seq') AS id, a.id AS account_id, a.last_seq + %(seq)s AS seq,
                %(kind)s::text AS kind, %(points)s::bigint AS points, a.available + %(gain)s AS available_after,
                a.pending AS pending_after, a.held AS held_after, a.debt AS debt_after,
                %(reverses_id)s::bigint AS reverses_id, %(reversed_points)s::bigint AS reversed_points,
                %(source_system)s::text AS source_system, %(source_reference)s::text AS source_reference,
                %(request_client)s::text AS request_client, %(request_key)s::text AS request_key,
                a.head_hash AS previous_hash, nextval('loyalty_lot_id_seq') AS lot_id
                FROM loyalty_account a WHERE a.id = %(account)s) q
        ), balance AS (
            UPDATE loyalty_account a SET available = p.available_after, last_seq = p.seq, head_hash = p.hash
            FROM p WHERE a.id = p.account_id
        ), lot AS (
            INSERT INTO loyalty_lot (id, account_id, posting_id, lot_class, original, remaining, state, earned_date)
            SELECT p.lot_id, p.account_id, p.id, 'earned', p.points, p.points, 'open', %(day)s FROM p WHERE {lots}
        ), move AS (
            INSERT INTO loyalty_lotmove (posting_id, lot_id, account_id, pending_delta, open_delta)
            SELECT p.id, p.lot_id, p.account_id, 0, p.points FROM p WHERE {lots}
        )
        INSERT INTO loyalty_posting (id, account_id, {POSTING_COLUMNS})
        SELECT p.id, p.account_id, p.seq, p.kind, p.points, p.available_after, p.pending_after, p.held_after, p.debt_after,
            p.reverses_id, p.reversed_points, NULL, p.source_system, p.source_reference, '', p.request_client, p.request_key,
            '', '', NULL, %(now)s, %(day)s, NULL, NULL, '', p.previous_hash, p.hash FROM p
        """,
        {
            "account": head.pk,
            "seq": seq,
            "points": points,
            "gain": columns.pop("gain", points),
            "now": NOW,
            "day": NOW.date(),
            **row,
        },
    )


def test_a_whole_movement_in_one_statement_adds_up(account):
    # The forgeries below fail for what they leave out, not for a slip in the statement.
    with connection.cursor() as cursor:
        cursor.execute(*forged(account))
    assert [f for f in verify_ledger() if f.differences] == []


@pytest.mark.parametrize(
    "flaw",
    [
        {"seq": 2},
        {"gain": 6},
        {"gain": 0},
        {"lots": False},
        {"source_system": "pms", "source_reference": "77"},
        {"source_system": "pms", "source_reference": "1"},
        {"request_client": "pms", "request_key": "77"},
        {"kind": "redeem"},
        {"kind": "void"},
        {"kind": "gift"},
        {"kind": "refund", "lots": False, "reverses_id": -1, "reversed_points": 5},
    ],
)
def test_half_a_movement_is_refused(account, flaw):
    refused(*forged(account, **flaw))


def test_a_move_of_a_lot_that_stays_as_it_was_is_refused(account):
    lot = Lot.objects.get(account=account, state="open")
    statement, params = forged(account)
    begin, end = statement.index("), lot AS ("), statement.index("INSERT INTO loyalty_posting (")
    refused(
        f"""{statement[:begin]}), move AS (
            INSERT INTO loyalty_lotmove (posting_id, lot_id, account_id, pending_delta, open_delta)
            SELECT p.id, {lot.pk}, p.account_id, 0, p.points FROM p
        ) {statement[end:]}""",
        params,
    )


def test_what_one_statement_leaves_out_the_next_cannot_bring(account):
    # A movement that is whole, and then, in the same transaction, moves and a lot that would fit its posting.
    with connection.cursor() as cursor:
        cursor.execute(*forged(account))
    posting = Posting.objects.filter(account=account).latest("seq")
    first, second = Lot.objects.filter(account=account, state="spent").first(), Lot.objects.get(posting=posting)
    assert first is not None
    insert = "INSERT INTO loyalty_lotmove (posting_id, lot_id, account_id, pending_delta, open_delta) VALUES "
    refused(f"{insert} ({posting.pk}, {first.pk}, {account}, 0, 1)")
    pending = Lot.objects.get(account=account, state="pending")
    refused(f"{insert} ({posting.pk}, {first.pk}, {account}, 0, 1), ({posting.pk}, {pending.pk}, {account}, 0, -1)")
    refused(
        f"""
        WITH taken AS (UPDATE loyalty_lot SET remaining = remaining - 1 WHERE id = {second.pk})
        INSERT INTO loyalty_lotmove (posting_id, lot_id, account_id, pending_delta, open_delta)
        SELECT max(id), {second.pk}, {account}, 0, -1 FROM loyalty_posting WHERE seq < {posting.seq}
        """
    )


def test_two_postings_of_an_account_in_one_statement_are_refused(account):
    # Five points in and out again: both postings, the lot, its moves and the account add up, yet only the last
    # posting would be looked at.
    statement, params = forged(account)
    spent = """p.id + 1000000, p.account_id, p.seq + 1, 'adjust', -5, p.available_after - 5, p.pending_after, p.held_after,
        p.debt_after, NULL, 0, NULL, '', '', '', '', '', '', '', NULL, %(now)s, %(day)s, NULL, NULL, ''"""
    spent_hash = f"loyalty_posting_hash(p.hash, {spent})"
    second_move = "SELECT p.id + 1000000, p.lot_id, p.account_id, 0, -5 FROM p"
    for whole, changed in (
        (
            "SET available = p.available_after, last_seq = p.seq, head_hash = p.hash",
            f"SET available = p.available_after - 5, last_seq = p.seq + 1, head_hash = {spent_hash}",
        ),
        ("p.points, p.points, 'open'", "p.points, 0, 'spent'"),
        ("p.account_id, 0, p.points FROM p WHERE True", f"p.account_id, 0, p.points FROM p UNION ALL {second_move}"),
        (
            "INSERT INTO loyalty_posting (",
            f""", later AS (INSERT INTO loyalty_posting (id, account_id, {POSTING_COLUMNS})
            SELECT {spent}, p.hash, {spent_hash} FROM p) INSERT INTO loyalty_posting (""",
        ),
    ):
        assert statement.count(whole) == 1
        statement = statement.replace(whole, changed)
    refused(statement, params)


def test_a_hash_that_does_not_follow_is_refused(account):
    statement, params = forged(account)
    refused(statement.replace("a.head_hash AS previous_hash", "sha256('x') AS previous_hash"), params)
    refused(statement.replace("p.previous_hash, p.hash FROM p", "p.previous_hash, sha256('x') FROM p"), params)


def test_a_reversal_by_sql_stops_at_the_original(account):
    redemption = Posting.objects.get(account=account, kind="redeem")
    ledger.cancel_redemption_posting(actor=None, now=NOW, posting_id=redemption.pk)
    refused(*forged(account, kind="refund", points=1, reverses_id=redemption.pk, reversed_points=1))


@pytest.mark.parametrize(
    ("tampering", "check"),
    [
        ("UPDATE loyalty_posting SET points = points + 1 WHERE seq = 1", "continues"),
        ("UPDATE loyalty_posting SET reason = 'x' WHERE seq = 2", "hash chain"),
        ("DELETE FROM loyalty_posting WHERE seq = 2", "without a gap"),
        ("UPDATE loyalty_account SET available = available + 1", "cache"),
        ("UPDATE loyalty_lot SET remaining = remaining - 1 WHERE state = 'open'", "sum of its moves"),
        (
            "DELETE FROM loyalty_lotmove WHERE posting_id = (SELECT max(posting_id) FROM loyalty_lotmove)",
            "moves of each posting",
        ),
        ("UPDATE loyalty_hold SET points = points + 1", "sums of open lots"),
        ("DELETE FROM loyalty_sourcekey", "source line"),
        ("DELETE FROM loyalty_requestkey", "request key"),
        ("UPDATE loyalty_posting SET reversed_points = 1000 WHERE kind = 'clawback'", "reversed"),
    ],
)
def test_verification_finds_what_was_done_with_the_guards_off(account, tampering, check, capsys):
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(tampering)
        assert cursor.rowcount
        cursor.execute("SET LOCAL session_replication_role = origin")

    found = [finding.check for finding in verify_ledger() if finding.differences]

    assert any(check in name for name in found), found
    with pytest.raises(CommandError):
        call_command("verify_ledger")


def test_a_missing_guard_is_found():
    assert check_guards(databases=["default"]) == []
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER loyalty_lot_check_update ON loyalty_lot")
        cursor.execute("ALTER TABLE loyalty_posting DISABLE TRIGGER loyalty_posting_check")
    assert [message.id for message in check_guards(databases=["default"])] == ["loyalty.E001", "loyalty.E001"]
    assert next(verify_ledger()).samples == ["loyalty_lot_check_update", "loyalty_posting_check"]


def test_replay_from_zero_gives_every_lot_and_balance(account):
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT lot_id, sum(pending_delta + open_delta), sum(open_delta), sum(pending_delta) FROM loyalty_lotmove
            WHERE account_id = %s GROUP BY lot_id ORDER BY lot_id
            """,
            [account],
        )
        replayed = cursor.fetchall()
    lots = Lot.objects.filter(account=account).order_by("id")
    assert [(row[0], row[1]) for row in replayed] == list(lots.values_list("id", "remaining"))
    head = Account.objects.get(pk=account)
    assert (sum(row[2] for row in replayed), sum(row[3] for row in replayed)) == (head.available, head.pending)
    assert sum(hold.points for hold in Hold.objects.filter(account=account, state="active")) == head.held


def test_verification_passes_and_says_so(account, capsys):
    call_command("verify_ledger")
    assert "The ledger adds up." in capsys.readouterr().out
