"""The certificate and key of a server that speaks TLS itself, whom it believes of its clients, and how both change."""

from __future__ import annotations

import logging
import os
import ssl
import stat
from dataclasses import dataclass

from broker_sched.errors import ConfigurationError

log = logging.getLogger("bsched.server")

HANDSHAKE_SECONDS = 15.0  # a client that has not finished its handshake by then is given up


@dataclass(frozen=True)
class TLSFiles:
    """Names the files, all in PEM, by which a server speaks TLS."""

    certificate: str  # with those of the authorities between it and one that clients know
    key: str | None = None  # None: it stands in the certificate's file
    key_password_file: str | None = None  # for a key that is encrypted; a line end at the file's end does not count
    client_ca: str | None = None  # whose certificates clients may show; None: they are not asked for any
    requires_client_certificate: bool = False


class TLS:
    """The SSL context for new connections. Connections that stand keep the one with which they began.

    Raises ConfigurationError, as `reload` does, when a file can't be used.
    """

    def __init__(self, files: TLSFiles) -> None:
        self._files = files
        self.context = _context(files)

    def reload(self) -> None:
        """Read all files anew. When one of them can't be used, all that was read before stays."""
        self.context = _context(self._files)

    def reload_or_log(self) -> bool:
        """Tell whether the files could be read anew; why not is logged."""
        try:
            self.reload()
        except ConfigurationError as error:
            log.error("The certificate is not changed, the one from before stays in use: %s", error)
            return False
        log.info("The certificate, its key and the clients' authorities have been read anew.")
        return True


def _context(files: TLSFiles) -> ssl.SSLContext:
    key = files.key or files.certificate
    _check("--tls-cert", files.certificate, b"-----BEGIN CERTIFICATE-----", "certificate")
    _check("--tls-key", key, b"PRIVATE KEY-----", "private key")
    _warn_if_open(key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(files.certificate, key, lambda: _password(files))
    except ssl.SSLError as error:
        raise ConfigurationError(_why_not(files, key, error)) from None
    if files.client_ca is not None:
        _check("--tls-client-ca", files.client_ca, b"-----BEGIN CERTIFICATE-----", "certificate")
        try:
            context.load_verify_locations(files.client_ca)
        except ssl.SSLError as error:
            raise ConfigurationError(f"--tls-client-ca: {files.client_ca} can't be used: {error}.") from None
        context.verify_mode = ssl.CERT_REQUIRED if files.requires_client_certificate else ssl.CERT_OPTIONAL
    return context


def _check(option: str, path: str, mark: bytes, what: str) -> None:
    """Raise ConfigurationError for a file that can't be read, or holds no such thing."""
    try:
        with open(path, "rb") as file:
            if mark not in file.read():
                raise ConfigurationError(f"{option}: {path} holds no {what} in PEM, a text with {mark.decode()} in it.")
    except OSError as error:
        raise ConfigurationError(f"{option}: {path} can't be read: {error.strerror}.") from None


def _warn_if_open(key: str) -> None:
    if os.name == "posix" and os.stat(key).st_mode & stat.S_IRWXO:
        log.warning("The key in %s may be read by every user of this machine. Change that: chmod o= %s", key, key)


def _password(files: TLSFiles) -> str:
    """The password that the key wants."""
    if files.key_password_file is None:
        raise ConfigurationError(
            f"The key in {files.key or files.certificate} is encrypted. Name a file with its password "
            "by --tls-key-password-file, or write a key without one: openssl pkey -in KEY -out NEW"
        )
    try:
        with open(files.key_password_file, encoding="utf-8") as file:
            return file.read().removesuffix("\n").removesuffix("\r")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"--tls-key-password-file: {files.key_password_file}: {error}.") from None


def _why_not(files: TLSFiles, key: str, error: ssl.SSLError) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"The key in {key} is not that of the first certificate in {files.certificate}."
    if files.key_password_file is not None:
        return f"{files.certificate} and {key} can't be used, with the password in {files.key_password_file}: {error}."
    return f"The certificate in {files.certificate} and the key in {key} can't be used: {error}."
