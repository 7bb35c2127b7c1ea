"""A second ledger in plain Python, written from the rules in the design and not from the SQL.

One account, one movement at a time, no database: what the real ledger is compared with after each step.
"""

import contextlib
import datetime as dt
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import NoReturn

NEVER = dt.date.max


class Refused(Exception):
    """The book refuses; `code` is that of the ledger's exception."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def refuse(code: str) -> NoReturn:
    raise Refused(code)


@dataclass
class BookLot:
    """Points that came in together."""

    original: int
    remaining: int
    state: str
    release_on: dt.date | None
    expires_on: dt.date | None
    lapsed: int = 0

    @property
    def last_day(self) -> dt.date:
        return self.expires_on or NEVER


@dataclass
class Entry:
    """One posting: what it took from which lot, how much of it is reversed."""

    kind: str
    points: int
    lot: int | None = None
    taken: dict[int, int] = field(default_factory=dict)
    reversed: int = 0


@dataclass
class BookHold:
    """Points set aside, and where they came from."""

    points: int
    taken: dict[int, int]
    until: dt.datetime
    state: str = "active"


@dataclass
class Book:
    """The account."""

    shortfall: str
    lapsed_return: str
    grace_days: int
    lots: list[BookLot] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    holds: list[BookHold] = field(default_factory=list)
    debt: int = 0

    @property
    def balances(self) -> tuple[int, int, int, int]:
        return (
            sum(lot.remaining for lot in self.lots if lot.state == "open"),
            sum(lot.remaining for lot in self.lots if lot.state == "pending"),
            sum(hold.points for hold in self.holds if hold.state == "active"),
            self.debt,
        )

    def _by_expiry(self, state: str) -> list[int]:
        numbers = [n for n, lot in enumerate(self.lots) if lot.state == state]
        return sorted(numbers, key=lambda n: (self.lots[n].last_day, n))

    def _repay(self, points: int) -> int:
        repaid = min(self.debt, points)
        self.debt -= repaid
        return repaid

    def _take(self, number: int, points: int, state: str = "spent") -> None:
        lot = self.lots[number]
        lot.remaining -= points
        if lot.remaining == 0:
            lot.state = state

    def earn(self, points, *, expires_on, pending_until=None, kind="earn"):
        lot = BookLot(points, points, "pending", pending_until, expires_on)
        self.lots.append(lot)
        if pending_until is None:
            lot.remaining -= self._repay(points)
            lot.state = "open" if lot.remaining else "spent"
        self.entries.append(Entry(kind, points, lot=len(self.lots) - 1))

    def spendable(self, today):
        return [n for n in self._by_expiry("open") if self.lots[n].last_day >= today]

    def spend(self, points, *, today, kind="redeem", until=None):
        usable = self.spendable(today)
        if sum(self.lots[n].remaining for n in usable) < points:
            refuse("insufficient_points")
        taken, left = {}, points
        for number in usable:
            if left:
                part = min(left, self.lots[number].remaining)
                taken[number] = part
                left -= part
                self._take(number, part)
        if kind == "hold":
            self.holds.append(BookHold(points, taken, until))
        self.entries.append(Entry(kind, -points, taken=taken))

    def _release(self, numbers):
        if not numbers:
            refuse("nothing_due")
        total = 0
        for number in numbers:
            lot = self.lots[number]
            total += lot.remaining
            lot.remaining -= self._repay(lot.remaining)
            lot.state = "open" if lot.remaining else "spent"
        self.entries.append(Entry("release", total))

    def release_one(self, entry):
        lot = self.entries[entry].lot
        self._release([lot] if lot is not None and self.lots[lot].state == "pending" else [])

    def release_due(self, today):
        self._release([n for n in self._by_expiry("pending") if self.lots[n].release_on <= today])

    def expire(self, today):
        numbers = [n for n in self._by_expiry("open") if self.lots[n].last_day < today]
        if not numbers:
            refuse("nothing_due")
        taken = {n: self.lots[n].remaining for n in numbers}
        for number in numbers:
            self.lots[number].lapsed += self.lots[number].remaining
            self._take(number, self.lots[number].remaining, "expired")
        self.entries.append(Entry("expire", -sum(taken.values()), taken=taken))

    def lapse(self, today):
        with contextlib.suppress(Refused):
            self.expire(today)

    def _give_back(self, taken, points, today):
        """Latest expiry first; lapsed lots as the policy says; a debt first, by the soonest to expire."""
        parts = []
        for number in sorted(taken, key=lambda n: (self.lots[n].last_day, n), reverse=True):
            part = min(points, taken[number])
            points -= part
            lapsed = self.lots[number].last_day < today
            if part and (not lapsed or self.lapsed_return == "reopen"):
                parts.append((number, part, lapsed))
        total = sum(part for _, part, _ in parts)
        left = total - self._repay(total)
        returned = {}
        for number, wanted, lapsed in parts:
            part = min(wanted, left)
            left -= part
            if part:
                lot = self.lots[number]
                lot.remaining += part
                lot.state = "open"
                returned[number] = part
                if lapsed:
                    lot.expires_on = today + dt.timedelta(days=self.grace_days)
        return total, returned

    @staticmethod
    def _wanted(entry, points, share):
        """How many points of an entry a reversal is to undo."""
        wanted = abs(entry.points) - entry.reversed
        if entry.kind not in ("earn", "bonus", "adjust", "redeem", "expire"):
            refuse("not_reversible")
        if entry.points < 0 and (share is not None or (points is not None and points != wanted)):
            refuse("not_reversible")
        if points is not None and points > wanted:
            refuse("already_reversed" if wanted == 0 else "excessive_reversal")
        if share is not None:
            whole = (Decimal(entry.points) * share[0] / share[1]).quantize(Decimal(1), ROUND_HALF_UP)
            wanted = int(whole) - entry.reversed
        elif points is not None:
            wanted = points
        if wanted <= 0:
            refuse("already_reversed")
        return wanted

    def reverse(self, number, *, today, points=None, share=None):
        entry = self.entries[number]
        wanted = self._wanted(entry, points, share)
        if entry.points < 0:
            back, returned = self._give_back(entry.taken, wanted, today)
            if entry.kind == "expire":
                for lot, part in returned.items():
                    self.lots[lot].lapsed -= part
            entry.reversed += wanted
            self.entries.append(Entry("refund", back))
            return
        own = self.lots[entry.lot]
        lasting = entry.points - own.lapsed
        left = max(min(entry.reversed + wanted, lasting) - min(entry.reversed, lasting), 0)
        entry.reversed += wanted
        taken_back = left
        if own.state in ("open", "pending"):
            part = min(left, own.remaining)
            left -= part
            self._take(entry.lot, part, "voided")
        for other in self._by_expiry("open"):
            if other != entry.lot and left:
                part = min(left, self.lots[other].remaining)
                left -= part
                self._take(other, part)
        if self.shortfall == "debt":
            self.debt += left
        else:
            taken_back -= left
        self.entries.append(Entry("clawback", -taken_back))

    def close_hold(self, number, *, now, today, captured=None):
        hold = self.holds[number]
        if hold.state != "active" or (captured is not None and hold.until <= now):
            refuse("hold_closed")
        if captured is not None and captured > hold.points:
            refuse("insufficient_points")
        back, returned = self._give_back(hold.taken, hold.points - (captured or 0), today)
        if captured is None:
            hold.state = "timed_out" if hold.until <= now else "voided"
            self.entries.append(Entry("void", back))
        else:
            hold.state = "captured"
            kept = {lot: part - returned.get(lot, 0) for lot, part in hold.taken.items()}
            self.entries.append(Entry("redeem", back - hold.points, taken=kept))
