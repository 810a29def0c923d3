"""The tasks of luigi's that the tests of tasks load."""

from __future__ import annotations

import luigi


class LuigiSales(luigi.Task):
    """An ordinary one."""

    day = luigi.DateParameter()
    top = luigi.IntParameter(default=10)
    token = luigi.Parameter(default="s3cret", visibility=luigi.parameter.ParameterVisibility.PRIVATE)
    level = luigi.Parameter(default="info", visibility=luigi.parameter.ParameterVisibility.HIDDEN, significant=False)
    owner_email = "a@example.com,b@example.com"
    retry_count = 2


class LuigiOutside(luigi.ExternalTask):
    """Made by nobody."""


class LuigiBoth(luigi.WrapperTask):
    """Requires nothing."""


class LuigiConfig(luigi.Config):
    """A section of the configuration is a task, too."""


class HalfMade(luigi.Task):
    """Its __init__ forgets the base's."""

    def __init__(self) -> None:
        pass
