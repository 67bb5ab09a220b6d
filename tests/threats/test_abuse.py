"""Requests that are too large, too many, too slow or no requests at all, against the real server."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from PIL import Image

from tests.conftest import Visitor, png
from tests.jobs.test_engine import until
from tests.threats.conftest import UPLOAD_MB, Address

MEGABYTE = 1_000_000
FILE = b'Content-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
FIELD = b'Content-Disposition: form-data; name="to"\r\n\r\n'


def request(body: bytes, *headers: str, path: str = "/api/images", length: int | None = None) -> bytes:
    """Return a POST in bytes."""
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Connection: close", *headers]
    if not any(header.startswith("Transfer-Encoding") for header in headers):
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def parts(*contents: bytes, end: bytes = b"--x--\r\n") -> bytes:
    """Return a multipart body."""
    return b"".join(b"--x\r\n" + content + b"\r\n" for content in contents) + end


MULTIPART = "Content-Type: multipart/form-data; boundary=x"
CHUNKED = "Transfer-Encoding: chunked"
PIECE = b"10000\r\n" + bytes(0x10000) + b"\r\n"
TOO_MUCH = {
    "a little over": (request(bytes((UPLOAD_MB * MEGABYTE) + 1000), MULTIPART)),
    "far over": request(bytes(4 * UPLOAD_MB * MEGABYTE), MULTIPART),
    "announced": request(b"", MULTIPART, length=10**15),
    "in chunks": request(PIECE * 80 + b"0\r\n\r\n", MULTIPART, CHUNKED),
    "many parts": request(parts(*[FIELD + b"1"] * 7000), MULTIPART),
    "a long field": request(parts(FIELD + b"a" * 600_000), MULTIPART, path="/samples"),
    "dashes at the end": request(parts(FILE + png()) + b"-" * 4 * MEGABYTE, MULTIPART),
}


@pytest.mark.parametrize("kind", TOO_MUCH)
def test_too_much_is_refused_at_once(server: Address, kind: str) -> None:
    answer = server.send(TOO_MUCH[kind])
    # Where the connection is closed on us while we still send, nothing may be left to read.
    assert answer.startswith(b"HTTP/1.1 413") or (not answer and len(TOO_MUCH[kind]) > UPLOAD_MB * MEGABYTE)
    assert b"Traceback" not in answer
    assert server.get("/api/").startswith(b"HTTP/1.1 200")


def test_dashes_within_the_limit(server: Address) -> None:
    answer = server.send(request(parts(FILE + png()) + b"-" * int(1.8 * MEGABYTE), MULTIPART))
    assert answer[9:12] in (b"200", b"400", b"413")


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("POST", "/api/runs", {"data": "{", "content_type": "application/json"}, 400),
        ("POST", "/api/runs", {"data": b"\xff", "content_type": "application/json"}, 400),
        ("POST", "/api/runs", {"data": "[" * 100_000, "content_type": "application/json"}, 400),
        ("POST", "/api/what-if", {"data": "", "content_type": "application/json"}, 400),
        ("PATCH", "/api/images", {}, 405),
        ("GET", "/api/runs/x/cancel", {}, 405),
        ("GET", "/api/nope", {}, 404),
        ("POST", "/api/images", {"data": parts(FILE + png()), "content_type": "multipart/form-data"}, 400),
        ("POST", "/api/images", {"data": b"x", "content_type": "multipart/form-data; boundary=x"}, 400),
        ("POST", "/api/images", {"data": parts(FIELD + b"1"), "content_type": "multipart/form-data; boundary=x"}, 400),
        ("POST", "/api/images", {"data": png(), "content_type": "image/png"}, 400),
        ("POST", "/api/images", {}, 400),
    ],
)
def test_what_is_no_request(visitor: Visitor, method: str, path: str, options: dict[str, Any], status: int) -> None:
    answer: Any = visitor.open(path, method=method, **options)
    assert answer.status_code == status
    assert answer.json["ok"] is False
    assert answer.json["error"]["message"].endswith(".")
    assert "Traceback" not in answer.text


def test_half_sent_requests_keep_nobody_waiting(server: Address) -> None:
    half: list[socket.socket] = []
    try:
        for number in range(20):
            connection = server.connect()
            half.append(connection)
            whole = request(b"", MULTIPART, length=100_000)
            connection.sendall(whole[: 20 + number * 10])
        for _ in range(5):
            assert server.get("/api/").startswith(b"HTTP/1.1 200")
    finally:
        for connection in half:
            connection.close()


def answered(server: Address, path: str, cookie: str, method: str = "GET") -> bytes:
    """Return the body of an answer to a visitor with a cookie."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Cookie: {cookie}", "Connection: close", "", ""]
    head, _, body = server.send("\r\n".join(lines).encode()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), body
    return body


