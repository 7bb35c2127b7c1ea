"""Conditions: one typed tree for earning rules, segments, journeys and routing.

`fields` is the registry, `tree` reads and checks the JSON, `evaluate` asks it of plain facts, `sentence`
says it in words. `members.selectors.conditions` compiles the same tree to SQL.
"""

from members.rules.conditions.evaluate import compile_condition, failing, matches
from members.rules.conditions.fields import (
    ChoiceLists,
    Field,
    Kind,
    Target,
    fields_of,
    register_field_source,
    register_fields,
    register_target,
    unregister,
)
from members.rules.conditions.sentence import sentence
from members.rules.conditions.tree import (
    EVERYTHING,
    AllOf,
    AnyOf,
    InvalidCondition,
    Leaf,
    Node,
    Not,
    has_problem,
    leaves,
    parse,
    read,
    tree_of,
    used_fields,
)

__all__ = [
    "EVERYTHING",
    "AllOf",
    "AnyOf",
    "ChoiceLists",
    "Field",
    "InvalidCondition",
    "Kind",
    "Leaf",
    "Node",
    "Not",
    "Target",
    "compile_condition",
    "failing",
    "fields_of",
    "has_problem",
    "leaves",
    "matches",
    "parse",
    "read",
    "register_field_source",
    "register_fields",
    "register_target",
    "sentence",
    "tree_of",
    "unregister",
    "used_fields",
]
