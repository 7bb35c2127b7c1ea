"""The command line: `python -m config.embedded`."""

from __future__ import annotations

import argparse
import sys

from config.embedded.processes import (
    EmbeddedError,
)
from config.embedded.together import (
    clean,
    run_command,
)


def main() -> int:
    """Parse the command line; the exit code is the command's own."""
    parser = argparse.ArgumentParser(prog="python -m config.embedded", description="PostgreSQL and Valkey from wheels.")
    commands = parser.add_subparsers(dest="action", required=True)
    run = commands.add_parser("run", help="run a command on throwaway servers")
    run.add_argument("command", nargs=argparse.REMAINDER, help="-- CMD …")
    commands.add_parser("clean", help="delete the demo's data")
    options = parser.parse_args()
    try:
        if options.action == "clean":
            clean()
            return 0
        command = options.command[1:] if options.command[:1] == ["--"] else options.command
        if not command:
            parser.error("a command is missing after --")
        return run_command(command)
    except EmbeddedError as error:
        sys.stderr.write(f"guike: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
