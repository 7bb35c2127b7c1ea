"""Every posting says in one sentence what it did, in the reader's language."""

from decimal import Decimal

import pytest
from django.utils import translation

from loyalty.models import Posting
from loyalty.rules.explain import UNDONE_AT_DESK, explain
from loyalty.rules.progress import explain_progress

HOTEL = {"id": 1, "zh": "云栖西湖酒店", "en": "Yunqi West Lake"}
GOLD = {"id": 3, "zh": "金卡", "en": "Gold"}
TEA = {"id": 7, "zh": "下午茶", "en": "Afternoon tea"}


def part(amount, rate, points, name="金卡"):
    return {"rule": 1, "name": name, "rate": rate, "lines": ["1"], "amount": amount, "points": points}


def stay(kind="earn", *, parts=(), total, before=0, **facts):
    return {
        "kind": kind,
        "stay": {"id": 5, "reference": "8821", "arrival": "2026-06-13", "departure": "2026-06-15"},
        "property": HOTEL,
        "tier": GOLD,
        "currency": "CNY",
        "parts": list(parts),
        "total": total,
        "before": before,
        **facts,
    }


CASES = [
    (
        stay(parts=[part("1856.00", "1.5", 2784)], total=2784),
        {"points": 2784},
        "Stay 8821 at Yunqi West Lake as Gold: CNY 1,856.00 × 1.5 (Gold: 1.5 points per CNY) = 2,784 points.",
        "入住 8821（云栖西湖酒店，按金卡计算）：¥1,856.00 × 1.5（金卡，每元 1.5 分） = 2,784 分。",
    ),
    (
        stay(parts=[part("10.50", "2", 21, "水疗双倍"), part("0.90", "1.5", 1), part("0.10", "1", 0)], total=22),
        {"points": 22},
        (
            "Stay 8821 at Yunqi West Lake as Gold: CNY 10.50 × 2 (水疗双倍: 2 points per CNY)"
            " + CNY 0.90 × 1.5 (Gold: 1.5 points per CNY), each rounded down = 22 points."
        ),
        (
            "入住 8821（云栖西湖酒店，按金卡计算）：¥10.50 × 2（水疗双倍，每元 2 分）"
            " + ¥0.90 × 1.5（金卡，每元 1.5 分），分别取整后共 22 分。"
        ),
    ),
    (
        stay(parts=[part("2381.40", "1", 2381)], total=2381),
        {"points": 2381},
        (
            "Stay 8821 at Yunqi West Lake as Gold: CNY 2,381.40 × 1 (Gold: 1 point per CNY),"
            " rounded down = 2,381 points."
        ),
        "入住 8821（云栖西湖酒店，按金卡计算）：¥2,381.40 × 1（金卡，每元 1 分），取整得 2,381 分。",
    ),
    (
        stay(parts=[part("950.00", "0.2", 190)], total=190, currency="THB"),
        {"points": 190},
        "Stay 8821 at Yunqi West Lake as Gold: THB 950.00 × 0.2 (Gold: 0.2 points per THB) = 190 points.",
        "入住 8821（云栖西湖酒店，按金卡计算）：฿950.00 × 0.2（金卡，每泰铢 0.2 分） = 190 分。",
    ),
    (
        stay(parts=[part("500.00", "1.5", 750)], total=750, before=600),
        {"points": 150},
        (
            "Stay 8821 at Yunqi West Lake is now worth CNY 500.00 × 1.5 (Gold: 1.5 points per CNY) = 750 points;"
            " 600 were given, so 150 are added."
        ),
        "入住 8821（云栖西湖酒店）现计 ¥500.00 × 1.5（金卡，每元 1.5 分） = 750 分；此前已发放 600 分，补发 150 分。",
    ),
    (
        stay("clawback", parts=[part("400.00", "1.5", 600)], total=600, before=750),
        {"points": -150},
        (
            "Stay 8821 at Yunqi West Lake is now worth CNY 400.00 × 1.5 (Gold: 1.5 points per CNY) = 600 points;"
            " 750 were given, so 150 are taken back."
        ),
        "入住 8821（云栖西湖酒店）现计 ¥400.00 × 1.5（金卡，每元 1.5 分） = 600 分；此前已发放 750 分，收回 150 分。",
    ),
    (
        stay("clawback", total=0, before=750),
        {"points": -750},
        "Stay 8821 at Yunqi West Lake was refunded: 750 of the 750 points given are taken back.",
        "入住 8821（云栖西湖酒店）已全额退款：收回已发放 750 分中的 750 分。",
    ),
    (
        stay("clawback", total=0, before=750, voided=True, reason="重复入账"),
        {"points": -750},
        "Stay 8821 at Yunqi West Lake was voided (重复入账): its 750 points are taken back.",
        "入住 8821（云栖西湖酒店）已作废（重复入账）：收回 750 分。",
    ),
    (
        {"kind": "redeem", "reward": TEA, "property": HOTEL},
        {"points": -2000},
        "Afternoon tea at Yunqi West Lake for 2,000 points.",
        "在云栖西湖酒店以 2,000 分兑换下午茶。",
    ),
    (
        {"kind": "redeem", "reward": TEA, "property": HOTEL, "quantity": 2, "cash": "360.00", "currency": "CNY"},
        {"points": -4000},
        "Afternoon tea × 2 at Yunqi West Lake for 4,000 points and CNY 360.00.",
        "在云栖西湖酒店以 4,000 分加 ¥360.00 兑换下午茶 × 2。",
    ),
    (
        {"kind": "refund", "reward": TEA, "property": HOTEL, "canceled": True, "spent": 2000, "reason": "停业"},
        {"points": 2000},
        "Afternoon tea was canceled (停业): 2,000 points are back where they came from.",
        "已取消兑换下午茶（停业）：2,000 分已原路退回。",
    ),
    (
        {"kind": "refund", "reward": TEA, "property": HOTEL, "canceled": True, "spent": 2000, "reason": "停业"},
        {"points": 1500},
        (
            "Afternoon tea was canceled (停业): 1,500 of 2,000 points are given back,"
            " the others had expired meanwhile or paid a debt."
        ),
        "已取消兑换下午茶（停业）：2,000 分中退回 1,500 分，其余已过期或用于抵扣欠分。",
    ),
    (None, {"kind": "earn", "points": 1}, "1 point earned.", "获得 1 分。"),
    (None, {"kind": "bonus", "points": 500, "reason": "生日"}, "500 bonus points: 生日.", "奖励 500 分：生日。"),
    (
        None,
        {"kind": "release", "points": 428},
        "428 pending points can be used from now on.",
        "428 分待生效积分已可使用。",
    ),
    (None, {"kind": "redeem", "points": -100}, "100 points spent.", "使用 100 分。"),
    (
        None,
        {"kind": "refund", "points": 100, "reason": "停业"},
        "100 points given back: 停业.",
        "退回 100 分：停业。",
    ),
    (None, {"kind": "expire", "points": -70}, "70 points expired unused.", "70 分到期未用，已失效。"),
    (
        None,
        {"kind": "adjust", "points": 300, "reason": "补偿"},
        "300 points added by hand: 补偿.",
        "人工增加 300 分：补偿。",
    ),
    (
        None,
        {"kind": "adjust", "points": -300, "reason": "误发"},
        "300 points taken off by hand: 误发.",
        "人工扣减 300 分：误发。",
    ),
    (None, {"kind": "clawback", "points": -5}, "5 points taken back: no reason given.", "收回 5 分：未说明原因。"),
    (None, {"kind": "hold", "points": -90}, "90 points set aside.", "预留 90 分。"),
    (None, {"kind": "void", "points": 90}, "90 points no longer set aside.", "解除预留 90 分。"),
]


