"""The points ledger: every change of a member's points goes through here.

A verb (`earn_points`, `redeem_points`, …) makes one `Movement`; `post_movements` posts one or
thousands of them in one statement of the database, which holds the only implementation
(`loyalty/migrations/sql`). Called outside a transaction, a verb is one round trip and commits by
itself; called inside `transaction.atomic` it belongs to the caller's transaction.

Common meaning of arguments:
    membership_id / account_id: Whose points; give one. The account of a membership is found by its unit.
    points: Whole points, above zero unless a function says otherwise.
    now: Aware instant of the movement. What is spendable on that day is judged by the calendar date
        of `now` in the programme's time zone; a lot is usable to the end of its `expires_on`.
    business_date: Date the movement is booked under; by default the date of `now` in the programme's zone.
    source: Business key. A second movement of the same kind for the same source line is refused
        with `AlreadyPosted`, whoever sends it, whichever account it names.
    request: Idempotency key of the caller. The same key with the same request returns the stored
        result (`replayed`), with another request it raises `IdempotencyConflict`.
    explanation: JSON-ready facts from which `loyalty.rules.explain` makes one sentence.
    actor: Who acts; leaves an entry in the audit trail. None for the system, which leaves none.

An expected failure writes nothing and raises a `LedgerError`. The caller's transaction stays usable, except
after a strict call of several movements, an unknown account, or a key that another transaction took in the
same moment: those roll it back.
"""

from loyalty.services.ledger.movements import (
    BY_PROGRAMME,
    ByProgramme,
    Movement,
    PostingResult,
    RequestKey,
    SourceLine,
    Verb,
)
from loyalty.services.ledger.posting import movement_json, open_account, open_accounts, post_movements, refusal_of
from loyalty.services.ledger.refusals import (
    AlreadyPosted,
    AlreadyReversed,
    ExcessiveReversal,
    HoldClosed,
    IdempotencyConflict,
    InsufficientPoints,
    LedgerError,
    MembershipInactive,
    NothingDue,
    NotReversible,
    UnknownAccount,
)
from loyalty.services.ledger.verbs import (
    adjust_points,
    cancel_redemption_posting,
    capture_hold,
    earn_points,
    expire_lots,
    place_hold,
    redeem_points,
    refund_earning,
    release_pending,
    reverse_posting,
    void_hold,
)

__all__ = [
    "BY_PROGRAMME",
    "AlreadyPosted",
    "AlreadyReversed",
    "ByProgramme",
    "ExcessiveReversal",
    "HoldClosed",
    "IdempotencyConflict",
    "InsufficientPoints",
    "LedgerError",
    "MembershipInactive",
    "Movement",
    "NotReversible",
    "NothingDue",
    "PostingResult",
    "RequestKey",
    "SourceLine",
    "UnknownAccount",
    "Verb",
    "adjust_points",
    "cancel_redemption_posting",
    "capture_hold",
    "earn_points",
    "expire_lots",
    "movement_json",
    "open_account",
    "open_accounts",
    "place_hold",
    "post_movements",
    "redeem_points",
    "refund_earning",
    "refusal_of",
    "release_pending",
    "reverse_posting",
    "void_hold",
]
