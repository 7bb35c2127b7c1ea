"""Changes of what a programme gives: versions of earning rules, and thresholds and benefits by date."""

from loyalty.services.rules.dated import (
    RuleChangeRefused,
    check_edit,
    check_start,
    check_successor,
    hand_over,
    has_begun,
    last_begun_date,
    store_successor,
    terms_of_row,
)
from loyalty.services.rules.rule_sets import (
    InvalidRule,
    check_rule,
    create_draft,
    delete_rule,
    discard_draft,
    publish_rule_set,
    rename_draft,
    save_rule,
    withdraw_rule_set,
)

__all__ = [
    "InvalidRule",
    "RuleChangeRefused",
    "check_edit",
    "check_rule",
    "check_start",
    "check_successor",
    "create_draft",
    "delete_rule",
    "discard_draft",
    "hand_over",
    "has_begun",
    "last_begun_date",
    "publish_rule_set",
    "rename_draft",
    "save_rule",
    "store_successor",
    "terms_of_row",
    "withdraw_rule_set",
]
