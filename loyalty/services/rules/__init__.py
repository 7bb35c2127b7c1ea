"""Changes of what a programme gives: versions of earning rules, and thresholds and benefits by date."""

from loyalty.services.rules.dated import (
    RuleChangeRefused,
    change_tier_benefit,
    change_tier_criteria,
    check_edit,
    check_start,
    has_begun,
    last_begun_date,
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
    "change_tier_benefit",
    "change_tier_criteria",
    "check_edit",
    "check_rule",
    "check_start",
    "create_draft",
    "delete_rule",
    "discard_draft",
    "has_begun",
    "last_begun_date",
    "publish_rule_set",
    "rename_draft",
    "save_rule",
    "withdraw_rule_set",
]
