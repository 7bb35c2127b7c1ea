"""How fast the desk finds a guest: `python -m bench.search [--guests 1000000]`.

Makes a database of its own (`guike_bench_search` on the server of DATABASE_URL) with seeded guests, their
phones, documents and membership numbers, serves the program with granian, signs in as a receptionist and
asks `/desk/search/` what a receptionist would ask. Reports p50 and p95 in milliseconds for one client and
for four at once, and beside them the selector alone. The database is kept: a second run measures at once.
Each answer is checked: the guest who was asked for by a whole number must be in it.
"""

from __future__ import annotations

import argparse
import datetime as dt
import http.client
import os
import random
import secrets
import socket
import statistics
import subprocess
import sys
import time
import urllib.parse
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psycopg

ROOT = Path(__file__).resolve().parent.parent
DATABASE = "guike_bench_search"
SEED = 20_260_615
TODAY = dt.date.today()  # noqa: DTZ011 - the property's date is today's
QUERIES = 300
TARGET_MS = 50
CLIENTS = 4

# Shares of surnames in percent (公安部 2020年全国姓名报告 for the first hundred; the rest is thinned out evenly).
SURNAMES = (
    "王7.25 李7.19 张6.83 刘5.38 陈4.53 杨3.08 黄2.23 赵2.17 吴2.05 周2.02 徐1.66 孙1.52 马1.29 朱1.26 胡1.25 郭1.17 何1.14 "
    "林1.13 高1.10 罗1.04 郑0.93 梁0.84 谢0.72 宋0.70 唐0.65 许0.63 邓0.62 韩0.61 冯0.60 曹0.57 彭0.57 曾0.57 肖0.56 田0.54 "
    "董0.53 潘0.49 袁0.48 蔡0.47 蒋0.47 余0.46 于0.45 杜0.44 叶0.44 程0.44 魏0.43 苏0.42 吕0.42 丁0.41 任0.40 卢0.40 姚0.40 "
    "沈0.40 钟0.39 姜0.38 崔0.38 谭0.37 陆0.36 范0.36 汪0.35 廖0.35 石0.34 金0.34 韦0.34 贾0.33 夏0.33 付0.32 方0.32 邹0.31 "
    "熊0.31 白0.30 孟0.30 秦0.29 邱0.29 侯0.28 江0.28 尹0.27 薛0.27 闫0.26 雷0.26 龙0.25 黎0.25 史0.25 陶0.24 贺0.24 毛0.24 "
    "段0.24 郝0.24 顾0.23 龚0.23 邵0.23 覃0.22 武0.22 钱0.22 戴0.21 严0.21 莫0.20 孔0.20 常0.19 汤0.19 康0.18 易0.18 乔0.17 "
    "单0.05 解0.05 仇0.04 区0.04 查0.03 欧阳0.09 上官0.01 司马0.01 诸葛0.01 尉迟0.005"
)
GIVEN_FIRST = (
    "建志文玉晓春国明海金秀永小红子俊宇佳思雅梓浩雨欣诗嘉丽桂凤家伟立振少光庆学新成东亚美素天德宏忠继爱长正兴世云兰清惠淑静艳"
    "丹倩楠宁博泽一若可梦彦景润书安景辰沐奕锦昕芷语承启瑞远思"
)
GIVEN_LAST = (
    "华英兰芳军平明伟强杰梅玲涛霞辉勇斌超波鹏飞娟敏燕红丽萍花珍荣林生祥文龙宇轩涵怡琪妍彤瑶萱豪然阳洋浩宁婷雪琳佳琴云莲清贵福"
    "祥民国良才发旺根庆东海峰山江川泉源凯健康乐安欣悦晨曦航睿哲远帆"
)
GIVEN_SINGLE = "伟芳娜敏静丽强磊军洋勇艳杰娟涛超霞平刚辉鹏飞斌波宇浩凯健俊帆璐莹雪琳晶倩楠丹萍红梅婷玲燕"
LATIN_FIRST = [
    "James",
    "Mary",
    "Robert",
    "Anna",
    "Michael",
    "Sophie",
    "David",
    "Emma",
    "John",
    "Lucas",
    "Maria",
    "Olga",
]
LATIN_LAST = [
    "Smith",
    "Johnson",
    "Brown",
    "Garcia",
    "Martin",
    "Rossi",
    "Silva",
    "Tanaka",
    "Kim",
    "Park",
    "Khan",
    "Dubois",
]


