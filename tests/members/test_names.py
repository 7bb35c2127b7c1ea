import pytest
from hypothesis import given
from hypothesis import strategies as st

from members.rules.names import INITIALS_MAX_LENGTH, PINYIN_MAX_LENGTH, clean_name, latin_key, pinyin_of


@pytest.mark.parametrize(
    ("name", "full", "initials"),
    [
        ("陈思远", "chensiyuan", "csy"),
        ("曾国藩", "zengguofan", "zgf"),
        ("单雄信", "shanxiongxin", "sxx"),
        ("单于晴", "chanyuqing", "cyq"),
        ("仇英", "qiuying", "qy"),
        ("解缙", "xiejin", "xj"),
        ("查良镛", "zhaliangyong", "zly"),
        ("区小姐", "ouxiaojie", "oxj"),
        ("尉迟恭", "yuchigong", "ycg"),
        ("长孙无忌", "zhangsunwuji", "zswj"),
        ("欧阳娜娜", "ouyangnana", "oynn"),
        ("任盈盈", "renyingying", "ryy"),
        ("吕布", "lvbu", "lb"),
        ("重庆", "chongqing", "cq"),
        ("阿依古丽·买买提", "ayigulimaimaiti", "ayglmmt"),
        ("阿依古丽•买买提", "ayigulimaimaiti", "ayglmmt"),
        ("John Smith", "johnsmith", "js"),
        ("José García", "josegarcia", "jg"),
        ("O'Brien, Mary", "obrienmary", "om"),
        ("Müller", "mvller", "m"),
        ("王小明 Tom", "wangxiaomingtom", "wxmt"),
        ("오세훈", "", ""),
        ("", "", ""),
    ],
)
def test_pinyin_and_initials(name, full, initials):
    assert pinyin_of(name) == (full, initials)


@pytest.mark.parametrize("spelling", ["lü", "LYU", "lv", "Lü"])
def test_the_spellings_of_lv_are_one(spelling):
    assert latin_key(spelling) == "lv"


@pytest.mark.parametrize("word", ["lyuan", "nyanya", "yu", "liu"])
def test_other_syllables_keep_their_y(word):
    assert latin_key(word) == word


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("张 三", "张三"),
        ("　张三　", "张三"),
        ("阿依古丽•买买提", "阿依古丽·买买提"),
        ("阿依古丽 ・ 买买提", "阿依古丽·买买提"),
        ("迪丽热巴．迪力木拉提", "迪丽热巴·迪力木拉提"),
        ("Ｊｏｈｎ  Smith", "John Smith"),
        ("张三\u200b\n", "张三"),
        ("王小明 Tom", "王小明 Tom"),
        ("·", ""),
    ],
)
def test_stored_form_of_a_name(raw, clean):
    assert clean_name(raw) == clean


@given(st.text())
def test_cleaning_a_clean_name_changes_nothing(raw):
    once = clean_name(raw)

    assert clean_name(once) == once


@given(st.text(max_size=400))
def test_pinyin_fits_its_columns_and_is_plain(name):
    full, initials = pinyin_of(name)

    assert len(full) <= PINYIN_MAX_LENGTH
    assert len(initials) <= INITIALS_MAX_LENGTH
    assert (full + initials).isascii()
    assert full + initials == latin_key(full + initials) or "yu" in full
    assert full[:1] == initials[:1]


@given(st.text(alphabet="陈思远王伟单曾", min_size=1, max_size=4))
def test_a_chinese_name_has_one_initial_a_character(name):
    assert len(pinyin_of(name)[1]) == len(name)
