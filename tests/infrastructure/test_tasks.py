"""Tasks sent by the web reach our broker."""

import subprocess
import sys

from tests.conftest import PROJECT

SCRIPT = """
import threading
import config.wsgi
from members.tasks import run_import
found = []
thread = threading.Thread(target=lambda: found.append(run_import.app.main))
thread.start()
thread.join()
print(found[0])
"""


def test_a_thread_of_the_web_server_sends_tasks_through_our_application():
    answer = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=PROJECT, capture_output=True, text=True, check=True, timeout=60
    )

    assert answer.stdout.strip() == "guike"
