"""Whether the Chinese catalogue has every string of the source, translated, and no other.

Works on the tree it stands in, which it changes: run it in a copy.
"""

import os
import subprocess
import sys
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

SHOWN = 40
CATALOGUE = Path("locale/zh_Hans/LC_MESSAGES/django.po")


def read() -> Catalog:
    """The catalogue as it stands in the tree."""
    with CATALOGUE.open("rb") as file:
        return read_po(file, locale="zh_Hans")


def names(catalogue: Catalog) -> set[tuple[object, object]]:
    """What identifies each message: its text and context."""
    return {(message.id, message.context) for message in catalogue if message.id}


def main() -> int:
    """Print what is wrong, a line each; 1 if anything is."""
    committed = names(read())
    # No merging by likeness: a string that only looks alike is a missing one.
    subprocess.run(
        [sys.executable, "manage.py", "makemessages", "--locale", "zh_Hans", "--no-obsolete", "--add-location", "file",
         "--ignore", "tests/*", "--ignore", "bench/*", "--ignore", "static/*"],
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings.development"},
    )  # fmt: skip
    needed = read()
    problems = [f"fuzzy: {m.id!r}" for m in needed if m.id and m.fuzzy]
    problems += [
        f"not translated: {m.id!r} ({', '.join(path for path, _ in m.locations[:2])})"
        for m in needed
        if m.id and not all([m.string] if isinstance(m.string, str) else m.string or [""])
    ]
    problems += [f"not in the catalogue: {name[0]!r}" for name in names(needed) - committed]
    problems += [f"no longer used: {name[0]!r}" for name in committed - names(needed)]
    for problem in sorted(problems)[:SHOWN]:
        sys.stdout.write(f"   {problem}\n")
    if len(problems) > SHOWN:
        sys.stdout.write(f"   … and {len(problems) - SHOWN} more\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
