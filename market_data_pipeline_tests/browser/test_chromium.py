from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from market_data_pipeline_tests.browser import Browser, BrowserError

_PAGE = b"""<!doctype html><title>Trial</title>
<p>Bars <button onclick="setTimeout(() => document.getElementById('said').innerText = 'Materialized 61 sessions', 300)">Materialize</button></p>
<button style="display: none">Hidden</button>
<button disabled>Not now</button>
<div style="position: relative"><p>Behind</p><b style="position: absolute; left: 0; right: 0; top: 0; bottom: 0; background: white"></b></div>
<i onmouseover="document.getElementById('said').innerText = 'Why nothing was done'">Skipped</i>
<input aria-label="range" oninput="document.getElementById('said').innerText = this.value">
<div id="said"></div>"""


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(_PAGE)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the base class's name)
        pass


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_a_button_is_clicked_and_its_effect_awaited(browser: Browser, url: str) -> None:
    browser.goto(url)
    assert "Materialized" not in browser.text()
    browser.click_text("Materialize")
    browser.wait_for_text("Materialized 61 sessions")
    assert browser.evaluate("document.title") == "Trial"


def test_text_is_typed_where_the_focus_is(browser: Browser, url: str) -> None:
    browser.goto(url)
    browser.click_text("range")
    browser.type_text("2024-01-02...2024-03-28")
    browser.wait_for_text("2024-01-02...2024-03-28")


def test_what_is_switched_off_or_covered_is_not_clicked(browser: Browser, url: str) -> None:
    browser.goto(url)
    for text in ("Not now", "Behind"):
        with pytest.raises(BrowserError, match=f"nothing to click shows '{text}'"):
            browser.click_text(text, timeout_s=0.5)
    with pytest.raises(BrowserError, match="nothing to click shows 'Materialize'"):
        browser.click_text("Materialize", timeout_s=0.5, within="i")


def test_the_mouse_over_a_word_shows_what_the_page_has_to_say_of_it(browser: Browser, url: str) -> None:
    browser.goto(url)
    browser.hover_text("Skipped")
    browser.wait_for_text("Why nothing was done")


def test_a_screenshot_is_a_png_of_the_window(browser: Browser, url: str, tmp_path: Path) -> None:
    browser.goto(url)
    browser.screenshot(tmp_path / "page.png")
    content = (tmp_path / "page.png").read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(content[16:20], "big") == 1600


def test_what_does_not_come_is_an_error_that_shows_the_page(browser: Browser, url: str) -> None:
    browser.goto(url)
    with pytest.raises(BrowserError, match=r"'Gone' did not come within 0.3 s(.|\n)*Bars"):
        browser.wait_for_text("Gone", timeout_s=0.3)
    with pytest.raises(BrowserError, match="nothing to click shows 'Hidden'"):
        browser.click_text("Hidden", timeout_s=0.3)


def test_a_script_that_throws_and_a_dead_address_are_errors(browser: Browser) -> None:
    with pytest.raises(BrowserError, match="nothere"):
        browser.evaluate("nothere.at.all")
    with socket.socket() as nobody_listens:
        nobody_listens.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{nobody_listens.getsockname()[1]}/"
        with pytest.raises(BrowserError, match="ERR_CONNECTION_REFUSED"):
            browser.goto(address)


def test_closing_ends_the_process_and_deletes_the_profile() -> None:
    program = Browser.installed()
    if program is None:
        pytest.skip("no Chromium on PATH (apt install chromium)")
    with Browser(program) as browser:
        profile, process = Path(browser._profile), browser._process
        assert profile.is_dir()
    assert process.returncode is not None
    assert not profile.exists()
