"""The page's modules without a browser: their functions run in Node, many of them in one process."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from typing import Any

from broker_sched.server.page.build import HERE, find_node

# Reads a list of [module, function, argument…] and writes the list of what they return. Modules look at the document.
RUN = """
globalThis.document = { documentElement: { dataset: {} }, addEventListener() {}, hidden: false };
const calls = JSON.parse(require('fs').readFileSync(0, 'utf8'));
Promise.all(calls.map(async ([file, name, ...given]) => (await import(file))[name](...given)))
  .then((replies) => process.stdout.write(JSON.stringify(replies), () => process.exit(0)));
"""


def called(calls: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Return what functions of modules return. Each call: the module's file, the function, its arguments."""
    node, _ = find_node()
    given = json.dumps([[str(HERE / module), *rest] for module, *rest in calls])
    ran = subprocess.run([node, "-e", RUN], input=given, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stderr
    replies: list[Any] = json.loads(ran.stdout)
    return replies