@dataclass
class Person:
    """A guest to ask for."""

    public_id: str
    name: str
    pinyin: str
    initials: str
    phone: str
    number: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--guests", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=QUERIES, help="for each kind of query")
    parser.add_argument("--fresh", action="store_true", help="make the database again")
    parser.add_argument("--explain", action="store_true", help="print the slowest query of each kind")
    args = parser.parse_args()

    url = os.environ.get("DATABASE_URL", "postgres://postgres@127.0.0.1:5432/postgres")
    os.environ["DATABASE_URL"] = urllib.parse.urlsplit(url)._replace(path=f"/{DATABASE}").geturl()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.development")
    is_new = _create_database(url, fresh=args.fresh)

    import django  # noqa: PLC0415 - the settings read the environment set above

    django.setup()
    from django.core.management import call_command  # noqa: PLC0415

    call_command("migrate", verbosity=0)
    _log(f"database {DATABASE}: {'made' if is_new else 'kept'}")
    if _count() != args.guests:
        if not is_new:
            sys.exit(f"{DATABASE} holds another number of guests; start with --fresh")
        _generate(args.guests)
    people = _sample(max(2000, args.queries))
    print(
        f"{args.guests:,} guests, p50 / p95 / max in ms, {args.queries} queries of each kind (target p95 < {TARGET_MS})"
    )
    _measure(people, args.queries, explain=args.explain)


