"""Prometheus' own evaluation of our rules and queries, over series that a test gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.debian_programs import debian_program
from tests.deploy.reading import DEPLOY

RULES = DEPLOY / "prometheus-alerts.yaml"
FIRING = 'group by (alertname) (ALERTS{alertstate="firing"})'  # 1 for each alert that fires
Series = Mapping[str, str]  # a series as promtool has it → its values, one a minute: "0+1x60"


def rules() -> list[dict[str, Any]]:
    """The alerts as the file has them."""
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def one_of(query: str, minute: int, labels: Sequence[str] = ("{}",)) -> dict[str, Any]:
    """That a query gives 1 for each of these label sets, and nothing else, at this minute."""
    expected = [{"labels": each, "value": 1} for each in labels]
    return {"expr": query, "eval_time": f"{minute}m", "exp_samples": expected}


def fires(minute: int, *alerts: str) -> dict[str, Any]:
    """That these alerts fire at this minute, and no others."""
    return one_of(FIRING, minute, [f'{{alertname="{each}"}}' for each in alerts])


def check(directory: Path, cases: Sequence[tuple[Series, Sequence[dict[str, Any]]]]) -> None:
    """Let promtool evaluate the rules over the series of each case, and compare what is expected of it."""
    tests = [
        {
            "interval": "1m",
            "input_series": [{"series": name, "values": values} for name, values in series.items()],
            "promql_expr_test": list(expected),
        }
        for series, expected in cases
    ]
    path = directory / "test.yaml"
    path.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}))
    ran = debian_program("promtool").run("test", "rules", str(path))
    assert ran.returncode == 0, ran.stdout + ran.stderr
