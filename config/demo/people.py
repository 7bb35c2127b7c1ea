"""Invented guests: names, telephones, documents. Any likeness to a person is chance."""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass

from members.models import Consent
from members.rules.identity import id_card_check_character
from members.services.guests import GuestInput

# By frequency, so that the demo has many 王 and few 欧阳 and some people share a name.
SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤"
COMPOUND_SURNAMES = ("欧阳", "司马", "上官", "诸葛", "尉迟", "令狐", "皇甫", "慕容")
FEMALE_NAMES = (
    "静", "敏", "丽", "娟", "燕", "霞", "婷", "雪", "倩", "琳", "颖", "洁", "薇", "瑶", "怡", "妍",
    "婉清", "雨桐", "梦瑶", "诗涵", "欣怡", "思琪", "佳怡", "雅静", "晓燕", "玉兰", "秀英", "桂英", "海燕", "春梅", "丽华", "美玲",
    "淑芬", "雪梅", "晓彤", "若曦", "紫萱", "子涵", "语嫣", "可欣", "书瑶", "清扬", "沐晴", "文君", "一诺", "佩玲",
)  # fmt: skip
MALE_NAMES = (
    "伟", "强", "磊", "军", "勇", "杰", "涛", "明", "超", "刚", "平", "辉", "鹏", "浩", "宇", "斌",
    "建国", "志强", "文博", "浩然", "子轩", "宇航", "俊杰", "思远", "天佑", "国庆", "建军", "志明", "海涛", "晓东", "立新", "永强",
    "家豪", "泽宇", "梓豪", "明轩", "俊熙", "博文", "承恩", "嘉诚", "书恒", "景行", "牧之", "长风", "一鸣", "锦程",
)  # fmt: skip
COMPANIES = (
    "华东电力设计院", "临江生物医药有限公司", "青禾教育集团", "远帆物流股份有限公司", "星河软件有限公司",
    "南屿海洋工程公司", "云程航空服务", "北辰律师事务所", "锦绣丝绸进出口公司", "百川咨询", "Kestrel Engineering",
    "Marlow & Finch LLP", "Siam Orchid Trading",
)  # fmt: skip
FOREIGN_NAMES = {
    "US": ("Emily", "James", "Olivia", "Michael", "Grace", "Daniel"),
    "GB": ("Charlotte", "Oliver", "Amelia", "Harry", "Isla", "George"),
    "TH": ("Somchai", "Siriporn", "Niran", "Malee", "Kittisak", "Anong"),
    "SG": ("Wei Ming", "Hui Min", "Jun Jie", "Li Ting", "Kai Xiang", "Xin Yi"),
    "JP": ("Kenichi", "Yuki", "Haruto", "Sakura", "Takashi", "Naoko"),
}
FOREIGN_SURNAMES = {
    "US": ("Carter", "Nguyen", "Miller", "Rivera", "Bennett"),
    "GB": ("Ashworth", "Patel", "Whitfield", "Hughes", "Okafor"),
    "TH": ("Wongsakul", "Chaiyasit", "Saelim", "Rattanakorn", "Boonmee"),
    "SG": ("Tan", "Lim", "Goh", "Ong", "Koh"),
    "JP": ("Sato", "Yamamoto", "Kobayashi", "Nakamura", "Ishikawa"),
}
# Administrative divisions, as the first six digits of an ID card (GB/T 2260).
DIVISIONS = ("310101", "310115", "110105", "110108", "330106", "440106", "510107", "320102", "420106", "460203")
MOBILE_PREFIXES = ("130", "135", "136", "137", "138", "139", "150", "158", "159", "177", "186", "188", "189")
FOREIGN_SHARE = 0.08
PRIVACY_TEXT = "privacy-2024-03"


@dataclass(frozen=True)
class Memorable:
    """A guest to try things out with: known name and telephone, and what makes them worth trying."""

    guest: GuestInput
    # Stays in the last two years; decides the tier.
    stays: int
    is_member: bool = True
    # How the guest stands today at the first property: "in_house", "due_in", "due_out" or "".
    today: str = ""
    notes: tuple[tuple[str, str], ...] = ()
    ticket: str = ""


def _person(name: str, phone: str, gender: str, birthday: dt.date, **more: str) -> GuestInput:
    return GuestInput(name=name, phone=phone, gender=gender, birthday=birthday, nationality="CN", **more)


