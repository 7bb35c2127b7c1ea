"""What is allowed but probably not meant; found by `loyalty.rules.earning.lint` and `loyalty.rules.tier_lint`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """A warning for who edits rules or thresholds; it never keeps anybody from saving.

    Attributes:
        code: Stable code of the kind.
        about: Codes of the rules or tiers concerned.
        message: What is odd, in the active language.
    """

    code: str
    about: tuple[str, ...]
    message: str
