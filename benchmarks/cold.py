"""How long the first visitor of a server waits, beside an empty Streamlit page's.

Each row has servers of its own, started anew: as soon as one answers, a page is opened in a
headless Chromium with an empty cache. Timed from the navigation in the browser: until a title is
visible, and until the page is settled, which is when its script has run to the end and it has no
skeleton and nothing stale. An empty page with a title is measured in the same way in each round, so
that a busy machine slows both.

    python -m benchmarks.cold --repeats 5
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import streamlit
from playwright.sync_api import Browser, sync_playwright

from benchmarks.interaction import FLAGS, ROOT, server
from cnnviz.ui.state.links import PAGES

WATCH = """
window.first = {};
const look = () => {
  const app = document.querySelector('[data-testid="stApp"]');
  const title = document.querySelector('.stMain h1');
  if (title?.checkVisibility() && title.textContent) {
    first.title ??= performance.now();
    if (app.dataset.testScriptState === 'notRunning'
        && !document.querySelector('[data-testid^="stSkeleton"], [data-stale="true"]')) {
      first.settled ??= performance.now();
    }
  }
  if (!first.settled) requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""
EMPTY = "import streamlit as st\nst.title('Empty')\n"


@dataclass(frozen=True)
class Visit:
    """The first visit of a server: until the title is there, and until all is (s)."""

    title: float
    settled: float


def visit(browser: Browser, script: Path, path: str, after: float) -> Visit:
    """Open a page of a server that has just started, or answered `after` seconds ago."""
    with server(script) as address:
        time.sleep(after)
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        page = context.new_page()
        page.add_init_script(WATCH)
        page.goto(f"{address}/{path}", wait_until="commit")
        page.wait_for_function("first.settled", timeout=120_000)
        seen = page.evaluate("first")
        context.close()
    return Visit(seen["title"] / 1000, seen["settled"] / 1000)


@contextmanager
def empty_page() -> Iterator[Path]:
    """Give a script that writes a title and nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "empty.py"
        script.write_text(EMPTY)
        yield script


def measure(
    browser: Browser, names: list[str], repeats: int, after: float
) -> dict[str, list[Visit]]:
    """Visit an empty page and each page of the app, one after the other, `repeats` times."""
    found: dict[str, list[Visit]] = {name: [] for name in ("", *names)}
    with empty_page() as empty:
        visit(browser, empty, "", 0)  # reads Streamlit's files and starts the browser's processes
        visit(browser, ROOT / "app.py", names[-1], 0)  # reads torch's
        for _ in range(repeats):
            for name, visits in found.items():
                path = "" if name == "home" else name
                script = ROOT / "app.py" if name else empty
                visits.append(one := visit(browser, script, path, after))
                print(name or "(empty page)", one, file=sys.stderr, flush=True)
    return found


def print_table(found: dict[str, list[Visit]]) -> None:
    """Print the medians, their range, and their ratio to the empty page's."""
    unit = statistics.median(one.title for one in found[""])
    print("| page | title (s) | range | title / empty page's | settled (s) | range |")
    print("|---|--:|--:|--:|--:|--:|")
    for name, visits in found.items():
        titles, settled = ([getattr(one, key) for one in visits] for key in ("title", "settled"))
        title = statistics.median(titles)
        print(
            f"| {PAGES.get(name, '(empty page)')} | {title:.2f} | {_range(titles)} "
            f"| {title / unit:.1f} × | {statistics.median(settled):.2f} | {_range(settled)} |"
        )


def _range(seconds: list[float]) -> str:
    return f"{min(seconds):.2f} to {max(seconds):.2f}"


def main() -> None:
    """Print a markdown table with a row for each page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", nargs="*", metavar="PAGE", help=f"of {', '.join(PAGES)}")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--after", type=float, default=0, help="seconds from the server's first answer to the visit"
    )
    options = parser.parse_args()
    if unknown := set(options.pages) - set(PAGES):
        parser.error(f"there is no page {', '.join(sorted(unknown))}")
    before = os.getloadavg()[0]
    with sync_playwright() as playwright:
        chromium = os.environ.get("CHROMIUM", "/usr/bin/chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        found = measure(browser, options.pages or list(PAGES), options.repeats, options.after)
    print(
        f"Streamlit {streamlit.__version__}, {platform.machine()}, {os.cpu_count()} cores, "
        f"load {before:.1f} before and {os.getloadavg()[0]:.1f} after, "
        f"medians of {options.repeats}\n"
    )
    print_table(found)


if __name__ == "__main__":
    main()
