"""Every template compiles, every address in it exists, and none carries scripts or styles of its own."""

import re
from pathlib import Path

import pytest
from django.template.loader import get_template
from django.urls import get_resolver

PROJECT = Path(__file__).resolve().parents[2]
TEMPLATES = sorted(
    path
    for folder in [PROJECT / "templates", *PROJECT.glob("*/templates")]
    if folder.parent == PROJECT or folder == PROJECT / "templates"
    for path in folder.rglob("*.*")
    if path.suffix in {".html", ".txt"}
)
URL_TAG = re.compile(r"""{%-?\s*url\s+(['"])(?P<name>[^'"]+)\1""")
INLINE = re.compile(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*(\bsrc=|application/json))|javascript:", re.IGNORECASE)


def name_of(path):
    return str(path).split("/templates/", 1)[1]


def known_names():
    def walk(resolver, namespace):
        for pattern in resolver.url_patterns:
            if hasattr(pattern, "url_patterns"):
                inner = f"{namespace}{pattern.namespace}:" if pattern.namespace else namespace
                yield from walk(pattern, inner)
            elif pattern.name:
                yield f"{namespace}{pattern.name}"

    return set(walk(get_resolver(), ""))


@pytest.mark.parametrize("path", TEMPLATES, ids=name_of)
def test_a_template_compiles(path):
    assert get_template(name_of(path))


def test_every_address_in_a_template_exists():
    names = known_names()
    missing = {
        f"{name_of(path)}: {match['name']}"
        for path in TEMPLATES
        for match in URL_TAG.finditer(path.read_text())
        if match["name"] not in names
    }

    assert missing == set()


def test_no_template_carries_inline_scripts_or_styles():
    inline = {f"{name_of(path)}: {match[0]}" for path in TEMPLATES for match in INLINE.finditer(path.read_text())}

    assert inline == set()
