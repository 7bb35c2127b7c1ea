"""How well and how fast duplicates are found: `python -m config.embedded run -- python -m bench.dedupe`.

Two published sets are linked by splink trained without labels, with one configuration and one threshold for both;
the figures to compare with stand beside them. Guests as hotels have them are made here – Chinese and Latin
names, typing errors, cut-off documents, new numbers – with 3 duplicates in 100, and linked by the fixed
model of the program. `--guests 1000000` is the full size.
"""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import logging
import random
import resource
import time
from collections import defaultdict
from itertools import combinations
from pathlib import Path
from typing import Any

import django
import duckdb
import pyarrow as pa
from splink import DuckDBAPI, Linker, SettingsCreator, block_on
from splink import comparison_library as cl

THRESHOLD = 0.7
SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林罗高郑梁谢宋唐许韩冯邓曹彭曾肖田董潘袁蔡蒋余于杜叶程魏苏吕丁任卢姚沈钟姜崔谭陆范汪廖石金韦贾夏付方邹熊白孟秦邱侯江尹薛闫段雷龙黎史陶贺毛郝顾龚邵万覃武钱戴严莫孔向常汤"
GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰红建国文志思远雨欣子涵梓浩宇轩一诺佳怡晨曦俊熙嘉博雅琪若云飞鹏程海波春梅"
FIRST = [
    "James",
    "Mary",
    "Robert",
    "Patricia",
    "John",
    "Jennifer",
    "Michael",
    "Linda",
    "David",
    "Elizabeth",
    "Thomas",
    "Sarah",
    "Anna",
    "Peter",
    "Laura",
    "Paul",
]
LAST = [
    "Smith",
    "Johnson",
    "Williams",
    "Brown",
    "Jones",
    "Garcia",
    "Miller",
    "Davis",
    "Wilson",
    "Anderson",
    "Taylor",
    "Moore",
    "Martin",
    "Lee",
    "White",
    "Clark",
]


def pairs_of(clusters: dict[Any, list[Any]]) -> set[tuple[Any, Any]]:
    """All pairs within clusters."""
    return {tuple(sorted(pair)) for members in clusters.values() for pair in combinations(members, 2)}


def figures(found: set[Any], truth: set[Any]) -> str:
    """Precision, recall and F1 in one line."""
    right = len(found & truth)
    precision, recall = right / max(len(found), 1), right / max(len(truth), 1)
    f1 = 2 * precision * recall / max(precision + recall, 1e-9)
    return f"P {precision:.4f}  R {recall:.4f}  F1 {f1:.4f}"


def link_published(rows: list[dict[str, str]], key: str, comparisons: list[Any], blocking: list[Any]) -> set[Any]:
    """Pairs of a published set above the threshold, from a model trained on the set without its labels."""
    names = list(rows[0])
    table = pa.table({name: pa.array([row[name].strip() or None for row in rows]) for name in names})
    with duckdb.connect(":memory:") as connection:
        settings = SettingsCreator(
            link_type="dedupe_only",
            unique_id_column_name=key,
            comparisons=comparisons,
            blocking_rules_to_generate_predictions=blocking,
        )
        engine = DuckDBAPI(connection)
        linker = Linker(engine.register(table), settings, log_level=logging.ERROR)
        training = linker.training
        training.estimate_probability_two_random_records_match(blocking[:2], recall=0.8)
        training.estimate_u_using_random_sampling(max_pairs=5e6, seed=1)
        for rule in blocking[:3]:
            training.estimate_parameters_using_expectation_maximisation(rule, record_sample_proportion=1.0)
        predicted = linker.inference.predict(threshold_match_probability=THRESHOLD, warning_mode="never")
        clustered = linker.clustering.cluster_pairwise_predictions_at_threshold(
            predicted, threshold_match_probability=THRESHOLD
        )
        clusters = defaultdict(list)
        rows_of = f"SELECT cluster_id, {key} FROM {clustered.physical_name}"
        for cluster, member in connection.execute(rows_of).fetchall():
            clusters[cluster].append(member)
        return pairs_of(clusters)


