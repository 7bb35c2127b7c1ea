"""`manage.py demo`: the whole system on this machine, until Ctrl-C."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from django.core.management.base import BaseCommand

from config import embedded
from config.demo.logins import LOGINS, PASSWORD
from config.demo.supervisor import StopRequested, run_demo


class Command(BaseCommand):
    """Starts servers, web, worker and beat; prints where to look and who may sign in."""

    help = "Run the whole system with the demo hotel group, until Ctrl-C"
    requires_system_checks = ()
    requires_migrations_checks = False

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Where to serve."""
        parser.add_argument("--host", default="127.0.0.1", help="address to serve on (default: this machine only)")
        parser.add_argument("--port", type=int, default=8000, help="port to serve on")

    def handle(self, **options: Any) -> None:
        """Run until stopped; exit with 1 and one clear message when something fails."""
        started = time.monotonic()

        def announce(address: str) -> None:
            self.stdout.write(self._welcome(address, time.monotonic() - started))
            self.stdout.flush()

        def say(line: str) -> None:
            self.stdout.write(line)
            self.stdout.flush()

        try:
            run_demo(host=options["host"], port=options["port"], folder=embedded.VAR, say=say, announce=announce)
        except embedded.EmbeddedError as error:
            self.stderr.write(f"guike: {error}")
            sys.exit(1)
        except StopRequested:
            self.stdout.write("\n已停止。 Stopped; the data stay for the next time.")

    def _welcome(self, address: str, seconds: float) -> str:
        lines = [
            "",
            f"归客已启动（{seconds:.0f} 秒）： Guike is running ({seconds:.0f} s):",
            f"  {address}/            工作台 desk",
            f"  {address}/admin/      管理后台 administration",
            f"  {address}/api/docs/   接口文档 API documentation",
            f"密码均为 all with password: {PASSWORD}",
        ]
        lines += [f"  {login.username:<14} {login.title} · {login.title_en}" for login in LOGINS]
        lines += ["日志 logs: var/log/   停止 stop: Ctrl-C", ""]
        return "\n".join(lines)
