"""What our processes write to their logs."""

import subprocess
import sys

FAILING = """
import structlog
from processes.log_output import configure_logging
configure_logging("web", "info")
def fail():
    key = "".join(["cc_", "hush"])
    raise ValueError("it broke")
try:
    fail()
except ValueError:
    structlog.get_logger().exception("something.failed")
"""


def test_a_traceback_shows_where_it_broke_but_no_value_of_a_variable() -> None:
    done = subprocess.run([sys.executable, "-c", FAILING], capture_output=True, text=True, check=True)
    assert "it broke" in done.stdout
    assert '"fail"' in done.stdout
    assert "cc_hush" not in done.stdout
