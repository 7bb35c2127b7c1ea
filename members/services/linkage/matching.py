"""Comparing profiles with splink on DuckDB, in memory: nothing personal is written to a disk.

Imported by the runs alone, so that web processes do not carry the engine.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa  # type: ignore[import-untyped]
from splink import DuckDBAPI, Linker, SettingsCreator, block_on
from splink import comparison_level_library as cll
from splink import comparison_library as cl

from members.rules.linkage import LEVELS, PRIOR, REVIEW_WEIGHT, Pair

COLUMNS = ("unique_id", "name", "pinyin", "birthday", "phone", "document", "email", "gender", "company")
MEMORY = "2GB"
# From so many guests on, how common a name is among them is worth knowing; fewer tell by chance.
TERMS_FROM = 5_000

# Which pairs are compared at all: every rule leaves few strangers, and typing errors in one column
# leave another rule to find the pair by.
BLOCKING = (
    block_on("pinyin", "birthday"),
    block_on("name", "substr(phone, -4)"),
    block_on("pinyin", "substr(phone, 1, 10)"),
    block_on("substr(pinyin, 1, 4)", "birthday"),
    block_on("phone"),
    block_on("substr(phone, 1, 13)", "substr(birthday, 1, 4)"),
    block_on("substr(document, 1, 15)"),
    block_on("substr(document, -12)"),
    block_on("email"),
    block_on("split_part(email, '@', 1)", "pinyin"),
    block_on("name", "company", "substr(birthday, 1, 4)"),
)

_CONDITIONS: Mapping[str, str] = {
    "name_same": "name_l = name_r",
    "name_sound": "pinyin_l = pinyin_r",
    "name_near": "jaro_winkler_similarity(pinyin_l, pinyin_r) >= 0.9",
    "birthday_same": "birthday_l = birthday_r",
    "birthday_near": (
        "damerau_levenshtein(birthday_l, birthday_r) <= 1"
        " OR birthday_l = substr(birthday_r, 1, 5) || substr(birthday_r, 9, 2) || '-' || substr(birthday_r, 6, 2)"
    ),
    "phone_same": "phone_l = phone_r",
    "phone_near": "damerau_levenshtein(phone_l, phone_r) <= 1",
    "document_same": "document_l = document_r",
    "document_near": (
        "damerau_levenshtein(document_l, document_r) <= 1"
        " OR (length(document_l) >= 15 AND length(document_r) >= 15"
        " AND substr(document_l, 1, 15) = substr(document_r, 1, 15)"
        " AND (document_l LIKE '%000' OR document_r LIKE '%000' OR length(document_l) <> length(document_r)))"
    ),
    "email_same": "email_l = email_r",
    "email_near": (
        "split_part(email_l, '@', 1) = split_part(email_r, '@', 1) OR damerau_levenshtein(email_l, email_r) <= 1"
    ),
    "gender_same": "gender_l = gender_r",
    "company_same": "company_l = company_r",
}


def _comparison(column: str, *, with_terms: bool) -> cl.CustomComparison:
    levels: list[Any] = [cll.NullLevel("pinyin" if column == "name" else column)]
    for code, m, u in LEVELS[column]:
        if code.endswith("_other"):
            level = cll.ElseLevel().configure(m_probability=m, u_probability=u)
        elif code == "name_same":
            # A rare name in common says more than 张伟.
            level = cll.ExactMatchLevel("name", term_frequency_adjustments=with_terms).configure(
                m_probability=m, u_probability=u
            )
        else:
            level = cll.CustomLevel(_CONDITIONS[code]).configure(m_probability=m, u_probability=u)
        levels.append(level)
    return cl.CustomComparison(output_column_name=column, comparison_levels=levels)


def find_pairs(columns: Mapping[str, Sequence[Any]], *, threads: int = 2) -> list[Pair]:
    """The pairs of profiles that may be one person, the surest first.

    Args:
        columns: Lists of equal length by the names of `COLUMNS`; a missing value is None. Phones in E.164,
            birthdays as ISO dates.
        threads: Of DuckDB.
    """
    count = len(columns["unique_id"])
    if count < 2:  # noqa: PLR2004 - a pair
        return []
    logging.getLogger("splink").setLevel(logging.ERROR)
    types = {name: pa.int64() if name == "unique_id" else pa.string() for name in COLUMNS}
    table = pa.table({name: pa.array(columns[name], types[name]) for name in COLUMNS})
    with duckdb.connect(":memory:", config={"threads": threads, "memory_limit": MEMORY}) as connection:
        # Nothing spills over: what does not fit into memory fails and is told.
        connection.execute("SET temp_directory = ''")
        engine = DuckDBAPI(connection)
        settings = SettingsCreator(
            link_type="dedupe_only",
            comparisons=[_comparison(column, with_terms=count >= TERMS_FROM) for column in LEVELS],
            blocking_rules_to_generate_predictions=list(BLOCKING),
            probability_two_random_records_match=PRIOR,
            retain_matching_columns=True,
            retain_intermediate_calculation_columns=False,
        )
        linker = Linker(engine.register(table), settings, log_level=logging.ERROR, validate_settings=False)
        predicted = linker.inference.predict(threshold_match_weight=REVIEW_WEIGHT, warning_mode="never")
        gammas = ", ".join(f"gamma_{column}" for column in LEVELS)
        rows = connection.execute(
            f"SELECT unique_id_l, unique_id_r, match_weight, {gammas} FROM {predicted.physical_name} "  # noqa: S608
            "ORDER BY match_weight DESC, unique_id_l, unique_id_r"
        ).fetchall()
    return [
        Pair(min(first, second), max(first, second), round(weight, 2), _evidence(levels))
        for first, second, weight, *levels in rows
    ]


def _evidence(levels: Sequence[int]) -> tuple[str, ...]:
    """Codes of what was compared: a level counts from disagreement (0) upwards, -1 is missing."""
    return tuple(
        codes[len(codes) - 1 - level][0] for codes, level in zip(LEVELS.values(), levels, strict=True) if level >= 0
    )
