"""The app in a real Chromium: a server of its own for each module, pages that must stay clean.

`server` is one fresh server for a test module, `start_server` starts more; `visit` opens a page
and, when the test ends, fails it for console errors and for requests that left the machine.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

from tests.conftest import end_runs

ROOT = Path(__file__).resolve().parents[2]
SCREENSHOTS = Path(__file__).parent / "screenshots"
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
]
SETTLED = """() => {
    const app = document.querySelector('[data-testid="stApp"]');
    return app !== null && app.dataset.testScriptState === 'notRunning'
        && document.querySelector('[data-testid^="stSkeleton"]') === null
        && document.querySelector('[data-stale="true"]') === null;
}"""


def find_chromium() -> str | None:
    """Return the browser to use: $CHROMIUM, or the first that is installed."""
    names = [os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome"]
    return next((path for name in names if name and (path := shutil.which(name))), None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    required = os.environ.get("CNNVIZ_BROWSER_TESTS") == "required"
    absent = find_chromium() is None and not required
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if absent:
                reason = "no Chromium found: install chromium, or name one in CHROMIUM"
                item.add_marker(pytest.mark.skip(reason=reason))


def settled(page: Page, timeout_s: float = 60) -> None:
    """Wait until the app has run to its end and nothing on the page is stale."""
    page.wait_for_function(SETTLED, timeout=timeout_s * 1000)


def screenshot(page: Page, name: str) -> Path:
    """Save the whole page as tests/e2e/screenshots/NAME.png."""
    SCREENSHOTS.mkdir(exist_ok=True)
    path = SCREENSHOTS / f"{name}.png"
    height = page.evaluate("document.querySelector('.stMainBlockContainer').scrollHeight + 80")
    size = page.viewport_size
    page.set_viewport_size({"width": size["width"], "height": max(int(height), size["height"])})
    page.wait_for_timeout(400)  # charts redraw after a change of size
    page.screenshot(path=path)
    page.set_viewport_size(size)
    return path


def serious_violations(page: Page) -> list[str]:
    """Return axe's serious and critical findings, one line each."""
    found = Axe().run(page).response["violations"]
    return [
        f"{item['id']}: {item['help']} ({'; '.join(n['html'][:160] for n in item['nodes'][:3])})"
        for item in found
        if item["impact"] in ("serious", "critical")
    ]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def running_server(folder: Path, cwd: Path = ROOT, **settings: str) -> Iterator[str]:
    """Run the app on a free port of 127.0.0.1, its runs in `folder`; give its address."""
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "app.py")]
    command += ["--server.headless", "true", "--server.port", str(port)]
    command += ["--server.fileWatcherType", "none"]
    env = {**os.environ, "CNNVIZ_RUNS": str(folder / "runs"), **settings}
    log = folder / f"server-{port}.log"
    with log.open("w") as out:
        process = subprocess.Popen(command, cwd=cwd, env=env, stdout=out, stderr=out)
    try:
        _wait_until_up(f"http://127.0.0.1:{port}/_stcore/health", process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(autouse=True)
def no_run_left(tmp_path: Path) -> Iterator[None]:
    """End the runs that a test started through an app with its runs in `tmp_path`."""
    yield
    end_runs(tmp_path / "runs")


def _wait_until_up(url: str, process: subprocess.Popen, log: Path, timeout_s: float = 60) -> None:
    end = time.monotonic() + timeout_s
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"the app did not start:\n{log.read_text()[-2000:]}")


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Start a server that lives as long as the test: ``url = start_server(cwd=…, NAME=value)``."""
    with ExitStack() as servers:

        def start(**settings) -> str:
            return servers.enter_context(running_server(tmp_path, **settings))

        yield start


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a fresh server for this module."""
    with running_server(tmp_path_factory.mktemp("server")) as url:
        yield url


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = find_chromium()
    if path is None:
        pytest.fail("CNNVIZ_BROWSER_TESTS=required, but no Chromium is installed")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser: Browser, start_server: Callable) -> Iterator[Callable[..., Page]]:
    """Open an address and wait until it is settled: ``visit(url, width=390, dark=True)``.

    It rests on `start_server` so that pages are closed before their server goes.
    """
    contexts, faults = [], []

    def note_console(message: ConsoleMessage) -> None:
        # On a deep link Streamlit first probes /page/_stcore/…, which answers 404 twice.
        probe = "404" in message.text and "/_stcore/" in message.location.get("url", "")
        if message.type == "error" and not probe:
            faults.append(f"console: {message.text} ({message.location.get('url')})")

    def note_request(request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.hostname != "127.0.0.1":
            faults.append(f"request left the machine: {request.url}")

    def open_page(url: str, width: int = 1280, dark: bool = False) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", note_console)
        page.on("pageerror", lambda error: faults.append(f"page error: {error}"))
        page.on("request", note_request)
        page.on("websocket", lambda socket: note_request(socket))
        page.goto(url)
        settled(page)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not faults, "\n".join(faults)