@pytest.mark.parametrize(("explanation", "posting", "english", "chinese"), CASES)
def test_a_posting_explains_itself_in_both_languages(explanation, posting, english, chinese):
    with translation.override("en"):
        assert explain(explanation, **posting) == english
    with translation.override("zh-hans"):
        assert explain(explanation, **posting) == chinese


def test_a_reason_that_ends_as_a_sentence_does_not_end_it_twice():
    with translation.override("zh-hans"):
        assert explain(None, kind="adjust", points=300, reason="空调故障补偿。") == "人工增加 300 分：空调故障补偿。"


def test_an_undo_gives_its_reason_in_the_language_of_the_reader():
    with translation.override("zh-hans"):
        assert explain(None, kind="adjust", points=-300, reason=UNDONE_AT_DESK) == "人工扣减 300 分：前台撤销。"


def test_every_kind_of_posting_has_its_sentence():
    told = {posting.get("kind") or explanation["kind"] for explanation, posting, _english, _chinese in CASES}

    assert told == set(Posting.Kind.values)


@pytest.mark.parametrize(
    ("missing", "english", "chinese"),
    [
        ([("stays", Decimal(1))], "1 stay to go until Gold.", "再入住 1 次即可升为金卡。"),
        (
            [("amount", Decimal(3800)), ("stays", Decimal(4))],
            "CNY 3,800.00 of spend or 4 stays to go until Gold.",
            "再消费 ¥3,800.00或入住 4 次即可升为金卡。",
        ),
        (
            [("amount", Decimal(3800)), ("stays", Decimal(4)), ("nights", Decimal(9))],
            "CNY 3,800.00 of spend, 4 stays or 9 nights to go until Gold.",
            "再消费 ¥3,800.00、入住 4 次或住满 9 晚即可升为金卡。",
        ),
        ([("stays", Decimal(0))], "The threshold for Gold is reached.", "已达到金卡的升级条件。"),
    ],
)
def test_progress_is_one_sentence(missing, english, chinese):
    with translation.override("en"):
        assert explain_progress([[step] for step in missing], tier="Gold", currency="CNY") == english
    with translation.override("zh-hans"):
        assert explain_progress([[step] for step in missing], tier="金卡", currency="CNY") == chinese
