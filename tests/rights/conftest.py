"""Rights: what every process calls, evaluated against what Terraform rendered. `test_rights.py` says how, `calls.py` reads the
ledgers, `on_behalf.py` has the calls nobody here can record, `evaluator.py` asks iam-simulate, `test_evaluator.py` shows what
it understands."""

from __future__ import annotations

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [one for kind in ("passed", "failed") for one in terminalreporter.stats.get(kind, [])]
    figures = [figure for one in reports if one.when == "call" for figure in one.user_properties]
    terminalreporter.section("rights")
    for name, value in figures:
        terminalreporter.write_line(f"{name}: {value}")