MEMORABLE = (
    Memorable(
        _person("陈思远", "13800006621", "male", dt.date(1986, 4, 12), company="星河软件有限公司", language="zh-hans"),
        stays=24,
        today="in_house",
        notes=(("allergy", "花生过敏（曾送医），所有餐食须核对"), ("room", "高楼层，远离电梯"), ("bedding", "荞麦枕")),
        ticket="空调夜间噪音大，影响睡眠",
    ),
    Memorable(
        _person("欧阳明月", "13900002718", "female", dt.date(1979, 9, 3), company="北辰律师事务所"),
        stays=46,
        today="due_in",
        notes=(("service", "抵店前电话确认接机"), ("food", "早餐要无糖豆浆")),
    ),
    Memorable(
        _person("周建国", "13700003141", "male", dt.date(1951, 2, 20)),
        stays=9,
        today="due_out",
        notes=(("medical", "装有心脏起搏器，勿经过强磁设备"), ("room", "需要无障碍卫生间")),
    ),
    Memorable(_person("林婉清", "15800001618", "female", dt.date(1993, 11, 22)), stays=13, today="in_house"),
    Memorable(_person("王静", "13600001234", "female", dt.date(1990, 5, 1)), stays=5),
    Memorable(_person("王静", "13600005678", "female", dt.date(1972, 8, 15), company="远帆物流股份有限公司"), stays=2),
    Memorable(
        _person("尉迟长风", "18800007777", "male", dt.date(1998, 1, 30)), stays=1, is_member=False, today="due_in"
    ),
    Memorable(
        GuestInput(
            name="Aleksandra Konstantinovna Vasilyeva-Petrovskaya",
            email="aleksandra.vasilyeva@example.com",
            document_type="passport",
            document_number="720019482",
            gender="female",
            birthday=dt.date(1984, 7, 9),
            nationality="RU",
            language="en",
        ),
        stays=6,
        today="in_house",
        notes=(("allergy", "Shellfish allergy (anaphylaxis), carries an EpiPen"),),
    ),
    Memorable(
        GuestInput(
            name="Kenichi Sato",
            email="kenichi.sato@example.com",
            document_type="passport",
            document_number="TK1204877",
            gender="male",
            birthday=dt.date(1968, 12, 5),
            nationality="JP",
            language="en",
            company="Kestrel Engineering",
        ),
        stays=31,
        notes=(("service", "Non-smoking floor, daily newspaper in English"),),
        ticket="Minibar charged twice on the last invoice",
    ),
)


def invent_guests(rng: random.Random, count: int, today: dt.date) -> list[GuestInput]:
    """Invent guests, no two with the same telephone or document."""
    numbers = rng.sample(range(10_000_000, 99_999_999), count)
    return [
        _foreigner(rng, number) if rng.random() < FOREIGN_SHARE else _chinese(rng, number, today) for number in numbers
    ]


def _birthday(rng: random.Random, today: dt.date) -> dt.date:
    age_days = round(rng.triangular(19, 82, 38) * 365.25)
    # Some have their birthday these days, which the desk points out.
    if rng.random() < 0.02:
        near = today + dt.timedelta(days=rng.randint(0, 6))
        return dt.date(today.year - age_days // 365, near.month, min(near.day, 28))
    return today - dt.timedelta(days=age_days)


def _chinese(rng: random.Random, number: int, today: dt.date) -> GuestInput:
    gender = rng.choice(("female", "male"))
    surname = (
        rng.choice(COMPOUND_SURNAMES)
        if rng.random() < 0.01
        else SURNAMES[min(int(rng.expovariate(1 / 22)), len(SURNAMES) - 1)]
    )
    given = rng.choice(FEMALE_NAMES if gender == "female" else MALE_NAMES)
    birthday = _birthday(rng, today)
    document = ""
    if rng.random() < 0.7:
        sequence = number % 499 * 2 + (gender == "male")
        seventeen = f"{rng.choice(DIVISIONS)}{birthday:%Y%m%d}{sequence:03d}"
        document = seventeen + id_card_check_character(seventeen)
    return GuestInput(
        name=surname + given,
        phone=rng.choice(MOBILE_PREFIXES) + f"{number:08d}",
        email=f"g{number}@example.com" if rng.random() < 0.3 else "",
        document_type="id_card" if document else "",
        document_number=document,
        gender=gender,
        birthday=birthday,
        nationality="CN",
        language="zh-hans",
        company=rng.choice(COMPANIES) if rng.random() < 0.25 else "",
    )


def _foreigner(rng: random.Random, number: int) -> GuestInput:
    country = rng.choice(list(FOREIGN_NAMES))
    given, surname = rng.choice(FOREIGN_NAMES[country]), rng.choice(FOREIGN_SURNAMES[country])
    return GuestInput(
        name=f"{surname} {given}" if country == "SG" else f"{given} {surname}",
        email=f"{surname.lower()}.{number}@example.com",
        document_type="passport",
        document_number=f"{country[0]}{number}",
        birthday=dt.date(1950 + number % 52, 1 + number % 12, 1 + number % 28),
        nationality=country,
        language="en",
        company=rng.choice(COMPANIES[-3:]) if rng.random() < 0.3 else "",
    )


def invent_consents(rng: random.Random) -> list[tuple[str, str]]:
    """Purposes and channels that a guest agreed to."""
    consents = [(Consent.Purpose.PROGRAMME.value, Consent.Channel.ANY.value)]
    consents += [
        (Consent.Purpose.MARKETING.value, channel.value)
        for channel in (Consent.Channel.SMS, Consent.Channel.EMAIL, Consent.Channel.WECHAT)
        if rng.random() < 0.4
    ]
    return consents
