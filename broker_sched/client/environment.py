"""What the environment says about reaching a server: proxies, certificates and logins, as curl and requests read it."""

from __future__ import annotations

import ipaddress
import netrc
import os
import ssl
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import urlsplit

from broker_sched.errors import ConfigurationError

BUNDLES = ("BSCHED_CA", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")  # the certificates to trust, instead of the system's
SYSTEMS = ("SSL_CERT_FILE", "SSL_CERT_DIR")  # where OpenSSL looks for the system's


def proxy_for(base: str) -> str | None:
    """The URL of the proxy for this server: HTTP_PROXY, HTTPS_PROXY or ALL_PROXY, unless NO_PROXY names the server.

    NO_PROXY: host names, which stand for those below them, too; addresses; networks (10.0.0.0/8); or `*`.
    """
    parts = urlsplit(base)
    proxies = urllib.request.getproxies()
    found = proxies.get(parts.scheme) or proxies.get("all")
    if not found or _in_no_proxy(parts.hostname or "") or urllib.request.proxy_bypass(parts.netloc):
        return None
    return found if "://" in found else f"http://{found}"


def _in_no_proxy(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False  # a name
    return any(address in network for network in _exempt_networks())


def _exempt_networks() -> Iterator[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    for text in urllib.request.getproxies().get("no", "").split(","):
        with suppress(ValueError):  # a name, or an address with a port
            yield ipaddress.ip_network(text.strip(), strict=False)


def tls_context() -> ssl.SSLContext:
    """What is trusted: BSCHED_CA, REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE alone, a file or a directory; else the system's.

    SSL_CERT_FILE and SSL_CERT_DIR say what that is; without them certifi's certificates count too, where it is
    installed.
    """
    for variable in BUNDLES:
        if path := os.environ.get(variable):
            return _trusting(variable, path)
    return _trusting_systems()


def clients_tls_context() -> ssl.SSLContext:
    """What is trusted, and the certificate that is shown to a server which asks for one: BSCHED_CLIENT_CERT's.

    BSCHED_CLIENT_KEY has its key, if that does not stand in the same file. Raises ConfigurationError.
    """
    context = tls_context()
    certificate, key = os.environ.get("BSCHED_CLIENT_CERT"), os.environ.get("BSCHED_CLIENT_KEY")
    if not certificate:
        if key:
            raise ConfigurationError("BSCHED_CLIENT_KEY is set, and BSCHED_CLIENT_CERT, the certificate to it, is not.")
        return context
    try:
        context.load_cert_chain(certificate, key or None, _no_password)
    except OSError as error:  # ssl.SSLError is one
        where = certificate if not key else f"{certificate} with the key in {key} (BSCHED_CLIENT_KEY)"
        raise ConfigurationError(f"BSCHED_CLIENT_CERT is {where}, which can't be used: {error}.") from None
    return context


def _no_password() -> str:
    raise ConfigurationError("The key to BSCHED_CLIENT_CERT is encrypted. Write one without a password: openssl pkey.")


def _trusting_systems() -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not any(os.environ.get(variable) for variable in SYSTEMS):
        with suppress(ImportError):
            import certifi

            context.load_verify_locations(certifi.where())
    return context


def _trusting(variable: str, path: str) -> ssl.SSLContext:
    try:
        if os.path.isdir(path):
            return ssl.create_default_context(capath=path)
        return ssl.create_default_context(cafile=path)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigurationError(f"{variable} is {path}, where no certificates can be read: {error}.") from None


def password() -> str:
    """The password of the user whom a URL names without one: BSCHED_PASSWORD, or the file BSCHED_PASSWORD_FILE names.

    A line end at the file's end does not belong to it. Raises ConfigurationError, without the password.
    """
    path = os.environ.get("BSCHED_PASSWORD_FILE")
    if path is None:
        return os.environ.get("BSCHED_PASSWORD", "")
    if "BSCHED_PASSWORD" in os.environ:
        raise ConfigurationError("BSCHED_PASSWORD and BSCHED_PASSWORD_FILE are both set. Leave one of them out.")
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().removesuffix("\n").removesuffix("\r")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"BSCHED_PASSWORD_FILE is {path}, which can't be read: {error}.") from None


def netrc_login(host: str) -> tuple[str, str] | None:
    """User and password for this host in the file that NETRC names, ~/.netrc or ~/_netrc. A broken file has none."""
    named = os.environ.get("NETRC")
    paths = [named] if named else [os.path.expanduser("~/.netrc"), os.path.expanduser("~/_netrc")]
    for path in filter(os.path.exists, paths):
        with suppress(netrc.NetrcParseError, OSError, UnicodeDecodeError):
            if found := netrc.netrc(path).authenticators(host):
                return found[0] or found[1] or "", found[2] or ""
        break
    return None
