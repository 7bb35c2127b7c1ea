"""The shape of the code: layers, closed lists of modules, promises that the database keeps."""

import subprocess
import sys
from pathlib import Path

import pytest
from django.apps import apps
from django.db import connection, models

PROJECT = Path(__file__).resolve().parents[2]
LAYERS = ["hotels", "members", "loyalty", "feedback", "campaigns"]

MODULES = {
    "__init__",
    "admin",
    "api",
    "apps",
    "conditions",
    "filters",
    "forms",
    "integrations",
    "management",
    "migrations",
    "models",
    "receivers",
    "resources",
    "rules",
    "selectors",
    "services",
    "signals",
    "tasks",
    "templatetags",
    "urls",
    "views",
}
CONFIG_MODULES = {
    "__init__",
    "access",
    "admin",
    "api",
    "api_urls",
    "apps",
    "celery",
    "ciphertexts",
    "context",
    "demo",
    "embedded",
    "errors",
    "health",
    "management",
    "middleware",
    "migrations",
    "settings",
    "sites",
    "urls",
    "wsgi",
}
HISTORY = [
    "hotels_auditentry",
    "loyalty_posting",
    "loyalty_lotmove",
    "loyalty_tierchange",
    "loyalty_qualificationentry",
    "loyalty_voucherevent",
    "loyalty_redemptionevent",
    "loyalty_settlementitem",
    "loyalty_settlementline",
    "loyalty_settlementrate",
    "loyalty_settlementrun",
    "loyalty_approvalrequest",
    "loyalty_movementrecord",
]


def test_foreign_keys_point_downwards_only():
    upward = [
        f"{model._meta.label}.{field.name} → {field.related_model._meta.label}"
        for model in apps.get_models()
        if model._meta.app_label in LAYERS
        for field in model._meta.get_fields()
        if isinstance(field, models.ForeignKey | models.ManyToManyField)
        and field.related_model._meta.app_label in LAYERS
        and LAYERS.index(field.related_model._meta.app_label) > LAYERS.index(model._meta.app_label)
    ]

    assert upward == []


def test_nothing_below_points_at_a_table_above_or_outside():
    outside = {
        f"{model._meta.label}.{field.name}"
        for model in apps.get_models()
        if model._meta.app_label in LAYERS
        for field in model._meta.get_fields()
        if isinstance(field, models.ForeignKey | models.ManyToManyField)
        and field.related_model._meta.app_label not in [*LAYERS, "auth"]
    }

    assert outside == set()


def test_imports_keep_the_layers():
    lint = Path(sys.executable).with_name("lint-imports")

    result = subprocess.run([lint, "--no-cache"], cwd=PROJECT, capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stdout[-2000:]


@pytest.mark.parametrize("app", LAYERS)
def test_an_app_has_only_modules_of_the_closed_list(app):
    assert modules_of(PROJECT / app) - MODULES == set()


def test_the_composition_root_has_only_its_modules():
    assert modules_of(PROJECT / "config") - CONFIG_MODULES == set()


def modules_of(folder):
    return {p.stem for p in folder.glob("*.py")} | {p.parent.name for p in folder.glob("*/__init__.py")}


def test_no_module_is_a_drawer_for_everything():
    names = {"utils", "util", "helpers", "common", "misc", "tools"}
    drawers = [p for app in [*LAYERS, "config"] for p in (PROJECT / app).rglob("*.py") if p.stem in names]

    assert drawers == []


def test_no_module_outgrows_what_one_can_read():
    long = {
        str(path.relative_to(PROJECT)): lines
        for app in [*LAYERS, "config"]
        for path in (PROJECT / app).rglob("*.py")
        if "migrations" not in path.parts and (lines := len(path.read_text().splitlines())) > 620
    }

    assert long == {}


@pytest.mark.django_db
@pytest.mark.parametrize("table", HISTORY)
def test_history_refuses_update_delete_and_truncate(table):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT string_agg(pg_get_triggerdef(oid), ' ') FROM pg_trigger"
            " WHERE tgrelid = %s::regclass AND NOT tgisinternal AND tgenabled = 'O'",
            [table],
        )
        definitions = cursor.fetchone()[0] or ""

    assert {word for word in ("UPDATE", "DELETE", "TRUNCATE") if word not in definitions} == set()


@pytest.mark.django_db
def test_every_choice_field_of_ours_is_checked_by_the_database():
    unchecked = sorted(
        f"{model._meta.label}.{field.name}"
        for model in apps.get_models()
        if model._meta.app_label in LAYERS
        for field in model._meta.concrete_fields
        if field.choices and not isinstance(field, models.BooleanField)
        if not any(
            field.name in str(constraint.condition)
            for constraint in model._meta.constraints
            if isinstance(constraint, models.CheckConstraint)
        )
    )

    assert unchecked == []
