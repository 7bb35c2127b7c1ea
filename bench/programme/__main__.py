"""What the programme costs over all members: `python -m bench.programme [parts …] [--lots 1000000 …]`.

Each part is a module of this package with `add_arguments(parser)` and `measure(options, folder) -> dict`. All run one
after the other on one PostgreSQL of their own with fsync on (data in var/bench-programme, made anew), and each
measures beside the bare statements of the same rows in the same run. Prints tables with ratios and writes
var/bench-programme/result.json.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import pkgutil
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import bench.programme

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "var" / "bench-programme"


def main() -> None:
    names = [m.name for m in pkgutil.iter_modules(bench.programme.__path__) if not m.name.startswith("_")]
    modules = {name: importlib.import_module(f"bench.programme.{name}") for name in names}
    # The others are run by themselves.
    parts = {name: module for name, module in modules.items() if hasattr(module, "measure")}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(parts)}; all by default")
    for part in parts.values():
        part.add_arguments(parser)
    options = parser.parse_args()
    if unknown := set(options.parts) - set(parts):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")

    from config.embedded import start_postgres  # noqa: PLC0415 – settings are chosen below

    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    server = start_postgres(FOLDER)
    try:
        os.environ["DATABASE_URL"] = server.url
        os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings.development"
        os.environ.setdefault("CELERY_BROKER_URL", "redis://127.0.0.1:1/0")
        subprocess.run([sys.executable, "manage.py", "migrate", "--verbosity", "0"], cwd=ROOT, check=True)
        import django  # noqa: PLC0415

        django.setup()
        from django.db import connection  # noqa: PLC0415

        with connection.cursor() as cursor:
            cursor.execute("SELECT version(), current_setting('fsync'), current_setting('synchronous_commit')")
            postgresql = cursor.fetchone()
        result = {
            "machine": {"cores": os.cpu_count(), "platform": platform.platform()},
            "postgresql": postgresql,
            "parts": {name: parts[name].measure(options, FOLDER) for name in options.parts or parts},
        }
        (FOLDER / "result.json").write_text(json.dumps(result, indent=2, default=str) + "\n", encoding="utf-8")
        verified = subprocess.run(
            [sys.executable, "manage.py", "verify_ledger"], cwd=ROOT, check=False, capture_output=True
        )
        print("verify_ledger:", "adds up" if verified.returncode == 0 else verified.stdout.decode())
    finally:
        server.stop()


if __name__ == "__main__":
    main()
