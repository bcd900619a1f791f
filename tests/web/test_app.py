"""The server behind the live page: what it answers, and what it turns down."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from backproof.web.desk import units
from backproof.web.gallery import examples
from backproof.web.guard import POLICY
from backproof.web.server import named_files, opened

from .conftest import PAGE, Work

LOGISTIC = """# Logistic regression
given x in R[3]
given y in {0, 1}
learn w in R[3], b in R
z = w.T @ x + b
a = sigmoid(z)
L = -(y*log(a) + (1 - y)*log(1 - a))
ask gradient L wrt w
claim grad(L, z) == a - y
claim grad(L, w) == (y - a)*x
"""


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["kind"] for event in events]


def of_kind(events: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [event for event in events if event["kind"] == kind]


# --- answers -------------------------------------------------------------------------------------


def test_a_sheet_is_worked_bit_by_bit(work: Work) -> None:
    events = work(LOGISTIC)
    assert kinds(events)[0] == "read" and kinds(events)[-1] == "done"
    (read,) = of_kind(events, "read")
    names = {name["name"]: name for name in read["names"]}
    assert names["w"]["brief"] == "learned, 3 × 1" and names["L"]["shape"] == "a number"
    assert "<math" in of_kind(events, "part")[0]["html"]
    final = {event["index"]: event for event in of_kind(events, "verdict")}
    assert final[0]["word"] == "proved"
    assert (final[1]["word"], final[1]["suggestion"]) == ("refuted", "grad(L, w) == (a - y)*x")
    start, end = final[1]["from"], final[1]["to"]
    assert LOGISTIC[start:end] == "grad(L, w) == (y - a)*x"


def test_an_error_has_a_place_and_a_hint(work: Work) -> None:
    (error, done) = work("given x in R[3]\ny = x @ x\n")
    assert (error["line"], error["column"], error["from"], error["to"]) == (2, 7, 22, 23)
    assert "3 × 1" in error["message"] and error["hint"] and done["kind"] == "done"


def test_a_place_is_counted_in_utf16_units(work: Work) -> None:
    (error, _) = work("# 😀😀\ngiven x in R[3]\ny = x @ x\n")
    assert error["from"] == 29 and units("😀x", 1) == 2 and units("zx", 1) == 1


@pytest.mark.parametrize("view", ["shapes", "values", "tree", "gradient", "batch", "slow"])
def test_every_view_has_an_answer(work: Work, view: str) -> None:
    events = work(LOGISTIC, view)
    (part,) = of_kind(events, "part")
    assert 'class="error"' not in part["html"]
    assert ("nodes" in part) == (view == "tree")


def test_a_name_of_the_tree_has_its_local_derivative(work: Work) -> None:
    (part,) = of_kind(work(LOGISTIC, "local", "z"), "part")
    assert "a, 1 minus a" in part["html"] or "derivative of a with respect to z" in part["html"]


def test_a_view_that_cannot_be_answered_says_why(work: Work) -> None:
    (part,) = of_kind(work("given x in R[3]\ny = 2*x\n", "gradient"), "part")
    assert 'class="error"' in part["html"]
    assert "done" in kinds(work(LOGISTIC, "slow", "nothing"))


def test_values_are_told_beside_the_names(work: Work) -> None:
    (read, *_) = work("given x = [1, 2]\nlearn w in R[2]\nw = [3, 4]\nL = w.T @ x\n")
    assert {n["name"]: n["value"] for n in read["names"]}["L"] == "11"


def test_what_a_sheet_says_is_never_markup(work: Work) -> None:
    hostile = "# <script>alert(1)</script>\ngiven x in R[2]\nL = x.T @ x # <img src=x>\n"
    shown = "".join(e.get("html", "") for e in work(hostile + "claim L == 1 # <b>\nask value L"))
    assert "<script" not in shown and "<img" not in shown and "<b>" not in shown
    assert " style=" not in shown and " onload" not in shown


@pytest.mark.parametrize("form", ["html", "tex", "json"])
def test_a_working_is_written_as_a_file(client: TestClient, form: str) -> None:
    reply = client.post("/api/export", json={"text": LOGISTIC, "to": form})
    assert reply.status_code == 200
    assert "attachment" in reply.headers["content-disposition"]
    start = {"html": "<!DOCTYPE", "tex": "\\documentclass", "json": "{"}[form]
    assert reply.text.startswith(start)


def test_what_cannot_be_written_says_why(client: TestClient) -> None:
    assert client.post("/api/export", json={"text": LOGISTIC, "to": "exe"}).status_code == 400
    reply = client.post("/api/export", json={"text": "y = q", "to": "tex"})
    assert reply.status_code == 422 and "'q'" in reply.json()["message"]


def test_the_examples_are_there_and_are_read(client: TestClient) -> None:
    listed = client.get("/api/start").json()["examples"]
    assert [e["name"] for e in listed][:3] == ["logistic", "mlp", "siamese"]
    assert len(listed) == len(examples()) >= 20
    assert "sigmoid" in client.get("/api/examples/logistic").json()["text"]
    assert client.get("/api/examples/..%2Fexam").status_code == 404


# --- what is turned down -------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/assets/page.js", "/assets/editor.js", "/api/start", "/no"])
def test_every_reply_has_the_headers(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["content-security-policy"] == POLICY
    assert "unsafe" not in POLICY and "default-src 'none'" in POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


def test_the_page_loads_nothing_from_elsewhere(client: TestClient) -> None:
    page = client.get("/").text
    assert "http:" not in page and "https:" not in page and "<style" not in page
    assert "style=" not in page and "onclick" not in page
    for name in ("page.css", "working.css", "page.js", "parts.js", "icon.svg"):
        reply = client.get(f"/assets/{name}")
        assert reply.status_code == 200
        assert "http://" not in reply.text.replace("http://www.w3.org/", "")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8642", 200), ("localhost:8642", 200), ("[::1]:8642", 200),
        ("127.0.0.1", 421), ("localhost:80", 421), ("evil.example:8642", 421), ("", 421),
        ("localhost.evil.example:8642", 421), ("10.0.0.1:8642", 421),
    ],
)  # fmt: skip
def test_only_our_own_hosts_are_answered(client: TestClient, host: str, status: int) -> None:
    assert client.get("/api/start", headers={"host": host}).status_code == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "http://127.0.0.1:8642"}, 200), ({}, 200),
        ({"origin": "http://evil.example"}, 403), ({"origin": "null"}, 403),
        ({"origin": "http://127.0.0.1:8643"}, 403), ({"sec-fetch-site": "cross-site"}, 403),
        ({"content-type": "text/plain"}, 415), ({"x-backproof-page": "short"}, 400),
    ],
)  # fmt: skip
def test_other_sites_cannot_ask(client: TestClient, headers: dict[str, str], status: int) -> None:
    body = json.dumps({"text": "given x in R\ny = x"})
    sent = {"content-type": "application/json", **headers}
    assert client.post("/api/work", content=body, headers=sent).status_code == status


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"text": 3}', b"\xff", b"[" * 5000, b'"x"'])
def test_what_is_not_a_request_is_turned_down(client: TestClient, body: bytes) -> None:
    sent = {"content-type": "application/json"}
    assert client.post("/api/work", content=body, headers=sent).status_code == 400


def test_a_body_that_is_too_long_is_turned_down(client: TestClient) -> None:
    body = b'{"text": "' + b"x" * 300_000 + b'"}'
    sent = {"content-type": "application/json"}
    assert client.post("/api/work", content=body, headers=sent).status_code == 413
    parts = iter([body[k : k + 9000] for k in range(0, len(body), 9000)])
    assert client.post("/api/work", content=parts, headers=sent).status_code == 413


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("# " + "x" * 70_000, "characters"),
        ("\n".join(f"v{k} = {k}" for k in range(2_100)), "names"),
        (f"given {'x' * 90} in R\ny = 1", "characters"),
        ("given x in R[99999999999]\ny = x", "too large"),
        ("let n = 10**9\ngiven x in R[n]\ny = x", "powers"),
        ("given x in R[9**9**9]\ny = x", "powers"),
    ],
)
def test_a_sheet_beyond_a_limit_is_an_error(work: Work, text: str, said: str) -> None:
    (error, done) = work(text)
    assert said in error["message"], error
    assert done["kind"] == "done"


# --- data files ----------------------------------------------------------------------------------


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def test_a_data_file_is_read_by_the_page_that_has_it(client: TestClient, work: Work) -> None:
    reply = client.post("/api/files/points.csv", content=b"1,2\n3,4\n5,6\n")
    assert reply.json() == {
        "name": "points.csv", "arrays": [{"name": "points", "shape": [3, 2]}],
    }  # fmt: skip
    sheet = 'given X = file("points.csv")\ns = sum(X)\nclaim s == 21\n'
    assert of_kind(work(sheet), "verdict")[0]["word"] == "proved"
    other = {**PAGE, "x-backproof-page": "another-page-of-the-tests"}
    assert client.get("/api/files", headers=other).json() == {"files": []}
    text = client.post("/api/work", json={"text": sheet}, headers=other).text
    assert "There is no file" in text
    assert client.delete("/api/files/points.csv").json() == {"files": []}
    assert work(sheet)[0]["kind"] == "error"


def test_a_changed_file_changes_the_answer(client: TestClient, work: Work) -> None:
    sheet = 'given X = file("n.csv")\ns = sum(X)\nask value s\n'
    for number in ("7", "8"):
        client.post("/api/files/n.csv", content=number.encode())
        read = work(sheet)[0]
        assert {n["name"]: n["value"] for n in read["names"]}["s"] == number


@pytest.mark.parametrize(
    ("name", "content", "status"),
    [
        ("a.npy", npy(np.ones((2, 3))), 200),
        ("a.npy", npy(np.array([{"a": 1}, None], dtype=object)), 422),
        ("a.npy", b"\x80\x04cos\nsystem\n(S'true'\ntR.", 422),
        ("a.npz", b"PK\x03\x04 broken", 422),
        ("a.csv", b"\xff\xfe", 422),
        ("a.csv", b"a,b\nc,d\n", 422),
        ("a.csv", b"", 422),
        ("a.pkl", b"1", 422), ("..csv", b"1", 422), (".hidden.csv", b"1", 422),
        ("a.csv.exe", b"1", 422), ("a%00.csv", b"1", 422),
        ("big.csv", b"1" * 8_000_001, 413),
    ],
)  # fmt: skip
def test_data_files_are_checked(client: TestClient, name: str, content: bytes, status: int) -> None:
    reply = client.post(f"/api/files/{name}", content=content)
    assert reply.status_code == status, reply.text
    there = client.get("/api/files").json()["files"]
    assert (name in there) == (status == 200)
    client.delete(f"/api/files/{name}")


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../../x.csv", "C:\\x.csv", "/etc/x.csv", "a/b.csv"]
)
def test_a_sheet_reads_no_other_files(work: Work, name: str) -> None:
    (error, _) = work(f'given X = file("{name}")\ny = X\n')
    assert "There is no file" in error["message"] or "Unexpected" in error["message"]


@pytest.mark.parametrize("option", ['x\ngiven Z = file("/etc/x.csv")', "w # x", "\r\nask tree L"])
def test_an_option_is_one_word_of_an_ask(work: Work, option: str) -> None:
    assert kinds(work(LOGISTIC, "gradient", option))[-1] == "done"


def test_the_file_that_is_served_brings_its_data(tmp_path: Path) -> None:
    from backproof.web.limits import Limits

    (tmp_path / "p.csv").write_text("1,2\n")
    sheet = tmp_path / "a.sheet"
    sheet.write_text('given X = file("p.csv")\ny = X\n')
    start, files = opened(sheet, Limits())
    assert start["name"] == "a.sheet" and files == {"p.csv": b"1,2\n"}
    assert named_files("y = ") == []
