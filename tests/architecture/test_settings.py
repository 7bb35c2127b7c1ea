"""Production refuses to start with a missing or unsafe setting, and passes Django's own check."""

import base64
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
PII_KEY = base64.b64encode(bytes(range(32))).decode()
SAFE = {
    "DJANGO_SETTINGS_MODULE": "config.settings.production",
    "SECRET_KEY": "k3yx" * 20 + "-Aa9",
    "ALLOWED_HOSTS": "guike.example.com",
    "DATABASE_URL": "postgres://guike@127.0.0.1:1/guike",
    "CELERY_BROKER_URL": "redis://127.0.0.1:1/0",
    "GUIKE_PII_KEYS": f"2026:{PII_KEY}",
    "GUIKE_PII_INDEX_KEY": PII_KEY,
    "EMAIL_URL": "smtp://127.0.0.1:25",
}


def start(**changes):
    """Run the deployment check with the safe settings and some changes; None leaves a variable out."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    variables = {name: value for name, value in {**SAFE, **changes}.items() if value is not None}
    return subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=PROJECT,
        env={**kept, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_deployment_check_is_clean():
    result = start()

    assert result.returncode == 0, result.stderr[-3000:]
    assert "no issues" in result.stdout


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SECRET_KEY", None),
        ("SECRET_KEY", "short"),
        ("SECRET_KEY", "development-only-" + "0" * 60),
        ("ALLOWED_HOSTS", None),
        ("ALLOWED_HOSTS", "*"),
        ("DATABASE_URL", None),
        ("CELERY_BROKER_URL", None),
        ("GUIKE_PII_KEYS", None),
        ("GUIKE_PII_INDEX_KEY", None),
        ("GUIKE_PII_INDEX_KEY", ""),
        ("DATABASE_URL", ""),
        ("DATABASE_URL", "sqlite:///guike.db"),
        ("CELERY_BROKER_URL", ""),
        ("GUIKE_PII_KEYS", "2026:short"),
        ("GUIKE_PII_KEYS", PII_KEY),
        ("GUIKE_PII_KEYS", "dev:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="),
        ("GUIKE_PII_INDEX_KEY", "junk"),
    ],
)
def test_a_missing_or_unsafe_setting_is_refused_by_name(name, value):
    result = start(**{name: value})

    assert result.returncode != 0
    assert name in result.stderr