def _log(text: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {text}", flush=True)


def _create_database(url: str, *, fresh: bool) -> bool:
    with psycopg.connect(url, autocommit=True) as connection:
        if fresh:
            connection.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        exists = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
        if not exists:
            connection.execute(f"CREATE DATABASE {DATABASE}")
        return not exists


def _count() -> int:
    from members.models import Guest  # noqa: PLC0415

    return Guest.objects.count()


def _weighted(spec: str) -> tuple[list[str], list[float]]:
    names, weights = [], []
    for entry in spec.split():
        name = entry.rstrip("0123456789.")
        names.append(name)
        weights.append(float(entry[len(name) :]))
    return names, weights


def _names(count: int, rng: random.Random) -> Iterator[tuple[str, str, str]]:
    """Name, pinyin and initials; each part is spelled once, so a million names cost a second."""
    from members.rules.names import pinyin_of  # noqa: PLC0415

    surnames, weights = _weighted(SURNAMES)
    zipf = [1 / (rank + 4) for rank in range(400)]
    given = [
        *((a + b, zipf[i % 97] * zipf[j % 89]) for i, a in enumerate(GIVEN_FIRST) for j, b in enumerate(GIVEN_LAST)),
        *((a, zipf[i] * 0.02) for i, a in enumerate(GIVEN_SINGLE)),
    ]
    surname_spelling = {name: pinyin_of(name + "明") for name in surnames}
    given_spelling = {name: pinyin_of("李" + name) for name, _weight in given}
    latin = [(f"{first} {last}") for first in LATIN_FIRST for last in LATIN_LAST]
    latin_spelling = {name: pinyin_of(name) for name in latin}
    chosen = zip(
        rng.choices(surnames, weights, k=count),
        rng.choices([name for name, _w in given], [weight for _n, weight in given], k=count),
        rng.choices([True, False], [0.03, 0.97], k=count),
        strict=True,
    )
    for surname, given_name, is_latin in chosen:
        if is_latin:
            name = rng.choice(latin)
            yield name, *latin_spelling[name]
            continue
        full, initials = surname_spelling[surname]
        given_full, given_initials = given_spelling[given_name]
        yield (
            surname + given_name,
            full.removesuffix("ming") + given_full.removeprefix("li"),
            initials[:-1] + given_initials[1:],
        )


def _generate(count: int) -> None:
    from django.db import connection  # noqa: PLC0415

    started = time.perf_counter()
    tables = ("members_guest", "members_guestidentity", "members_preference")
    with connection.cursor() as cursor:
        # Foreign keys hold by construction; checking three million of them is not what is measured.
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("SET maintenance_work_mem = '512MB'")
        rebuild = _drop_indexes(cursor, tables)
        _copy_guests(cursor, count)
        _log(f"{count:,} guests copied in {time.perf_counter() - started:.0f} s")
        for statement in rebuild:
            cursor.execute(statement)
        cursor.execute("SELECT setval(pg_get_serial_sequence('members_guest', 'id'), max(id)) FROM members_guest")
        cursor.execute("SET session_replication_role = origin")
        _copy_visits(cursor, count)
        for table in (*tables, "members_stay", "members_reservation"):
            cursor.execute(f"VACUUM ANALYZE {table}")
    _log(f"indexes built, all in {time.perf_counter() - started:.0f} s")


def _drop_indexes(cursor, tables: tuple[str, ...]) -> list[str]:
    """Drop every index but the primary keys; return the statements that bring them back."""
    cursor.execute(
        """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE conrelid::regclass::text = ANY(%s) AND contype = 'u'
        """,
        [list(tables)],
    )
    rebuild = []
    for table, name, definition in cursor.fetchall():
        rebuild.append(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")
        cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    cursor.execute(
        """
        SELECT indexname, indexdef FROM pg_indexes
        WHERE tablename = ANY(%s) AND indexname NOT LIKE '%%_pkey'
        """,
        [list(tables)],
    )
    for name, definition in cursor.fetchall():
        rebuild.append(definition)
        cursor.execute(f"DROP INDEX {name}")
    return rebuild


def _copy_guests(cursor, count: int) -> None:
    from members.rules.identity import ID_CARD, id_card_check_character, mask  # noqa: PLC0415
    from members.services import vault  # noqa: PLC0415

    rng = random.Random(SEED)
    now = dt.datetime.now(dt.UTC)
    columns = (
        "id, public_id, name, name_pinyin, name_initials, gender, nationality, language, company, birthday, "
        "last_stay_date, version, created_at, updated_at"
    )
    with cursor.copy(f"COPY members_guest ({columns}) FROM STDIN") as copy:
        for pk, (name, full, initials) in enumerate(_names(count, rng), start=1):
            last_stay = TODAY - dt.timedelta(days=int(rng.expovariate(1 / 400))) if rng.random() < 0.7 else None
            birthday = dt.date(rng.randint(1945, 2006), rng.randint(1, 12), rng.randint(1, 28))
            copy.write_row(
                (pk, uuid.UUID(int=rng.getrandbits(128), version=4), name, full, initials, "", "CN", "", "", birthday,
                 last_stay, 1, now, now)
            )  # fmt: skip
    prefixes = [f"1{second}{third}" for second in "35789" for third in range(10) if second != "5" or third != 4]
    columns = "guest_id, kind, issuer, value, value_index, last4_index, masked, is_primary, created_at"
    with cursor.copy(f"COPY members_guestidentity ({columns}) FROM STDIN") as copy:
        phones = rng.sample(range(len(prefixes) * 10**8), count)
        for pk, phone in enumerate(phones, start=1):
            value = f"+86{prefixes[phone // 10**8]}{phone % 10**8:08d}"
            copy.write_row(
                (pk, "phone", "", vault.encrypt(value.encode()), vault.blind_index("phone", value),
                 vault.last4_index("phone", value), mask("phone", value), True, now)
            )  # fmt: skip
            number = f"GK{pk:08d}"
            copy.write_row(
                (pk, "membership", "GUIKE", number.encode(), vault.blind_index("membership", number), None, number,
                 False, now)
            )  # fmt: skip
            if pk % 2 == 0:
                region, sequence = 110_000 + pk // 2 % 300_000, pk // 2 // 300_000
                birthday = dt.date(1945, 1, 1) + dt.timedelta(days=rng.randrange(22_000))
                body = f"{region}{birthday:%Y%m%d}{sequence:03d}"
                card = body + id_card_check_character(body)
                copy.write_row(
                    (pk, "document", ID_CARD, vault.encrypt(card.encode()), vault.blind_index("document", card),
                     vault.last4_index("document", card), mask("document", card), True, now)
                )  # fmt: skip
    with cursor.copy(
        "COPY members_preference (guest_id, category, severity, text, source, created_at, updated_at) FROM STDIN"
    ) as copy:
        for pk in rng.sample(range(1, count + 1), count // 50):
            copy.write_row((pk, "allergy", "alert", "花生过敏", "bench", now, now))


def _copy_visits(cursor, count: int) -> None:
    """A property with 300 guests in house and 150 arrivals, a receptionist, and two years of stays."""
    from hotels.models import Brand, HotelGroup, Property, StaffAssignment, User  # noqa: PLC0415

    group = HotelGroup.objects.create(name="云栖酒店集团", name_en="Yunqi Hotels")
    brand = Brand.objects.create(group=group, code="YQ", name="云栖", name_en="Yunqi")
    place = Property.objects.create(brand=brand, code="SHA", name="上海云栖", name_en="Yunqi Shanghai")
    user = User.objects.create_user("bench-receptionist", password=uuid.uuid4().hex)
    StaffAssignment.objects.create(user=user, role="receptionist", property=place)
    rng = random.Random(SEED + 1)
    now = dt.datetime.now(dt.UTC)
    columns = (
        "public_id, property_id, source_system, source_reference, guest_id, arrival_date, departure_date, room_number, "
        "rate_plan, channel, market_segment, status, {extra}, currency, created_at, updated_at"
    )
    present = rng.sample(range(1, count + 1), 450)
    with cursor.copy(f"COPY members_stay ({columns.format(extra='content_hash, net_total')}) FROM STDIN") as copy:
        visits = [
            (guest, "in_house", f"{8 + i // 30:02d}{i % 30 + 1:02d}", TODAY) for i, guest in enumerate(present[:300])
        ]
        visits += [
            (rng.randint(1, count), "checked_out", "", TODAY - dt.timedelta(days=rng.randint(1, 700)))
            for _stay in range(count // 2)
        ]
        for number, (guest, status, room, date) in enumerate(visits):
            copy.write_row(
                (uuid.UUID(int=rng.getrandbits(128), version=4), place.pk, "bench", f"S{number:08d}", guest,
                 date - dt.timedelta(days=1), date + dt.timedelta(days=number % 3), room, "", "", "", status, "", 0, "CNY",
                 now, now)
            )  # fmt: skip
    with cursor.copy(
        f"COPY members_reservation ({columns.format(extra='adults, children, amount')}) FROM STDIN"
    ) as copy:
        for number, guest in enumerate(present[300:]):
            copy.write_row(
                (uuid.UUID(int=rng.getrandbits(128), version=4), place.pk, "bench", f"R{number:08d}", guest, TODAY,
                 TODAY + dt.timedelta(days=2), "", "", "", "", "reserved", 1, 0, 0, "CNY", now, now)
            )  # fmt: skip


def _sample(count: int) -> list[Person]:
    from members.models import Guest, GuestIdentity  # noqa: PLC0415
    from members.services import vault  # noqa: PLC0415

    rng = random.Random(SEED + 2)
    ids = rng.sample(range(1, _count() + 1), count)
    guests = Guest.objects.in_bulk(ids)
    phones = dict(GuestIdentity.objects.filter(guest__in=ids, kind="phone").values_list("guest_id", "value"))
    return [
        Person(
            public_id=str(guest.public_id),
            name=guest.name,
            pinyin=guest.name_pinyin,
            initials=guest.name_initials,
            phone=vault.decrypt(phones[pk]).decode().removeprefix("+86"),
            number=f"GK{pk:08d}",
        )
        for pk, guest in ((pk, guests[pk]) for pk in ids)
    ]


# Kind of query, its text for a person, and whether the person must be in the answer.
KINDS: list[tuple[str, Callable[[Person], str], bool]] = [
    ("phone, whole", lambda p: p.phone, True),
    ("phone, last four", lambda p: p.phone[-4:], False),
    ("phone, last six", lambda p: p.phone[-6:], True),
    ("two characters: first two", lambda p: p.name[:2], False),
    ("two characters: given name", lambda p: p.name[-2:], False),
    ("name, whole", lambda p: p.name, False),
    ("surname", lambda p: p.name[:1], False),
    ("surname + last four", lambda p: p.name[:1] + p.phone[-4:], True),
    ("pinyin initials", lambda p: p.initials, False),
    ("pinyin, whole", lambda p: p.pinyin, False),
    ("pinyin, first three letters", lambda p: p.pinyin[:3], False),
    ("pinyin, first six letters", lambda p: p.pinyin[:6], False),
    ("membership number", lambda p: p.number, True),
    ("membership number, start", lambda p: p.number[:7], False),
]


def _measure(people: list[Person], queries: int, *, explain: bool) -> None:
    from django.test import Client  # noqa: PLC0415
    from django.urls import reverse  # noqa: PLC0415

    from hotels.models import Property, User  # noqa: PLC0415
    from members.selectors.search import search_guests  # noqa: PLC0415

    place = Property.objects.select_related("brand").get(code="SHA")
    client = Client()
    client.force_login(
        User.objects.get(username="bench-receptionist"), backend="allauth.account.auth_backends.AuthenticationBackend"
    )
    cookie = f"sessionid={client.cookies['sessionid'].value}"
    path = reverse("members:desk_search")
    with _server() as port:
        ask = _Asker(port, path, cookie)
        _warm_up(port, path, cookie, people)
        worst = 0.0
        print(f"{os.cpu_count()} processors, load before the run: {os.getloadavg()[0]:.1f}")
        print(f"{'':30} {'selector':>20} {'HTTP, 1 client':>22} {f'HTTP, {CLIENTS} clients':>22}")
        for kind, text_of, must_hit in KINDS:
            rng = random.Random(SEED + len(kind))
            asked = [
                person
                for person in rng.choices(people, k=queries * 2)
                if "·" not in person.name and person.name[0] > "z"
            ]
            texts = [(text_of(person), person.public_id if must_hit else "") for person in asked[:queries]]

            def select(text: str) -> str:
                return " ".join(str(hit.public_id) for hit in search_guests(query=text, place=place, today=TODAY))

            inside = _times(select, texts)
            outside = _times(ask, texts)
            with ThreadPoolExecutor(CLIENTS) as pool:
                askers = [_Asker(port, path, cookie) for _client in range(CLIENTS)]
                parts = [texts[i::CLIENTS] for i in range(CLIENTS)]
                crowd = [took for times in pool.map(_times, askers, parts) for took in times]
            print(f"{kind:30} {_summary(inside):>20} {_summary(outside):>22} {_summary(crowd):>22}", flush=True)
            worst = max(worst, _p95(outside), _p95(crowd))
            if explain:
                print(f"    slowest: {texts[inside.index(max(inside))][0]}")
        print(f"worst p95 through HTTP: {worst:.1f} ms (target {TARGET_MS})")
        if worst >= TARGET_MS:
            sys.exit(1)


def _warm_up(port: int, path: str, cookie: str, people: list[Person]) -> None:
    """Let every worker and thread load the program and open its connection."""
    with ThreadPoolExecutor(CLIENTS * 2) as pool:
        askers = [_Asker(port, path, cookie) for _client in range(CLIENTS * 2)]
        parts = [
            [(text_of(person), "") for _kind, text_of, _must in KINDS for person in people[i::50]]
            for i in range(len(askers))
        ]
        list(pool.map(_times, askers, [part[:150] for part in parts]))


def _times(ask: Callable[[str], str], texts: list[tuple[str, str]]) -> list[float]:
    times = []
    for text, expected in texts:
        started = time.perf_counter()
        answer = ask(text)
        times.append((time.perf_counter() - started) * 1000)
        if expected and expected not in answer:
            sys.exit(f"the guest asked for by {text} is not in the answer")
    return times


def _p95(times: list[float]) -> float:
    return statistics.quantiles(times, n=20)[-1]


def _summary(times: list[float]) -> str:
    return f"{statistics.median(times):.1f} / {_p95(times):.1f} / {max(times):.1f}"


class _Asker:
    """A browser's search box: one kept connection, the fragment that htmx asks for."""

    def __init__(self, port: int, path: str, cookie: str) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self.path = path
        token = secrets.token_hex(16)
        self.headers = {
            "Cookie": f"{cookie}; csrftoken={token}",
            "X-CSRFToken": token,
            "Content-Type": "application/x-www-form-urlencoded",
            "HX-Request": "true",
            "HX-Target": "queue",
            "Accept-Language": "zh-Hans",
        }

    def __call__(self, text: str) -> str:
        body = urllib.parse.urlencode({"q": text})
        self.connection.request("POST", self.path, body, headers=self.headers)
        response = self.connection.getresponse()
        answer = response.read().decode()
        if response.status != http.HTTPStatus.OK:
            sys.exit(f"{response.status} for {text}: {answer[:300]}")
        return answer


class _server:  # noqa: N801 - used as a context manager
    """The program under granian, as in production."""

    def __enter__(self) -> int:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port: int = free.getsockname()[1]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port),
             "--workers", "2", "--blocking-threads", "4", "--no-ws", "--log-level", "error", "config.wsgi:application"],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for _attempt in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return port
            time.sleep(0.1)
        sys.exit("granian did not start")

    def __exit__(self, *_error: object) -> None:
        self.process.terminate()
        self.process.wait(timeout=20)


if __name__ == "__main__":
    main()
