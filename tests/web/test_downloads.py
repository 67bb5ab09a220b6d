"""What is kept of a run: the zip, the table, the report and the recipes show what the API says."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from html import unescape
from typing import Any

import numpy as np
from flask.testing import FlaskClient
from PIL import Image

from picasso.explanation.figure import MARGIN, SIDE
from tests.conftest import finish, upload


def finished_run(client: FlaskClient, name: str = "PartialOcclusion", **settings: object) -> dict[str, Any]:
    upload(client, 2)
    started: Any = client.post("/api/runs", json={"visualization": name, "settings": settings}).json
    return finish(client, started["id"])


def test_the_zip_holds_what_the_api_gives(client: FlaskClient) -> None:
    run = finished_run(client)
    answer = client.get(f"/api/runs/{run['id']}/results.zip")
    assert answer.mimetype == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.data)) as packed:
        names = packed.namelist()
        assert {"results.csv", "results.json", "run.json", "report.html"} <= set(names)
        (file,) = [name for name in names if name.startswith("0001") and name.endswith("arrays.npz")]
        arrays = np.load(io.BytesIO(packed.read(file)))
    values = client.get(run["results"][0]["panels"][1]["values_url"])
    expected = np.frombuffer(values.data, "<f4").reshape(run["results"][0]["panels"][1]["shape"])
    np.testing.assert_array_equal(arrays["panel_1"], expected)


def test_values_have_the_extremes_that_the_result_says(client: FlaskClient) -> None:
    for panel in finished_run(client, Strides=5)["results"][1]["panels"][1:]:
        values = np.frombuffer(client.get(panel["values_url"]).data, "<f4")
        assert values.size == 25
        assert (values.min(), values.max()) == (np.float32(panel["minimum"]), np.float32(panel["maximum"]))


def test_there_are_no_values_of_what_is_no_map(client: FlaskClient) -> None:
    run = finished_run(client)
    for place in ("0/0", "0/9", "7/1", "..%2f0/1", "7p0/1"):
        assert client.get(f"/api/runs/{run['id']}/values/{place}").status_code == 404


def test_the_table_has_a_line_for_each_prediction_and_map(client: FlaskClient) -> None:
    run = finished_run(client)
    lines = list(csv.DictReader(io.StringIO(client.get(f"/api/runs/{run['id']}/results.csv").text)))
    predictions = [line for line in lines if line["kind"] == "prediction"]
    expected = [one["prob"] for result in run["results"] for one in result["predictions"]]
    assert [float(line["probability"]) for line in predictions] == expected
    assert len(lines) - len(predictions) == sum(len(result["panels"]) - 1 for result in run["results"])


def test_the_report_is_one_file_with_the_numbers_of_the_api(client: FlaskClient) -> None:
    run = finished_run(client)
    answer = client.get(f"/api/runs/{run['id']}/report.html")
    assert "attachment" in answer.headers["Content-Disposition"]
    page = answer.text
    assert "<script" not in page
    assert re.findall(r'(?:src|href)="(?!data:)([^"]*)"', page) == []
    assert re.findall(r"url\((?!&quot;data:|\"?data:)[^)]*\)", page) == []
    for result in run["results"]:
        for one in result["predictions"][:3]:
            assert f"<dd><span>{one['name']}</span> {one['prob']:.4f}</dd>" in unescape(page)
    assert page.count("<img") > 10
    assert "linear.npz" in page


def test_runs_side_by_side_make_one_report(client: FlaskClient) -> None:
    first = finished_run(client)["id"]
    second: Any = client.post("/api/runs", json={"visualization": "SaliencyMaps"}).json
    finish(client, second["id"])
    page = client.get(f"/api/runs/{first},{second['id']}/report.html").text
    assert "<h3>Saliency maps</h3>" in page
    assert page.count('class="row"') == 2


def test_a_report_has_a_title_and_notes_and_is_drawn_as_seen(client: FlaskClient) -> None:
    run = finished_run(client)
    address = f"/api/runs/{run['id']}/report.html"
    plain = client.get(address).text
    asked = {
        "title": "Trial <1>",
        "notes": "One.\nTwo & three.",
        "opacity": "30",
        "signed": "PuOr_r",
        "scale": "common",
    }
    seen = client.get(address, query_string=asked).text
    assert "<h1>Trial &lt;1&gt;</h1>" in seen
    assert '<p class="lines">One.\nTwo &amp; three.</p>' in seen
    assert "<title>Trial &lt;1&gt; · " in seen
    maps = [re.findall(r'src="(data:image/png[^"]+)" alt="cat', page) for page in (plain, seen)]
    assert len(maps[0]) == len(maps[1]) > 0
    assert set(maps[0]).isdisjoint(maps[1])
    ends = re.findall(r'<div class="legend">\s*<span>≤? ?([^<]+)</span>', seen)
    # All maps of a quantity share one scale.
    assert len(set(ends)) == 1
    for wrong, said in (
        ({"colours": "jet"}, "colours must be one of warm"),
        ({"title": "x" * 201}, "title"),
        ({"opacity": "x"}, "opacity"),
    ):
        answer: Any = client.get(address, query_string=wrong)
        assert (answer.status_code, answer.json["error"]["field"]) == (400, next(iter(wrong)))
        assert said in answer.json["error"]["message"]


def test_one_map_is_saved_as_seen(client: FlaskClient) -> None:
    run = finished_run(client)
    panel = run["results"][1]["panels"][1]
    plain = client.get(panel["figure_url"])
    assert (plain.mimetype, Image.open(io.BytesIO(plain.data)).width) == ("image/png", SIDE + 2 * MARGIN)
    assert plain.headers["Content-Disposition"] == f"attachment; filename=picasso-{run['id'][:8]}-1-1.png"
    assert client.get(panel["figure_url"], query_string={"opacity": "20"}).data != plain.data
    legend = client.get(panel["legend_svg_url"], query_string={"signed": "RdBu_r"})
    assert legend.mimetype == "image/svg+xml"
    assert legend.text.startswith("<svg")
    assert "attachment" in legend.headers["Content-Disposition"]
    assert client.get(panel["figure_url"], query_string={"scale": "mine"}).status_code == 400
    assert client.get(panel["figure_url"].replace("/1/1.png", "/9/1.png")).status_code == 404
    assert client.get(panel["figure_url"].replace("/1/1.png", "/1/99.png")).status_code == 400
    page = client.get(run["page"]).text
    assert f'href="{panel["figure_url"]}" download' in page
    stranger = client.application.test_client()
    upload(stranger)
    assert stranger.get(panel["figure_url"]).status_code == 404


def test_a_run_that_has_not_ended_makes_no_report(client: FlaskClient) -> None:
    upload(client)
    run: Any = client.post("/api/runs", json={"visualization": "Slow", "settings": {"Steps": 10_000}}).json
    answer = client.get(f"/api/runs/{run['id']}/report.html")
    assert answer.status_code == 400
    assert "is not finished" in answer.get_json()["error"]["message"]
    assert client.post(f"/api/runs/{run['id']}/cancel").get_json() == {"ok": True}
    assert finish(client, run["id"])["state"] == "cancelled"


def test_removed_images_do_not_break_the_report(client: FlaskClient) -> None:
    run = finished_run(client)
    client.delete(f"/api/images/{run['results'][0]['uid']}")
    assert client.get(f"/api/runs/{run['id']}/report.html").status_code == 200


def test_nobody_else_can_keep_a_run(client: FlaskClient) -> None:
    run = finished_run(client)
    stranger = client.application.test_client()
    upload(stranger)
    for file in ("results.zip", "results.csv", "report.html", "values/0/1"):
        assert stranger.get(f"/api/runs/{run['id']}/{file}").status_code == 404


def test_the_page_says_how_to_do_the_same_without_it(client: FlaskClient) -> None:
    run = finished_run(client, Window=0.1)
    page = unescape(client.get(f"/runs/{run['id']}").text)
    assert "picasso.explain(" in page
    assert "--set Window=0.10" in page
