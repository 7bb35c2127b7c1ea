"""The reports of finance in words: what the pages show and what is taken away as PDF or workbook."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from decimal import Decimal
from urllib.parse import urlencode

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext, pgettext_lazy

from hotels.models import Property
from loyalty.models import Programme, SettlementLine, SettlementRun
from loyalty.rules.papers import Cell, Column, Paper, Table, Value
from loyalty.selectors.finance.liability import Liability, LiabilityRow, liability
from loyalty.selectors.finance.movements import PARTS
from loyalty.selectors.finance.returns import rule_returns
from loyalty.selectors.finance.roll_forward import RollRow, roll_forward

PART_NAMES = {
    "issued": pgettext_lazy("points", "Issued"),
    "redeemed": pgettext_lazy("points", "Redeemed"),
    "returned": pgettext_lazy("points", "Given back"),
    "expired": pgettext_lazy("points", "Expired"),
    "taken_back": pgettext_lazy("points", "Taken back"),
    "adjusted": pgettext_lazy("points", "Adjusted"),
    "transferred": pgettext_lazy("points", "Transferred"),
    "offset": pgettext_lazy("points", "Set off"),
}
# The others only where there are any.
ALWAYS_SHOWN = frozenset({"issued", "redeemed", "expired"})
DEFINITIONS = {
    "liability": gettext_lazy(
        "Points that members held at the end of the day, set aside ones among them, at what each cost; without the"
        " share that will lapse unused. The share is estimated from how earlier months of earning were redeemed (chain"
        " ladder with the Cape Cod rate)."
    ),
    "roll_forward": gettext_lazy(
        "What was held before the period, what was posted in it, what was held after it. Properties are those that"
        " funded the points. The rows come from lots, the total from postings; both agree to the point, or the"
        " difference is red."
    ),
    "settlement": gettext_lazy(
        "Who gave the points pays whom they were redeemed at: points × the settlement rate of that day, or what the"
        " point cost. Corrections that come after a month is closed are in the next one."
    ),
    "returns": gettext_lazy(
        "Return = (extra revenue − points cost) ÷ points cost. Extra revenue is what the rule's members brought in the"
        " period, less what they brought in as many days before, grown as all other members did."
    ),
}


@dataclass(frozen=True, slots=True)
class Scope:
    """What a report is about.

    Attributes:
        programme: Whose points.
        start: First day of the period.
        end: The day after its last.
        property_ids: The properties the reader may see or asked for; None for the whole group.
        place_code: Of the one property that the reader asked for.
    """

    programme: Programme
    start: dt.date
    end: dt.date
    property_ids: Collection[int] | None = None
    place_code: str = ""

    @property
    def last(self) -> dt.date:
        """The last day of the period."""
        return self.end - dt.timedelta(days=1)

    def sees(self, property_id: int | None) -> bool:
        """Whether a property's row is the reader's."""
        return self.property_ids is None or property_id in self.property_ids


def _query(scope: Scope, of: str, **asked: str) -> str:
    """What the page of the rows is asked."""
    chosen = {"property": scope.place_code} if scope.place_code else {}
    return urlencode({"of": of, "programme": scope.programme.code, **chosen, **asked})


def _facts(scope: Scope, period: str) -> list[tuple[str, str]]:
    facts = [(pgettext("noun", "Programme"), scope.programme.local_name), (_("Period"), period)]
    if scope.property_ids is not None:
        places = Property.objects.filter(pk__in=scope.property_ids).order_by("code")
        facts.append((_("Properties"), ", ".join(place.local_name for place in places)))
    return facts


def _period(scope: Scope) -> str:
    return f"{scope.start.isoformat()} – {scope.last.isoformat()}"


def _paper(code: str, title: str, facts: list[tuple[str, str]], tables: list[Table]) -> Paper:
    return Paper(
        title, facts, tables, page_label=_("Page {page} of {pages}"), is_wide=True, notes=[str(DEFINITIONS[code])]
    )


# Liability


def liability_paper(scope: Scope) -> Paper:
    """The liability on the last day of the period, by property and by month of earning."""
    on_date = scope.last
    found = liability(programme=scope.programme, on_date=on_date, property_ids=scope.property_ids)
    facts = _facts(scope, on_date.isoformat())
    rate = "–" if found.rate_pct is None else f"{found.rate_pct} %"
    facts.append((_("Ultimate redemption rate"), rate))
    if scope.property_ids is None:
        facts.append((_("Debt of members"), f"{found.debt:,}"))
    by_place = [
        _liability_row(
            row.place.local_name if row.place else _("No property"),
            row,
            scope,
            property=row.place.code if row.place else "-",
        )
        for row in found.by_place
    ]
    by_month = [
        _liability_row(f"{row.month:%Y-%m}", row, scope, month=row.month.isoformat())
        for row in found.by_month
        if row.month
    ]
    total = _liability_row(_("Total"), found.total, scope)
    return _paper(
        "liability",
        _("Points liability"),
        facts,
        [
            Table(_("By property"), _liability_columns(_("Property"), found), [*by_place, total], totals=1),
            Table(_("By month of earning"), _liability_columns(_("Earned in"), found), [*by_month, total], totals=1),
        ],
    )


def _liability_columns(first: str, found: Liability) -> list[Column]:
    return [
        Column(first, 30, is_number=False),
        Column(_("Points held"), 14),
        Column(_("Expected to lapse"), 14),
        Column(_("At cost, %(currency)s") % {"currency": found.currency}, 16),
        Column(_("Liability, %(currency)s") % {"currency": found.currency}, 16),
    ]


def _liability_row(label: str, row: LiabilityRow, scope: Scope, **asked: str) -> list[Value]:
    query = _query(scope, "lots", on=scope.last.isoformat(), **asked)
    return [label, Cell(row.points, query), row.breakage, row.value, row.liability]


# Roll-forward


def roll_forward_paper(scope: Scope, *, unit: str = "points") -> Paper:
    """The roll-forward of the period by property; the total of the group only for who sees the whole group."""
    found = roll_forward(programme=scope.programme, start=scope.start, end=scope.end, unit=unit)
    shown = [row for row in found.rows if scope.sees(row.place.pk if row.place else None)]
    parts = [
        part for part in PARTS if part in ALWAYS_SHOWN or any(row.parts[part] for row in [*found.rows, found.total])
    ]
    columns = [
        Column("", 22, is_number=False),
        Column(_("Opening"), 12),
        *(Column(str(PART_NAMES[part]), 10) for part in parts),
        Column(_("Closing"), 12),
    ]
    rows = [_roll_row(_roll_label(row), row, scope, unit, parts) for row in shown]
    if scope.property_ids is not None:
        total = RollRow("total", closing=sum(row.closing for row in shown))
        for part in PARTS:
            total.parts[part] = sum(row.parts[part] for row in shown)
        rows.append(_roll_row(_("Total"), total, scope, unit, parts))
        return _paper(
            "roll_forward", _("Roll-forward"), _facts(scope, _period(scope)), [Table("", columns, rows, totals=1)]
        )
    rows.append(_roll_row(_("Total of the postings"), found.total, scope, unit, parts))
    opening_difference = found.closing_difference - sum(found.differences.values())
    wrong = [opening_difference, *(found.differences[part] for part in parts), found.closing_difference]
    rows.append([_("Difference"), *(Cell(value, is_wrong=bool(value)) for value in wrong)])
    tables = [Table("", columns, rows, totals=2)]
    if found.postings:
        tables.append(
            Table(
                _("Postings that differ from their lots"),
                [Column(_("Posting"), 20), Column(_("Posted"), 20), Column(_("In lots"), 20)],
                [[row.posting_id, Cell(row.booked, is_wrong=True), row.moved] for row in found.postings],
            )
        )
    return _paper("roll_forward", _("Roll-forward"), _facts(scope, _period(scope)), tables)


def _roll_label(row: RollRow) -> str:
    if row.place:
        return row.place.local_name
    return _("Debt of members") if row.kind == "debt" else _("No property")


def _roll_row(label: str, row: RollRow, scope: Scope, unit: str, parts: list[str]) -> list[Value]:
    query = {"start": scope.start.isoformat(), "end": scope.end.isoformat(), "unit": unit}
    if row.place:
        query["property"] = row.place.code
    elif row.kind == "unfunded":
        query["property"] = "-"
    linked = row.kind != "debt"
    cells: list[Value] = [
        Cell(points, _query(scope, "moves", **query, part=part) if linked and points else "")
        for part, points in row.cells
        if part in parts
    ]
    return [label, row.opening, *cells, row.closing]


# Settlement


def settlement_paper(scope: Scope) -> Paper:
    """What the properties owe each other for the month of the period; empty while it is not settled."""
    run = SettlementRun.objects.filter(programme=scope.programme, start_date=scope.start).first()
    found = (
        SettlementLine.objects.filter(run=run).select_related("payer", "payee").order_by("payer__code", "payee__code")
    )
    lines = [line for line in found if scope.sees(line.payer_id) or scope.sees(line.payee_id)] if run else []
    currency = run.currency if run else scope.programme.currency
    facts = _facts(scope, _period(scope))
    facts.append((_("State"), _settlement_state(run)))
    tables = []
    if lines:
        tables = [_positions(lines, currency, scope), _pairs(lines, currency, scope)]
    return _paper("settlement", _("Settlement between properties"), facts, tables)


def _settlement_state(run: SettlementRun | None) -> str:
    if run is None or run.closed_at is None:
        return _("not closed yet")
    day = run.programme.local_date(run.closed_at)
    return _("closed on %(date)s") % {"date": day.isoformat()}


def _positions(lines: list[SettlementLine], currency: str, scope: Scope) -> Table:
    """What each property gets and pays; over all of them it comes to nothing."""
    places: dict[int, Property] = {}
    gets: dict[int, Decimal] = defaultdict(Decimal)
    pays: dict[int, Decimal] = defaultdict(Decimal)
    for line in lines:
        places[line.payer_id], places[line.payee_id] = line.payer, line.payee
        pays[line.payer_id] += line.amount
        gets[line.payee_id] += line.amount
    rows: list[list[Value]] = [
        [place.local_name, gets[pk], pays[pk], gets[pk] - pays[pk]]
        for pk, place in sorted(places.items(), key=lambda item: item[1].code)
        if scope.sees(pk)
    ]
    totals = 0
    if scope.property_ids is None:
        gained, paid = sum(gets.values(), Decimal(0)), sum(pays.values(), Decimal(0))
        rows.append([_("Total"), gained, paid, Cell(gained - paid, is_wrong=gained != paid)])
        totals = 1
    columns = [
        Column(_("Property"), 40, is_number=False),
        Column(_("Gets, %(currency)s") % {"currency": currency}, 20),
        Column(_("Pays, %(currency)s") % {"currency": currency}, 20),
        Column(_("Net, %(currency)s") % {"currency": currency}, 20),
    ]
    return Table(_("Net position"), columns, rows, totals=totals)


def _pairs(lines: list[SettlementLine], currency: str, scope: Scope) -> Table:
    columns = [
        Column(_("Pays"), 24, is_number=False),
        Column(_("Gets"), 24, is_number=False),
        Column(_("Points"), 12),
        Column(_("Amount, %(currency)s") % {"currency": currency}, 14),
        Column(_("In the payer's currency"), 18),
        Column(_("In the payee's currency"), 18),
    ]
    rows: list[list[Value]] = []
    for line in lines:
        query = _query(scope, "settled", start=scope.start.isoformat(), payer=line.payer.code, payee=line.payee.code)
        rows.append(
            [
                line.payer.local_name,
                line.payee.local_name,
                Cell(line.points, query),
                line.amount,
                _local(line.payer_amount, line.payer_currency, line.payer_rate, currency),
                _local(line.payee_amount, line.payee_currency, line.payee_rate, currency),
            ]
        )
    return Table(_("Who pays whom"), columns, rows)


def _local(amount: Decimal | None, currency: str, rate: Decimal | None, of: str) -> str:
    if amount is None or rate is None:
        return _("no rate for %(currency)s") % {"currency": currency}
    return f"{currency} {amount:,}" if currency == of else f"{currency} {amount:,} ({rate.normalize():f})"


# Returns


def returns_paper(scope: Scope) -> Paper:
    """The return of each rule that gave points in the period."""
    currency = scope.programme.currency
    columns = [
        Column(_("Rule"), 26, is_number=False),
        Column(_("Points"), 12),
        Column(_("Members"), 9),
        Column(_("Cost, %(currency)s") % {"currency": currency}, 12),
        Column(_("Revenue, %(currency)s") % {"currency": currency}, 15),
        Column(_("Expected without it"), 15),
        Column(_("Extra revenue"), 15),
        Column(_("Return, %"), 11),
    ]
    rows: list[list[Value]] = []
    for found in rule_returns(
        programme=scope.programme, start=scope.start, end=scope.end, property_ids=scope.property_ids
    ):
        query = _query(scope, "rule", start=scope.start.isoformat(), end=scope.end.isoformat(), rule=found.rule)
        rows.append(
            [
                found.name or found.rule,
                Cell(found.points, query),
                found.members,
                found.cost,
                found.revenue,
                found.expected,
                found.extra,
                found.roi_pct,
            ]
        )
    facts = _facts(scope, _period(scope))
    before = scope.start - (scope.end - scope.start)
    facts.append((_("Compared with"), f"{before.isoformat()} – {(scope.start - dt.timedelta(days=1)).isoformat()}"))
    return _paper("returns", _("Return of the rules"), facts, [Table("", columns, rows)] if rows else [])


REPORTS: dict[str, Callable[[Scope], Paper]] = {
    "liability": liability_paper,
    "roll-forward": roll_forward_paper,
    "settlement": settlement_paper,
    "returns": returns_paper,
}


def month_paper(scope: Scope) -> Paper:
    """All four for one month on one paper."""
    papers = [make(scope) for make in REPORTS.values()]
    tables = [
        replace(table, title=f"{paper.title} · {table.title}" if table.title else paper.title)
        for paper in papers
        for table in paper.tables
    ]
    return Paper(
        _("Month close %(month)s") % {"month": f"{scope.start:%Y-%m}"},
        [*papers[0].facts[:1], (_("Period"), _period(scope)), (_("State"), papers[2].facts[-1][1])],
        tables,
        page_label=_("Page {page} of {pages}"),
        is_wide=True,
        notes=[str(text) for text in DEFINITIONS.values()],
    )
