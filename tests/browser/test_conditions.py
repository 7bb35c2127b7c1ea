"""The builder of conditions in a real browser, on a staff page and in the admin."""

import json
import os

import pytest
from django.conf import settings
from playwright.sync_api import expect

from hotels.models import Role
from tests.factories import make_property, make_room_type, make_staff

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls("tests.members.condition_pages"),
]

AXE = settings.BASE_DIR / "node_modules/axe-core/axe.min.js"
PAGES = ["/try/", "/admin/try/"]


def choose(field, value):
    """Choose a value as a person would: after the page has taken the field in, a few milliseconds after it is drawn."""
    field.wait_for()
    expect(field.page.locator(".htmx-added, .htmx-settling, .htmx-swapping")).to_have_count(0)
    field.select_option(value)


@pytest.fixture
def builder(page, live_server, sign_in):
    """Opens the builder for a manager; any error of the console fails the test."""
    bund = make_property("BUND", name="云栖外滩公馆", name_en="Yunqi House on the Bund", city="上海")
    make_property("WEST", name="云栖杭州西湖酒店", name_en="Yunqi Hangzhou West Lake", city="杭州")
    make_room_type(bund)
    manager = make_staff(Role.GROUP_MANAGER, username="conditions")
    errors = []
    page.on(
        "console",
        lambda message: errors.append(f"{message.text} {message.location}") if message.type == "error" else None,
    )
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.set_default_timeout(10_000)

    def open_page(path, language="zh-hans"):
        type(manager).objects.filter(pk=manager.pk).update(language=language)
        sign_in(page.context, manager)
        page.goto(f"{live_server.url}{path}")
        return page

    yield open_page
    assert [error for error in errors if "422" not in error] == []


def answer(page):
    page.get_by_role("button", name="OK").click()
    page.wait_for_load_state()
    return json.loads(page.locator("pre").inner_text())


def serious(page):
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run('.conditions').then(r => r.violations)")
    return [(v["id"], v["nodes"][0]["html"]) for v in found if v["impact"] in {"serious", "critical"}]


@pytest.mark.parametrize("path", PAGES)
def test_a_condition_is_built_row_by_row_and_read_as_a_sentence(builder, path):
    page = builder(path)
    expect(page.locator(".conditions-text")).to_be_hidden()
    words = page.locator(".conditions-words")
    expect(words).to_contain_text("不限条件")

    page.get_by_role("button", name="添加条件", exact=True).click()
    first = page.get_by_role("group", name="条件 1", exact=True)
    expect(first.locator(".conditions-field")).to_be_focused()
    choose(first.locator(".conditions-field"), "stay.nights")
    first.locator("input").fill("3")
    page.get_by_role("button", name="添加条件组").click()
    inner = page.get_by_role("group", name="条件 2.1", exact=True)
    choose(inner.locator(".conditions-field"), "stay.property")
    inner.get_by_text("云栖外滩公馆").click()
    expect(words).to_contain_text("入住晚数不少于 3 晚，且酒店为云栖外滩公馆")
    page.get_by_role("group", name="条件组 2").get_by_role("button", name="添加条件", exact=True).first.click()
    last = page.get_by_role("group", name="条件 2.2", exact=True)
    choose(last.locator(".conditions-field"), "guest.tags")
    last.get_by_text("贵宾").click()
    expect(words).to_contain_text("入住晚数不少于 3 晚，且（酒店为云栖外滩公馆，或标签包含贵宾）")
    _photograph(page, f"built{path}")

    assert serious(page) == []
    assert answer(page)["conditions"] == {
        "all": [
            {"field": "stay.nights", "op": "gte", "value": 3},
            {
                "any": [
                    {"field": "stay.property", "op": "in", "value": ["BUND"]},
                    {"field": "guest.tags", "op": "has_any", "value": ["vip"]},
                ]
            },
        ]
    }


