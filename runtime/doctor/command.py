"""`python -m runtime doctor`: the findings for people, or as JSON, and an exit code for scripts."""

import json
import logging
import sys
from collections.abc import Sequence

import structlog

from runtime.doctor.examination import examine
from runtime.doctor.findings import Finding
from runtime.settings import RuntimeSettings

MARKS = {"good": "good   ", "limited": "limited", "unfit": "UNFIT  "}


def doctor(*, as_json: bool) -> int:
    """Print the findings; 0 where the runtime would start, 1 where it wouldn't."""
    # Nothing is logged: what happened is in the findings.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    findings = examine(RuntimeSettings())
    fit = all(finding.state != "unfit" for finding in findings)
    if as_json:
        report = {"fit": fit, "findings": [finding.to_json() for finding in findings]}
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
    else:
        sys.stdout.write(_for_people(findings, fit=fit))
    return 0 if fit else 1


def _for_people(findings: Sequence[Finding], *, fit: bool) -> str:
    width = max(len(finding.name) for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f"{MARKS[finding.state]}  {finding.name:{width}}  {finding.detail}")
        if finding.mend:
            lines.append(f"{'':{len(MARKS['good']) + width + 4}}→ {finding.mend}")
    verdict = "Sandboxes can run here." if fit else "Sandboxes can't run here as asked: mend what is UNFIT."
    return "\n".join([*lines, "", verdict, ""])