def febrl(folder: Path) -> str:
    """FEBRL 1: 500 people, 500 duplicates."""
    with (folder / "blind_febrl1.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, skipinitialspace=True))
    clusters = defaultdict(list)
    with (folder / "truth_opaque_febrl1.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            clusters[row["cluster"]].append(row["opaque_id"])
    found = link_published(
        rows,
        "opaque_id",
        [
            cl.JaroWinklerAtThresholds("given_name", [0.9, 0.7]),
            cl.JaroWinklerAtThresholds("surname", [0.9, 0.7]),
            cl.DamerauLevenshteinAtThresholds("date_of_birth", [1, 2]),
            cl.DamerauLevenshteinAtThresholds("soc_sec_id", [1, 2]),
            cl.ExactMatch("street_number"),
            cl.DamerauLevenshteinAtThresholds("postcode", [1]),
        ],
        [
            block_on("soc_sec_id"),
            block_on("given_name", "surname"),
            block_on("date_of_birth"),
            block_on("surname", "postcode"),
            block_on("given_name", "postcode"),
            block_on("street_number", "postcode"),
        ],
    )
    return figures(found, pairs_of(clusters))


def fake_1000(folder: Path) -> str:
    """splink's fake_1000: up to five records a person, many values missing."""
    with (folder / "fake_1000.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    clusters = defaultdict(list)
    for row in rows:
        clusters[row.pop("cluster")].append(row["unique_id"])
    found = link_published(
        rows,
        "unique_id",
        [
            cl.JaroWinklerAtThresholds("first_name", [0.9, 0.7]),
            cl.JaroWinklerAtThresholds("surname", [0.9, 0.7]),
            cl.DamerauLevenshteinAtThresholds("dob", [1, 2]),
            cl.ExactMatch("city").configure(term_frequency_adjustments=True),
            cl.JaroWinklerAtThresholds("email", [0.9, 0.7]),
        ],
        [
            block_on("email"),
            block_on("first_name", "surname"),
            block_on("dob"),
            block_on("surname", "city"),
            block_on("first_name", "city"),
            block_on("substr(dob, 1, 7)"),
            block_on("surname"),
            block_on("first_name"),
        ],
    )
    return figures(found, pairs_of(clusters))


def _typo(text: str, chance: random.Random) -> str:
    at = chance.randrange(1, len(text))
    return text[: at - 1] + chance.choice("0123456789") + text[at:]


def make_guests(count: int, seed: int = 1) -> tuple[dict[str, list[Any]], set[tuple[int, int]]]:
    """Guests with 3 duplicates in 100, as columns, and the true pairs."""
    from_names = __import__("members.rules.names", fromlist=["pinyin_of"])
    chance = random.Random(seed)
    born = dt.date(1950, 1, 1)
    people = []
    for number in range(round(count * 0.97)):
        if chance.random() < 0.85:
            name = chance.choice(SURNAMES[: 20 if chance.random() < 0.6 else None]) + "".join(
                chance.choice(GIVEN) for _each in range(1 if chance.random() < 0.15 else 2)
            )
        else:
            name = f"{chance.choice(FIRST)} {chance.choice(LAST)}"
        day = (born + dt.timedelta(chance.randrange(20_000))).isoformat()
        phone = f"+86{chance.choice(['138', '139', '150', '186', '177'])}{chance.randrange(10**8):08d}"
        document = f"{chance.randrange(110000, 659000)}{day.replace('-', '')}{chance.randrange(10**4):04d}"
        people.append(
            {
                "name": name,
                "birthday": day if chance.random() < 0.7 else None,
                "phone": phone if chance.random() < 0.95 else None,
                "document": document if chance.random() < 0.6 else None,
                "email": f"u{number}@example.com" if chance.random() < 0.3 else None,
                "gender": chance.choice(["male", "female", None]),
                "company": f"company {chance.randrange(2000)}" if chance.random() < 0.2 else None,
            }
        )
    truth = set()
    for original in chance.sample(range(len(people)), count - len(people)):
        double = dict(people[original])
        if chance.random() < 0.3 and len(double["name"]) < 5:
            double["name"] = double["name"][:-1] + chance.choice(GIVEN)
        if double["phone"]:
            double["phone"] = (
                _typo(double["phone"], chance) if chance.random() < 0.5 else f"+86139{chance.randrange(10**8):08d}"
            )
        if double["document"]:
            kind = chance.random()
            double["document"] = (
                None
                if kind < 0.4
                else double["document"][:15] + "000"
                if kind < 0.7
                else _typo(double["document"], chance)
            )
        if double["birthday"] and chance.random() < 0.1:
            double["birthday"] = _typo(double["birthday"][:-1], chance) + double["birthday"][-1]
        double["email"] = None
        truth.add((original, len(people)))
        people.append(double)
    columns: dict[str, list[Any]] = {"unique_id": list(range(len(people)))}
    for name in people[0]:
        columns[name] = [person[name] for person in people]
    columns["pinyin"] = [from_names.pinyin_of(name)[0] for name in columns["name"]]
    return columns, truth


def synthetic(count: int) -> list[str]:
    """Link made-up guests by the program's model; what is merged by itself, what people look at, and the time."""
    matching = __import__("members.services.linkage.matching", fromlist=["find_pairs"])
    columns, truth = make_guests(count)
    begun = time.perf_counter()
    pairs = matching.find_pairs(columns)
    seconds = time.perf_counter() - begun
    certain = {(pair.first_id, pair.second_id) for pair in pairs if pair.is_certain}
    everything = {(pair.first_id, pair.second_id) for pair in pairs}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return [
        f"merged without asking: {len(certain)} pairs  {figures(certain, truth)}",
        f"merged or looked at:   {len(everything)} pairs  {figures(everything, truth)}",
        f"{count} guests in {seconds:.1f} s ({count / seconds:,.0f} a second), {peak:,.0f} MB at most",
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/dedupe"))
    parser.add_argument("--guests", type=int, default=100_000)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    django.setup()
    if options.data.is_dir():
        print(f"FEBRL 1    {febrl(options.data)}   (published: P 1.000, R 0.992)")
        print(f"fake_1000  {fake_1000(options.data)}   (published: P 0.964, R 0.779, F1 0.862)")
    for line in synthetic(options.guests):
        print(line)


if __name__ == "__main__":
    main()
