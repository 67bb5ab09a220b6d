"""The planted proxies: each is on in nearly all images of the first class and in nearly none of the others.

Half of them, ``tuning``, may be used to develop an audit; the others, ``test``, only to measure it.
"""

from benchmarks.audit.proxies import detail, geometry, light, marks, objects, spectrum
from benchmarks.audit.proxies.base import Half, Proxy, bytes_of

__all__ = ["PROXIES", "Half", "Proxy", "bytes_of"]

PROXIES: dict[str, Proxy] = {
    one.name: one for family in (light, detail, spectrum, geometry, marks, objects) for one in family.PROXIES
}
