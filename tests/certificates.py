"""Real certificates for tests, of an authority of their own."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import NamedTuple

import trustme


class Files(NamedTuple):
    """Where a certificate, with those above it, and its key are."""

    certificate: str
    key: str


class Authority:
    """Issues certificates into a directory; `path` is its own."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._ca = trustme.CA()
        self.path = str(directory / "ca.pem")
        self._ca.cert_pem.write_to_path(self.path)

    def issue(self, *names: str, common_name: str | None = None, to: str | None = None) -> Files:
        """Issue a certificate for these names; to: how its files are called, for one that replaces another."""
        issued = self._ca.issue_cert(*names, common_name=common_name)
        stem = to or names[0]
        files = Files(str(self._directory / f"{stem}.pem"), str(self._directory / f"{stem}.key"))
        Path(files.certificate).write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        key = Path(files.key)
        key.touch(mode=0o600)
        key.write_bytes(issued.private_key_pem.bytes())
        return files

    def context(self, shown: Files | None = None) -> ssl.SSLContext:
        """Trust this authority alone, as a client that shows this certificate, or none."""
        context = ssl.create_default_context(cafile=self.path)
        if shown is not None:
            context.load_cert_chain(*shown)
        return context
