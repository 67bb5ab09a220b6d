"""The REST API is described, and answers as its page shows."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from typing import Any

from flask import Flask

from picasso import errors
from picasso.audit.selection import MIN_PER_CLASS
from picasso.web.error_handlers import SENTENCES
from tests.docs.blocks import ADDRESS, GENERATED, PAGES, ROOT, read_blocks, section, shell_lines


def api_routes(app: Flask) -> set[tuple[str, str]]:
    rules = [rule for rule in app.url_map.iter_rules() if rule.rule.startswith("/api")]
    return {(method, rule.rule) for rule in rules for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}}


def test_every_route_is_described(app: Flask) -> None:
    described = re.findall(r"^### `([A-Z]+) (/api\S*)`$", PAGES["rest.md"], re.MULTILINE)
    assert set(described) == api_routes(app)
    assert len(described) == len(set(described))


def request_of(words: list[str], names: dict[str, str]) -> dict[str, Any]:
    """Turn the arguments of curl into those of the test client, with the names that this server made up."""

    def real(text: str) -> str:
        return GENERATED.sub(lambda found: names.get(found.group(), found.group()), text)

    request: dict[str, Any] = {"method": "GET"}
    rest = iter(words)
    for word in rest:
        if word == "-X":
            request["method"] = next(rest)
        elif word == "-F":
            field, _, value = next(rest).partition("=")
            form = request.setdefault("data", {})
            if value.startswith("@"):
                file = ROOT / value[1:]
                form.setdefault(field, []).append((io.BytesIO(file.read_bytes()), file.name))
            else:
                form[field] = value
            request["method"] = "POST"
        elif word == "--json":
            request["json"] = json.loads(real(next(rest)))
            request["method"] = "POST" if request["method"] == "GET" else request["method"]
        elif word in ("-b", "-c", "-o"):
            next(rest)
        else:
            assert word.startswith(f"{ADDRESS}/api/"), word
            request["path"] = real(word.removeprefix(ADDRESS))
    if re.search(r"/audits/\w+/images$", request["path"]):
        # An audit needs more images than a page can name.
        files = [(file.getvalue(), name) for file, name in request["data"]["file"]]
        request["data"]["file"] = [(io.BytesIO(body), name) for body, name in files * (MIN_PER_CLASS // len(files))]
    return request


def compare(shown: Any, real: Any, names: dict[str, str], where: str = "answer") -> None:
    """Check that an answer has the fields and types that the page shows, and learn generated names from it."""
    if isinstance(shown, dict):
        assert isinstance(real, dict), where
        # What is said of a model may grow; every other answer is shown with all its fields.
        assert list(shown) == [key for key in real if key in shown or not where.endswith(".model")], where
        for key, value in shown.items():
            compare(value, real[key], names, f"{where}.{key}")
    elif isinstance(shown, list):
        assert isinstance(real, list), where
        assert bool(shown) == bool(real), where
        for one in shown[:1]:
            compare(one, real[0], names, f"{where}[0]")
    elif isinstance(shown, str):
        assert isinstance(real, str), where
        names.update(zip(GENERATED.findall(shown), GENERATED.findall(real), strict=True))
    else:
        assert type(shown) is type(real), where


# The page says why: a wrong value, and models that this server does not offer (tests/web/test_mending.py mends one).
REFUSED = {"Window=0.33": 400, "/mended.keras": 404, "/mend": 400}


def test_rest_examples(app: Flask) -> None:
    """Every line of curl is sent, in the order of the page, and answered with the fields that the page shows."""
    client = app.test_client()
    names: dict[str, str] = {}
    sent: set[tuple[str, str]] = set()
    answer: Any = None
    for block in read_blocks("rest.md"):
        if block.language == "console":
            for _, *words in shell_lines(block):
                request = request_of(words, names)
                rule, _ = app.url_map.bind("").match(request["path"].partition("?")[0], request["method"], True)
                sent.add((request["method"], rule.rule))
                with client.open(**request) as response:
                    answer = response.get_json(silent=True)
                wrong = next((status for part, status in REFUSED.items() if part in request["path"]), 0)
                assert response.status_code in (wrong or 200, 202), f"{block.page}:{block.line}: {answer}"
        elif block.language == "json":
            compare(json.loads(block.text), answer, names)
    assert sent == api_routes(app)


def family(cls: type[errors.PicassoError]) -> Iterator[type[errors.PicassoError]]:
    yield cls
    for derived in cls.__subclasses__():
        yield from family(derived)


def test_every_error_code_is_described() -> None:
    rows = [row for row in section("rest.md", "## Errors").splitlines() if row.startswith("|")]
    codes = {(cls.status, cls.code) for cls in family(errors.PicassoError) if cls.__module__.startswith("picasso")}
    codes |= {(status, code) for status, (code, _) in SENTENCES.items()}
    missing = [
        (status, code)
        for status, code in codes
        if not any(row.startswith(f"| {status} |") and f"`{code}`" in row for row in rows)
    ]
    assert missing == []
