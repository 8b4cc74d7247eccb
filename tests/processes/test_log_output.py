"""What our processes write to their logs."""

import json
import subprocess
import sys

PROGRAM = """
import logging
import structlog
from processes.log_output import configure_logging

configure_logging("web", "info")
structlog.get_logger("ours").info("sandbox.created", sandbox="é")
logging.getLogger("theirs").warning("from a %s", "library")
structlog.get_logger("ours").debug("not asked for")
try:
    password = "hush" + "hush"
    raise ValueError("no such thing")
except ValueError:
    structlog.get_logger("ours").exception("sandbox.failed")
"""


def logged() -> str:
    result = subprocess.run(
        (sys.executable, "-P", "-c", PROGRAM), capture_output=True, text=True, check=True, timeout=30
    )
    assert result.stderr == ""
    return result.stdout


def test_each_line_is_one_json_object_with_time_level_and_process() -> None:
    lines = [json.loads(line) for line in logged().splitlines()]
    assert [(line["process"], line["level"], line["event"]) for line in lines] == [
        ("web", "info", "sandbox.created"),
        ("web", "warning", "from a library"),
        ("web", "error", "sandbox.failed"),
    ]
    assert all(line["timestamp"].endswith("Z") for line in lines)


def test_a_traceback_shows_where_and_no_values() -> None:
    text = logged()
    assert json.loads(text.splitlines()[-1])["exception"][0]["exc_value"] == "no such thing"
    assert "hushhush" not in text
