"""Drives a headless Chromium over its DevTools socket.

    with Browser(Browser.installed()) as browser:
        browser.goto("http://127.0.0.1:3000/assets")
        browser.wait_for_text("us_equities")
        browser.click_text("Materialize")
        browser.screenshot(Path("page.png"))

Protocol: https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

type Json = bool | int | float | str | list[Json] | dict[str, Json] | None

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS = (
    "--headless=new",
    "--no-sandbox",  # the sandbox does not start as root
    "--disable-dev-shm-usage",  # containers give /dev/shm 64 MB
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    "--remote-debugging-port=0",
)

# The innermost visible element that shows the text, and that a mouse would hit: not one that is switched off, or behind a dialog. An exact match
# wins over one inside a longer text.
_FIND = """((wanted, within) => {
    const shown = e => e.checkVisibility({visibilityProperty: true}) && e.getClientRects().length;
    const text = e => (e.innerText || e.value || e.getAttribute('aria-label') || e.getAttribute('placeholder') || '').trim();
    const middle = e => { const box = e.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; };
    const hit = e => {
        if (e.closest('button:disabled, [aria-disabled=true]')) return false;
        const box = e.getBoundingClientRect();
        if (box.top < 0 || box.bottom > innerHeight) e.scrollIntoView({block: 'center', inline: 'center'});
        const top = document.elementFromPoint(...middle(e));
        return top && (e.contains(top) || top.contains(e));
    };
    const all = [...document.querySelectorAll(within + ' *')].filter(e => text(e).includes(wanted) && shown(e));
    const inner = all.filter(e => !all.some(other => other !== e && e.contains(other)));
    const found = inner.find(e => text(e) === wanted && hit(e)) || inner.find(hit);
    return found ? middle(found) : null;
})(%s, %s)"""


class BrowserError(Exception):
    """The browser did not do, or the page did not show, what was asked for in time."""


class Browser:
    """One headless Chromium with one page and a profile of its own, closed by `close` or the end of `with`."""

    def __init__(self, program: str, width: int = 1600, height: int = 1000, start_s: float = 30.0) -> None:
        self._profile = tempfile.mkdtemp(prefix="chromium-")
        self._log = Path(self._profile, "stderr.log")
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [program, *_FLAGS, f"--user-data-dir={self._profile}", f"--window-size={width},{height}", "about:blank"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._socket: ClientConnection | None = None
        self._connection = contextlib.ExitStack()
        self._last_id = 0
        try:
            page = connect(self._page_socket(start_s), max_size=None, proxy=None, open_timeout=start_s)
            self._socket = self._connection.enter_context(page)
            self._call("Page.enable")
        except BaseException:
            self.close()
            raise

    @staticmethod
    def installed() -> str | None:
        """Return the path of a Chromium on PATH, or None."""
        return next((path for name in _NAMES if (path := shutil.which(name))), None)

    def goto(self, url: str, timeout_s: float = 30.0) -> None:
        """Open a page and wait until it has loaded."""
        answer = self._call("Page.navigate", {"url": url}, timeout_s)
        if error := answer.get("errorText"):
            raise BrowserError(f"{url} did not open: {error}")
        self.wait_until("document.readyState === 'complete'", timeout_s)

    def set_clock(self, ahead_s: float) -> None:
        """Let the clock of pages that are opened from now on be so much ahead of the real one; negative is behind."""
        self.before_each_page(f"""(() => {{ const Real = Date, ahead = {round(ahead_s * 1000)};
            globalThis.Date = class extends Real {{
                constructor(...given) {{ given.length ? super(...given) : super(Real.now() + ahead); }}
                static now() {{ return Real.now() + ahead; }}
            }}; }})()""")

    def before_each_page(self, script: str) -> None:
        """Run a script in every page from now on, before its own."""
        self._call("Page.addScriptToEvaluateOnNewDocument", {"source": script})

    def text(self) -> str:
        """Return the text that the page shows."""
        return str(self.evaluate("document.body ? document.body.innerText : ''"))

    def wait_for_text(self, text: str, timeout_s: float = 20.0) -> None:
        """Wait until the page shows `text`."""
        self.wait_until(f"!!document.body && document.body.innerText.includes({json.dumps(text)})", timeout_s, f"the text {text!r}")

    def wait_until(self, expression: str, timeout_s: float = 20.0, what: str | None = None) -> None:
        """Wait until a JavaScript expression is true."""
        deadline = time.monotonic() + timeout_s
        while not self.evaluate(expression):
            if time.monotonic() > deadline:
                raise BrowserError(f"{what or expression} did not come within {timeout_s:g} s. The page shows:\n{self.text()[:2000]}")
            time.sleep(0.1)

    def click_text(self, text: str, timeout_s: float = 20.0, within: str = "body") -> None:
        """Click, with the mouse, on the innermost visible element that shows `text`; wait until there is one that a mouse can hit.

        Args:
            text: What it shows, or its label, value or placeholder.
            timeout_s: How long to wait.
            within: CSS selector of what holds it.

        Raises:
            BrowserError: If none comes.
        """
        self.click_where(_FIND % (json.dumps(text), json.dumps(within)), f"nothing to click shows {text!r}", timeout_s)

    def hover_text(self, text: str, timeout_s: float = 20.0, within: str = "body") -> None:
        """Move the mouse over what `click_text` would click, so that the page shows what it has to say of it."""
        x, y = self._point(_FIND % (json.dumps(text), json.dumps(within)), f"nothing shows {text!r}", timeout_s)
        self._mouse("mouseMoved", x, y)

    def click_where(self, expression: str, otherwise: str, timeout_s: float = 20.0) -> None:
        """Click, with the mouse, at the point [x, y] of the window that a JavaScript expression gives; wait while it gives none, or moves."""
        x, y = self._point(expression, otherwise, timeout_s)
        for step in ("mouseMoved", "mousePressed", "mouseReleased"):
            self._mouse(step, x, y)

    def _point(self, expression: str, otherwise: str, timeout_s: float) -> tuple[Json, Json]:
        deadline = time.monotonic() + timeout_s
        point: Json = None
        while True:
            before, point = point, self.evaluate(expression)
            if isinstance(point, list) and point == before:
                break
            if time.monotonic() > deadline:
                raise BrowserError(f"{otherwise} within {timeout_s:g} s. The page shows:\n{self.text()[:2000]}")
            time.sleep(0.1)
        return point[0], point[1]

    def _mouse(self, step: str, x: Json, y: Json) -> None:
        pressed: dict[str, Json] = {} if step == "mouseMoved" else {"button": "left", "clickCount": 1}
        self._call("Input.dispatchMouseEvent", {"type": step, "x": x, "y": y, **pressed})

    def type_text(self, text: str) -> None:
        """Type into the element that has the focus."""
        self._call("Input.insertText", {"text": text})

    def press(self, key: str, code: int, modifiers: int = 0) -> None:
        """Press a key that types nothing.

        Args:
            key: Its name: `Enter`.
            code: Its Windows key code: 13.
            modifiers: Sum of 1 Alt, 2 Ctrl, 4 Meta, 8 Shift.
        """
        for step in ("keyDown", "keyUp"):
            self._call("Input.dispatchKeyEvent", {"type": step, "key": key, "code": key, "windowsVirtualKeyCode": code, "modifiers": modifiers})

    def evaluate(self, expression: str, timeout_s: float = 20.0) -> Json:
        """Return the value of a JavaScript expression; a promise is awaited."""
        answer = self._call("Runtime.evaluate", {"expression": expression, "returnByValue": True, "awaitPromise": True}, timeout_s)
        result, problem = answer["result"], answer.get("exceptionDetails")
        if isinstance(problem, dict):
            raise BrowserError(f"{expression}: {problem.get('exception') or problem.get('text')}")
        return result.get("value") if isinstance(result, dict) else None

    def picture(self) -> bytes:
        """Return what the window shows as PNG."""
        return base64.b64decode(str(self._call("Page.captureScreenshot", {"format": "png"}, 30.0)["data"]))

    def screenshot(self, path: Path) -> None:
        """Write what the window shows as PNG."""
        path.write_bytes(self.picture())

    def close(self) -> None:
        """End the browser and delete its profile."""
        self._connection.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(5)
        shutil.rmtree(self._profile, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _page_socket(self, timeout_s: float) -> str:
        port_file = Path(self._profile, "DevToolsActivePort")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError, IndexError, ValueError):
                port = int(port_file.read_text().splitlines()[0])
                with opener.open(f"http://127.0.0.1:{port}/json/list", timeout=5) as answer:
                    pages = [target for target in json.load(answer) if target["type"] == "page"]
                return str(pages[0]["webSocketDebuggerUrl"])
            time.sleep(0.05)
        raise BrowserError(f"Chromium did not start within {timeout_s:g} s:\n{self._log.read_text(errors='replace')[-2000:]}")

    def _call(self, method: str, params: dict[str, Json] | None = None, timeout_s: float = 20.0) -> dict[str, Json]:
        if self._socket is None:
            raise BrowserError("the browser is closed")
        self._last_id += 1
        self._socket.send(json.dumps({"id": self._last_id, "method": method, "params": params or {}}))
        deadline = time.monotonic() + timeout_s
        while (left := deadline - time.monotonic()) > 0:
            try:
                message = json.loads(self._socket.recv(left))
            except TimeoutError:
                break
            except ConnectionClosed:
                raise BrowserError(f"Chromium went away during {method}:\n{self._log.read_text(errors='replace')[-2000:]}") from None
            if message.get("id") == self._last_id:
                if "error" in message:
                    raise BrowserError(f"{method}: {message['error'].get('message')}")
                answer: dict[str, Json] = message["result"]
                return answer
        raise BrowserError(f"{method} had no answer within {timeout_s:g} s")
