"""One of luigi's tasks, which the tests have run by rq workers."""

from __future__ import annotations

import luigi


class LuigiDefaults(luigi.Task):
    """Writes what it finds in its parameters."""

    path = luigi.Parameter()
    limit = luigi.IntParameter(default=None)
    name = luigi.Parameter(default=None)
    number = luigi.Parameter(default=7)

    def output(self) -> luigi.LocalTarget:
        return luigi.LocalTarget(self.path)

    def run(self) -> None:
        with self.output().open("w") as file:
            file.write(repr((self.limit, self.name, self.number)))
