"""Saved reports: opened without a server, they render correctly, run no scripts and fetch nothing."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from playwright.sync_api import Page

from picasso.audit.audit import Audit
from picasso.audit.reporting import report
from picasso.audit.reporting.page_policy import content_security_policy
from tests.audit import test_report
from tests.browser.conftest import BROWSER
from tests.conftest import finish, upload

pytestmark = BROWSER

# The same small audit as in that test.
audit = test_report.audit

STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)
HOSTILE = """
<script>document.title = "ran"</script>
<img src="x" onerror="document.title = 'ran'">
<img src="elsewhere/image.png">
<link rel="stylesheet" href="elsewhere/style.css">
<iframe srcdoc="<script>parent.document.title = 'ran'</script>"></iframe>
<base href="elsewhere/">
<p id="styled" style="position: fixed">styled</p>
<style>#styled { float: right }</style>
<form action="other.html"><button>send</button></form>
"""


@pytest.fixture
def run_report(client: FlaskClient) -> str:
    """The report of a run."""
    upload(client)
    started = client.post("/api/runs", json={"visualization": "SaliencyMaps"}).get_json()
    run = finish(client, started["id"])
    return client.get(f"/api/runs/{run['id']}/report.html").text


@pytest.fixture
def audit_report(audit: Audit, tmp_path: Path) -> str:
    """The report of an audit."""
    report.write(audit, tmp_path / "out")
    return (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


@pytest.fixture
def complaints(page: Page) -> list[str]:
    """The errors that the browser logs."""
    found: list[str] = []
    page.on("console", lambda message: found.append(message.text))
    page.on("pageerror", lambda error: found.append(str(error)))
    return found


@pytest.fixture
def elsewhere() -> Iterator[socket.socket]:
    """Another host, which must receive no requests."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening


@pytest.mark.parametrize("kind", ["run_report", "audit_report"])
def test_a_report_on_disk_looks_as_it_should(
    page: Page, complaints: list[str], request: pytest.FixtureRequest, kind: str, tmp_path: Path
) -> None:
    text: str = request.getfixturevalue(kind)
    (policy,) = re.findall(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', text)
    assert unescape(policy) == content_security_policy(*STYLE.findall(text))
    assert "unsafe" not in policy
    file = tmp_path / "report.html"
    file.write_text(text, encoding="utf-8")
    page.goto(file.as_uri())
    assert complaints == []
    assert page.evaluate("[...document.styleSheets].every((sheet) => sheet.cssRules.length > 10)")
    # Images are loaded lazily, so they may come after the page.
    for image in page.locator("img").all():
        image.scroll_into_view_if_needed()
    page.wait_for_function("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")
    font = page.evaluate("getComputedStyle(document.body).fontFamily")
    assert font.startswith("system-ui")
    if kind == "audit_report":
        shades = (
            "[...document.querySelectorAll('.confusion td.right')].map((td) => getComputedStyle(td).backgroundColor)"
        )
        # Cells are darker if more images of a class are correct.
        assert len(set(page.evaluate(shades))) == 2


@pytest.mark.parametrize("kind", ["run_report", "audit_report"])
def test_whatever_got_into_a_report_runs_and_fetches_nothing(
    page: Page,
    complaints: list[str],
    elsewhere: socket.socket,
    request: pytest.FixtureRequest,
    kind: str,
    tmp_path: Path,
) -> None:
    text: str = request.getfixturevalue(kind)
    assert "</main>" in text
    file = tmp_path / "report.html"
    hostile = HOSTILE.replace("elsewhere", f"http://127.0.0.1:{elsewhere.getsockname()[1]}")
    file.write_text(text.replace("</main>", f"{hostile}</main>"), encoding="utf-8")
    page.goto(file.as_uri())
    assert page.title() != "ran"
    styled = page.locator("#styled")
    assert styled.evaluate("one => [getComputedStyle(one).position, getComputedStyle(one).float]") == ["static", "none"]
    page.evaluate("document.querySelector('form').requestSubmit()")
    assert page.url == file.as_uri()
    # The browser logs each blocked request.
    assert len(complaints) >= 6
    with pytest.raises(BlockingIOError):
        elsewhere.accept()
