"""Forwarded headers of reverse proxies: the client, scheme, host and port of a request."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# A host name or address with or without a port that can be used in a link.
HOST = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
# A name and its value in a Forwarded header, and the separator: ";" for the same proxy, "," for the next one.
PAIR = re.compile(r"\s*+(?:([A-Za-z]+)=(?:\"((?:[^\"\\]|\\.)*+)\"|([^\s\",;]*)))?\s*+([;,]|$)")
#: The WSGI key of the original Host header of the connection.
CONNECTED = "picasso.connected_host"
DEFAULT_PORTS = {"http": 80, "https": 443}


class Claims(NamedTuple):
    """The values in the forwarded headers of a request; "" for missing ones."""

    address: str
    scheme: str
    host: str
    port: str


class Proxies:
    """Applies the forwarded headers of the nearest proxies, so that the application sees the visitor's request.

    Each proxy appends a value to a header or replaces it, so the last ``count`` values come from trusted proxies. The
    first of them describes the visitor. Values before it may be forged by the visitor. Malformed values are ignored;
    then the connection itself counts.

    Args:
        app: the application.
        count: the number of proxies in front of the server, 1 or more.
        family: "X-Forwarded" or "Forwarded", see the setting ``PROXY_HEADERS``. The other family is never read, because
            a proxy that does not know it passes on the visitor's values.
    """

    def __init__(self, app: WSGIApplication, count: int, family: str) -> None:
        self._app, self._count = app, count
        self._read = standard if family == "Forwarded" else customary

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        claims = self._read(environ, self._count)
        environ[CONNECTED] = environ.get("HTTP_HOST", "")
        if address := address_of(claims.address):
            environ["REMOTE_ADDR"] = environ["REMOTE_HOST"] = address
        if (scheme := claims.scheme.lower()) in DEFAULT_PORTS:
            environ["wsgi.url_scheme"] = scheme
        if HOST.fullmatch(claims.host):
            environ["HTTP_HOST"] = claims.host
        environ["HTTP_HOST"] = with_port(environ.get("HTTP_HOST", ""), claims.port, environ["wsgi.url_scheme"])
        return self._app(environ, start_response)


def visitor_behind(count: int, family: str) -> Callable[[str, Mapping[str, str]], str]:
    """Return a function that identifies the client of a request by the address of its connection and its headers.

    Args:
        count: the number of proxies in front of the server, 0 or more.
        family: "X-Forwarded" or "Forwarded".
    """
    read = standard if family == "Forwarded" else customary

    def visitor(address: str, headers: Mapping[str, str]) -> str:
        said = {f"HTTP_{name}": value for name, value in headers.items()}
        return (address_of(read(said, count).address) if count else "") or address

    return visitor


def customary(environ: Mapping[str, str], count: int) -> Claims:
    """Read the X-Forwarded headers."""

    def of(name: str) -> str:
        return environ.get(f"HTTP_X_FORWARDED_{name}", "").split(",")[-count:][0].strip()

    return Claims(of("FOR"), of("PROTO"), of("HOST"), of("PORT"))


def standard(environ: Mapping[str, str], count: int) -> Claims:
    """Read the header Forwarded of RFC 7239; an intermediate proxy need not repeat the scheme and the host."""
    proxies = elements(environ.get("HTTP_FORWARDED", ""))[-count:]

    def of(name: str) -> str:
        return next((proxy[name] for proxy in proxies if name in proxy), "")

    return Claims(proxies[0].get("for", "") if proxies else "", of("proto"), of("host"), "")


def elements(header: str) -> list[dict[str, str]]:
    """Return the values of each proxy in a Forwarded header; none for a malformed element."""
    found: list[dict[str, str]] = [{}]
    place = 0
    while place < len(header):
        pair = PAIR.match(header, place)
        if pair is None:
            return []
        name, quoted, plain, end = pair.groups()
        if name:
            found[-1][name.lower()] = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        if end == ",":
            found.append({})
        place = pair.end()
    return [proxy for proxy in found if proxy]


def address_of(text: str) -> str:
    """Return an IP address without port and brackets; "" if it is not an address."""
    bracketed = re.fullmatch(r"\[([^\]]*)\](?::[0-9]+)?", text)
    bare = bracketed[1] if bracketed else text.partition(":")[0] if text.count(":") == 1 else text
    try:
        address = ipaddress.ip_address(bare.partition("%")[0])
    except ValueError:
        return ""
    # IPv4 addresses in IPv6 notation, as from a proxy that listens on both.
    return str(getattr(address, "ipv4_mapped", None) or address)


def with_port(host: str, port: str, scheme: str) -> str:
    """Return a Host header with the visitor's port added if it has none and the port is not the default."""
    named = re.search(r":[0-9]*$", host) and not host.endswith("]")
    usable = re.fullmatch(r"[0-9]{1,5}", port) and 0 < int(port) < 65536 and int(port) != DEFAULT_PORTS.get(scheme)
    return f"{host}:{int(port)}" if host and usable and not named else host


def visible_port(host: str, scheme: str) -> int:
    """Return the port that the visitor uses, from the Host header and the scheme."""
    port = re.search(r":([0-9]{1,5})$", host)
    return int(port[1]) if port else DEFAULT_PORTS.get(scheme, 80)


def network_of(address: str) -> str:
    """Return the network by which requests are counted: an IPv4 address, or the /64 of an IPv6 address."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    return str(parsed.ipv4_mapped or ipaddress.IPv6Network((parsed, 64), strict=False))