@pytest.mark.parametrize("path", PAGES)
def test_what_is_wrong_stands_at_its_row_and_nothing_typed_is_lost(builder, path):
    page = builder(path)
    page.get_by_role("button", name="添加条件", exact=True).click()
    row = page.get_by_role("group", name="条件 1", exact=True)
    choose(row.locator(".conditions-field"), "stay.nights")
    choose(row.locator(".conditions-op"), "between")
    expect(row.locator("input[type=text]")).to_have_count(2)
    row.locator("input[type=text]").first.fill("三")
    page.get_by_role("button", name="添加条件", exact=True).click()
    first, second = (page.get_by_role("group", name=f"条件 {n}", exact=True) for n in (1, 2))
    expect(second.locator(".conditions-field")).to_be_focused()
    page.get_by_role("button", name="OK").click()

    field = first.locator("input[type=text]").first
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_value("三")
    problem = page.locator(f"#{field.get_attribute('aria-describedby')}")
    expect(problem).to_contain_text("请填写范围的起止两端。")
    expect(second).to_contain_text("请选择判断的内容。")
    _photograph(page, f"wrong{path}")

    first.locator("input[type=text]").first.fill("2")
    first.locator("input[type=text]").last.fill("4")
    second.get_by_role("button", name="删除条件 2").click()
    expect(page.get_by_role("group", name="条件 2", exact=True)).to_have_count(0)
    assert answer(page)["conditions"] == {"all": [{"field": "stay.nights", "op": "between", "value": [2, 4]}]}


def test_without_a_mouse(builder):
    page = builder("/try/")
    page.get_by_role("button", name="添加条件", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.locator(".conditions-field")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.locator(".conditions-op")).to_be_visible()
    expect(page.locator(".conditions-field")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator(".conditions-op")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(page.locator(".conditions-words")).to_contain_text("酒店为云栖外滩公馆")
    for _choice in range(3):
        page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="删除条件 1")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="添加条件", exact=True)).to_be_focused()
    expect(page.locator(".conditions-row")).to_have_count(0)


def test_without_javascript_the_condition_is_a_text(builder, browser, live_server, page):
    builder("/try/")
    context = browser.new_context(java_script_enabled=False)
    context.add_cookies(page.context.cookies())
    plain = context.new_page()
    plain.goto(f"{live_server.url}/try/")
    tree = {"all": [{"field": "stay.is_group", "op": "is", "value": False}]}

    expect(plain.locator(".conditions-builder")).to_be_hidden()
    plain.locator(".conditions-text").fill("{")
    plain.get_by_role("button", name="OK").click()
    expect(plain.locator(".conditions-text")).to_have_value("{")
    expect(plain.locator("form.sheet")).to_contain_text("这段文字不是条件。")
    plain.locator(".conditions-text").fill(json.dumps(tree))
    plain.get_by_role("button", name="OK").click()

    assert json.loads(plain.locator("pre").inner_text())["conditions"] == tree
    context.close()


@pytest.mark.parametrize("language", ["zh-hans", "en"])
@pytest.mark.parametrize("path", PAGES)
def test_on_a_tablet_nothing_moves_sideways(builder, page, path, language):
    page.set_viewport_size({"width": 820, "height": 1180})
    builder(path, language)
    for number, name in enumerate(("stay.room_type", "guest.nationality", "stay.net_total", "stay.rate_plan")):
        page.locator(".conditions-root > .conditions-add button").first.click()
        choose(page.locator(f"#id_conditions_{number}_field"), name)
        page.locator(f"#id_conditions_{number}_op").wait_for()
    choose(page.locator("#id_conditions_3_op"), "in")
    page.locator(".conditions-lines textarea").wait_for()
    _photograph(page, f"tablet{path}{language}")

    wide = page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert wide
    small = page.evaluate(
        "[...document.querySelectorAll('.conditions-builder :is(button, select, input[type=text])')]"
        ".filter(e => e.getBoundingClientRect().height < 44).map(e => e.outerHTML)"
    )
    assert small == []
    assert serious(page) == []


def _photograph(page, name):
    """Leaves a picture where GUIKE_SHOTS says, to be looked at."""
    folder = os.environ.get("GUIKE_SHOTS")
    if folder:
        page.screenshot(path=f"{folder}/{name.strip('/').replace('/', '-')}.png", full_page=True, caret="initial")
