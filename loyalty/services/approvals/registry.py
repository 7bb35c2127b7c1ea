"""Kinds of movements, their typed content, and the signature that ties a stored request to what was asked for."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import types
import typing
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.core import signing

from loyalty.rules.approvals import Amount

if TYPE_CHECKING:
    from hotels.models import Property, User

SALT = "loyalty.approvals"
_FROM_TEXT: dict[type, Callable[[str], Any]] = {
    Decimal: Decimal,
    dt.date: dt.date.fromisoformat,
    uuid.UUID: uuid.UUID,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One movement to carry out.

    Attributes:
        actor: Who asked for it and answers for it; None for the member themself.
        now: Aware instant at which it is carried out.
        place: The property, if it happens at one.
        payload: What is to be done, of the kind's own class.
        reason: Why, in the actor's words.
        idempotency_key: The key of the door's form or request; `perform` hands it on.
    """

    actor: User | None
    now: dt.datetime
    place: Property | None
    payload: Any
    reason: str
    idempotency_key: str


def _nothing_to_check(_order: Order) -> None:
    """Everything is checked when it is carried out."""


def _nothing_to_hold(_payload: Any) -> int:
    return 0


def _no_name(_payload: Any) -> dict[str, str]:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class MovementType:
    """How one kind of movement is judged and carried out; the package's docstring shows how to register one.

    Attributes:
        kind: A value of `MovementKind`.
        payload: The frozen dataclass of its content.
        measure: How much it moves, as of now.
        perform: Carries it out by one service call, idempotent by the order's key; returns what the service does.
        failures: Exceptions by which that service refuses.
        reference: Names the record that came of it, `app.model:key`.
        check: Refuses at once what could not be carried out, before a request is written.
        points_to_hold: Points to set aside until the decision.
        describe: The name of what it is about, {"zh": …, "en": …}.
    """

    kind: str
    payload: type
    measure: Callable[[Any], Amount]
    perform: Callable[[Order], Any]
    failures: tuple[type[Exception], ...]
    reference: Callable[[Any], str]
    check: Callable[[Order], None] = _nothing_to_check
    points_to_hold: Callable[[Any], int] = _nothing_to_hold
    describe: Callable[[Any], Mapping[str, str]] = _no_name


_types: dict[str, MovementType] = {}


def register_movement(movement_type: MovementType) -> None:
    """Add a kind of movement; registering a kind again replaces it."""
    _types[movement_type.kind] = movement_type


def movement_type_of(kind: str) -> MovementType:
    """The handler of a kind.

    Raises:
        LookupError: Nobody has registered it.
    """
    return _types[kind]


def encode_payload(payload: Any) -> dict[str, Any]:
    """A payload as it is stored."""
    return {
        name: str(value) if isinstance(value, Decimal | dt.date | uuid.UUID) else value
        for name, value in dataclasses.asdict(payload).items()
    }


def decode_payload(payload_class: type, content: Mapping[str, Any]) -> Any:
    """A stored payload as its class.

    Raises:
        ValueError: A field is missing, unknown, or of another type.
    """
    hints = typing.get_type_hints(payload_class)
    if hints.keys() != content.keys():
        raise ValueError(sorted(hints.keys() ^ content.keys()))
    return payload_class(**{name: _decode(hint, content[name]) for name, hint in hints.items()})


def _decode(hint: Any, value: Any) -> Any:
    allowed = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if value is None and types.NoneType in allowed:
        return None
    for wanted in allowed:
        if isinstance(value, str) and wanted in _FROM_TEXT:
            return _FROM_TEXT[wanted](value)
        # A bool is an int to Python, but not to us.
        if type(value) is wanted:
            return value
    raise ValueError(value)


def signed_text(
    *,
    kind: str,
    programme_id: int,
    membership_id: int | None,
    property_id: int | None,
    actor_id: int | None,
    payload: Mapping[str, Any],
    idempotency_key: str,
    amount: Amount | None = None,
    hold_id: int | None = None,
) -> str:
    """The facts of a movement in one order, to be signed; `amount` and `hold_id` for a request only."""
    facts: list[Any] = [kind, programme_id, membership_id, property_id, actor_id, payload, idempotency_key]
    if amount is not None:
        facts += [f"{amount.value:.2f}", amount.unit, hold_id]
    return json.dumps(facts, sort_keys=True, ensure_ascii=True)


def sign(text: str) -> str:
    """A signature that only this installation can make."""
    return signing.Signer(salt=SALT).signature(text)


def is_signed(text: str, signature: str) -> bool:
    """Whether a text is the one that was signed, by the present key or one of the former."""
    try:
        signing.Signer(salt=SALT).unsign(f"{text}:{signature}")
    except signing.BadSignature:
        return False
    return True
