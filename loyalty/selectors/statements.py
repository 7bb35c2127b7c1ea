"""A member's statement for a period: what there was, every movement with its sentence, what is left, what lapses."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from loyalty.models import Membership, Posting
from loyalty.rules.papers import Column, Paper, Table, csv_lines, to_pdf
from loyalty.selectors.finance.movements import midnight
from loyalty.selectors.lots import ExpiringPoints, expiring_points
from loyalty.selectors.postings import StatementLine, sentence_of

# More movements than anybody has in a year; a statement that is cut says so.
MOST_LINES = 5000


@dataclass(frozen=True, slots=True)
class Balance:
    """Points of an account between two entries."""

    available: int = 0
    pending: int = 0
    held: int = 0
    debt: int = 0


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement from one day to another, both included, in the programme's time zone.

    Attributes:
        lines: Every posting of the period, oldest first, each with its day.
        expiring: What lapses when, of the points held today.
        is_cut: Whether there are more movements than `MOST_LINES`.
        today: The day it was made.
    """

    membership: Membership
    start: dt.date
    last: dt.date
    opening: Balance
    closing: Balance
    lines: list[tuple[StatementLine, dt.date]]
    expiring: list[ExpiringPoints]
    is_cut: bool
    today: dt.date


def member_statement(*, membership: Membership, start: dt.date, last: dt.date, today: dt.date) -> Statement:
    """A member's points from the beginning of one day to the end of another; at most five queries.

    Args:
        membership: Whose; with programme, tier and guest loaded.
        start: First day.
        last: Last day.
        today: The day in the programme's time zone.
    """
    programme = membership.programme
    begins, ends = midnight(programme, start), midnight(programme, last + dt.timedelta(days=1))
    postings = Posting.objects.filter(account__membership=membership, account__unit="points")
    found = list(
        postings.filter(occurred_at__gte=begins, occurred_at__lt=ends)
        .select_related("property")
        .order_by("seq")[: MOST_LINES + 1]
    )
    shown = found[:MOST_LINES]
    # An entry whose clock was ahead of the one before it stands where its number says.
    first_seq = shown[0].seq if shown else None
    before = postings.filter(seq__lt=first_seq) if first_seq else postings.filter(occurred_at__lt=begins)
    opening = _balance(before.order_by("-seq").first())
    return Statement(
        membership,
        start,
        last,
        opening,
        _balance(shown[-1]) if shown else opening,
        [
            (StatementLine(posting, sentence_of(posting)), programme.local_date(posting.occurred_at))
            for posting in shown
        ],
        expiring_points(membership_id=membership.pk, today=today),
        len(found) > MOST_LINES,
        today,
    )


def _balance(posting: Posting | None) -> Balance:
    if posting is None:
        return Balance()
    return Balance(posting.available_after, posting.pending_after, posting.held_after, posting.debt_after)


def lines_table(statement: Statement) -> Table:
    """The movements, between opening and closing balance."""
    columns = [
        Column(_("Date"), 13, is_number=False),
        Column(_("What and why"), 62, is_number=False),
        Column(_("Points"), 13),
        Column(_("Available after"), 15),
    ]
    rows: list[list[object]] = [[statement.start, _("Opening balance"), None, statement.opening.available]]
    rows += [[day, line.sentence, line.posting.points, line.posting.available_after] for line, day in statement.lines]
    rows.append([statement.last, _("Closing balance"), None, statement.closing.available])
    return Table(_("Movements"), columns, rows, totals=1)  # type: ignore[arg-type]


def statement_paper(statement: Statement) -> Paper:
    """The statement as a report, in the active language."""
    membership = statement.membership
    facts = [
        (_("Member"), f"{membership.guest.name} · {membership.number} · {membership.tier.local_name}"),
        (pgettext("noun", "Programme"), membership.programme.local_name),
        (_("Period"), f"{statement.start.isoformat()} – {statement.last.isoformat()}"),
        (_("Made on"), statement.today.isoformat()),
        (_("Points available"), f"{statement.closing.available:,}"),
        (_("Pending"), f"{statement.closing.pending:,}"),
        (_("Set aside"), f"{statement.closing.held:,}"),
        (_("Debt"), f"{statement.closing.debt:,}"),
    ]
    tables = [lines_table(statement)]
    if statement.expiring:
        tables.append(
            Table(
                _("Points that lapse"),
                [Column(_("Usable until"), 20, is_number=False), Column(_("Points"), 20)],
                [[lapse.expires_on, lapse.points] for lapse in statement.expiring],
            )
        )
    notes = (
        [_("Only the first %(count)s movements are shown.") % {"count": f"{MOST_LINES:,}"}] if statement.is_cut else []
    )
    return Paper(_("Points statement"), facts, tables, page_label=_("Page {page} of {pages}"), notes=notes)


FILE_TYPES = {"pdf": "application/pdf", "csv": "text/csv; charset=utf-8"}


def statement_file(statement: Statement, suffix: str) -> tuple[str, bytes]:
    """Name and content of a statement to take away, in the active language.

    Args:
        statement: The statement.
        suffix: A key of `FILE_TYPES`.
    """
    name = f"{statement.membership.number}-{statement.start:%Y%m%d}-{statement.last:%Y%m%d}.{suffix}"
    if suffix == "pdf":
        return name, to_pdf(statement_paper(statement))
    return name, "".join(csv_lines(lines_table(statement))).encode()
