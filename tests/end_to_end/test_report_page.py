"""The report's page in a real browser: it loads nothing, complains of nothing, and is read without JavaScript, in the
dark, and on paper."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.browser import browsing
from tests.wizard.engine import GUIDE
from tests.wizard.proofs import journal_of, much_wrong
from tests.wizard.test_reports import NOW, hostile
from wizard.report_html import as_html
from wizard.review import report

pytestmark = pytest.mark.slow

DOCUMENTS = {"much wrong": lambda: journal_of(*much_wrong()), "hostile": hostile}


@pytest.fixture(params=sorted(DOCUMENTS))
def document(request: pytest.FixtureRequest) -> dict[str, Any]:
    return report(DOCUMENTS[request.param](), GUIDE, now=NOW)


@pytest.fixture
def page(document: dict[str, Any], tmp_path: Path) -> Path:
    path = tmp_path / "report.html"
    path.write_text(as_html(document), encoding="ascii")
    return path


@pytest.mark.parametrize("scripts", [False, True], ids=["without JavaScript", "with JavaScript"])
async def test_it_loads_nothing_and_the_browser_has_nothing_to_say(
    page: Path, document: dict[str, Any], tmp_path: Path, scripts: bool
):
    async with browsing(tmp_path / "home") as browser:
        await browser.open(page, scripts=scripts)
        assert await browser.said("document.title") == f"demo: {document['verdict']['word']}"
        text = await browser.said("document.body.innerText")
    assert browser.requests == [page.as_uri()]
    assert browser.complaints == []
    for seen in (document["head"], document["verdict"]["text"], "Who connects to what", "How to verify"):
        assert seen in text


async def test_it_would_be_seen_to_load_or_run_something(tmp_path: Path):
    """The test above means something: with an image and a script in the page it fails, and its policy holds."""
    path = tmp_path / "page.html"
    more = (
        "<img src='http://127.0.0.1:9/x'><script>document.title = 'ran'</script><style>body {color: red}</style></body>"
    )
    path.write_text(as_html(report(journal_of(*much_wrong()), GUIDE)).replace("</body>", more))
    async with browsing(tmp_path / "home") as browser:
        await browser.open(path, scripts=True)
        assert await browser.said("document.title") == "demo: failed", "the script did not run"
    assert len([told for told in browser.complaints if "Content Security Policy" in told]) == 3


async def test_its_style_is_taken_light_and_dark(page: Path, tmp_path: Path):
    grounds = {}
    for scheme in ("light", "dark"):
        async with browsing(tmp_path / scheme) as browser:
            await browser.open(page, scheme=scheme)
            await browser.drawn(tmp_path / f"{scheme}.png")
            grounds[scheme] = await browser.said("getComputedStyle(document.body).backgroundColor")
    assert (tmp_path / "light.png").read_bytes() != (tmp_path / "dark.png").read_bytes()
    assert grounds == {"light": "rgb(251, 251, 250)", "dark": "rgb(16, 21, 28)"}


@pytest.mark.parametrize("width", [360, 768, 1100])
async def test_nothing_stands_out_of_the_screen(page: Path, tmp_path: Path, width: int):
    async with browsing(tmp_path / "home") as browser:
        await browser.open(page, width=width)
        assert await browser.said("document.documentElement.scrollWidth <= innerWidth")


async def test_paper_has_everything_unfolded_and_the_head_on_every_page(
    page: Path, document: dict[str, Any], tmp_path: Path
):
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext is not there; get it with: apt-get install poppler-utils")
    async with browsing(tmp_path / "home") as browser:
        await browser.open(page)
        closed = await browser.said("document.querySelectorAll('details:not([open])').length")
        await browser.printed(tmp_path / "report.pdf")
    done = subprocess.run(
        ["pdftotext", "-layout", tmp_path / "report.pdf", "-"], capture_output=True, text=True, timeout=60, check=True
    )
    pages = done.stdout.rstrip("\f").split("\f")
    assert closed > 5
    assert len(pages) > 2
    for number, text in enumerate(pages, 1):
        assert f"head {document['head']}" in text
        assert f"{number} of {len(pages)}" in text
    # Of each piece of evidence what stands in no heading; paper breaks lines where it likes.
    printed = re.sub(r"\s+", "", done.stdout)
    evidence = [
        seen
        for step in document["steps"]
        for item in step["items"]
        for one in item["findings"]
        for seen in one["evidence"]
    ]
    assert evidence
    for seen in evidence:
        assert seen["sha256"] in printed