def one_of_many(server: Address, number: int) -> bool:
    """Upload an image of an own colour, see it listed and served, and leave."""
    colour = (number * 5 % 256, 255 - number, number)
    sent = parts(FILE.replace(b"a.png", b"%d.png" % number) + png(Image.new("RGB", (9, 6), colour)))
    head, _, body = server.send(request(sent, MULTIPART)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    cookie = head.lower().split(b"set-cookie: ")[1].split(b";")[0].decode()
    mine = body.split(b'"file":"')[1].split(b'"')[0].decode()
    listed = answered(server, "/api/images", cookie)
    served = answered(server, f"/api/inputs/{mine}", cookie)
    page = answered(server, "/", cookie)
    answered(server, "/api/reset", cookie)
    # Only its own, in all three.
    return (
        (listed.count(b'"uid"'), b'"%d.png"' % number in listed) == (1, True)
        and served == png(Image.new("RGB", (9, 6), colour))
        and page.count(b"data-uid=") == 1
    )


def test_fifty_clients_at_once_are_not_mixed_up(server: Address) -> None:
    threads, memory = server.state("Threads"), server.state("VmRSS")
    with ThreadPoolExecutor(50) as clients:
        assert all(clients.map(lambda number: one_of_many(server, number), range(50)))
    assert server.state("Threads") <= threads + 8
    assert server.state("VmRSS") < memory + 100_000


def test_a_client_that_hangs_up_stops_the_run_that_it_waits_for(server: Address) -> None:
    head = server.send(request(parts(FILE + png()), MULTIPART)).partition(b"\r\n\r\n")[0]
    cookie = head.lower().split(b"set-cookie: ")[1].split(b";")[0].decode()
    waiting = server.connect()
    address = "/api/visualize?image=0&visualizer=Slow&Steps=100000"
    waiting.sendall(f"GET {address} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n".encode())
    until(lambda: b'"state":"running"' in answered(server, "/api/runs", cookie))
    waiting.close()
    until(lambda: b'"state":"cancelled"' in answered(server, "/api/runs", cookie), 5)
    answered(server, "/api/reset", cookie)


def test_requests_that_wait_leave_threads_for_others(server: Address) -> None:
    heads = [server.send(request(parts(FILE + png()), MULTIPART)).partition(b"\r\n\r\n")[0] for _ in range(3)]
    cookies = [head.lower().split(b"set-cookie: ")[1].split(b";")[0].decode() for head in heads]
    address = "/api/visualize?image=0&visualizer=Slow&Steps=100000"
    waiting = [server.connect() for _ in range(2)]
    try:
        for connection, cookie in zip(waiting, cookies, strict=False):
            connection.sendall(f"GET {address} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n".encode())
        until(lambda: all(b'"id"' in answered(server, "/api/runs", cookie) for cookie in cookies[:2]))
        refused = server.get(address, "Host: localhost", f"Cookie: {cookies[2]}")
        assert refused.startswith(b"HTTP/1.1 503")
        assert b"Retry-After" in refused
        for path in ("/healthz", "/", "/api/runs"):
            answered(server, path, cookies[2])
    finally:
        for connection in waiting:
            connection.close()
        for cookie in cookies:
            answered(server, "/api/reset", cookie)


def test_nothing_lies_outside_the_folder_of_the_server(server: Address) -> None:
    # What does not fit into memory is a file without a name; only its descriptor tells where it lies.
    half = request(parts(FILE + png() + bytes(1_400_000)), MULTIPART)
    with server.connect() as connection:
        connection.sendall(half[:-10])
        until(lambda: [file for file in server.files() if "temporary" in file])
        outside = [file for file in server.files() if "(deleted)" in file and "/work/picasso-" not in file]
        assert outside == []
        connection.sendall(half[-10:])
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
