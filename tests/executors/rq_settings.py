"""The settings for `rq worker` through Sentinels, as docs/rq.md has them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

DOCUMENT = Path(__file__).parents[2] / "docs" / "rq.md"


def rq_settings(ports: Sequence[int]) -> str:
    """Return the text of that module, with the Sentinels at these ports of 127.0.0.1 in place of its."""
    (told,) = re.findall("```python\n(# fleet_settings.*?)```", DOCUMENT.read_text(), re.DOTALL)
    instances = ", ".join(f'("127.0.0.1", {port})' for port in ports)
    return re.sub('(?<="INSTANCES": ).*', f"[{instances}],", told)
