"""Time from a click on the Explore page until the page stands still again, in a real Chromium.

    python -m benchmarks.interaction [--repeats 7] [VARIANT …]

The real app runs on a server of its own, a headless Chromium clicks. A time goes from the event of
the click or key to the last change of the page's main area, after which the app has run to its end
and nothing changes for a third of a second: charts that Plotly draws late are in it, the copy of a
table for screen readers, which Streamlit renews 200 ms after the table, is not. *Server* is
the part between the message that the browser sends and the last one that it gets; *sent* is how
much that was. Each interaction has been made once before, so that what it shows is in the caches:
the networks are traced, the charts made. The first rows of the table are the floor: a page with one
button and one line of text, on a server of its own in the same run, rerun as a whole and as a
fragment; *ratio* is a time over that of the fragment.

What is traced for the first time is measured first of all, on a server that has just started.
"""

import argparse
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import streamlit
from playwright.sync_api import Browser, Page, sync_playwright

import cnnviz.architectures  # noqa: F401 - fills the registry
from cnnviz import registry

ROOT = Path(__file__).resolve().parents[1]
NETWORKS = ("resnet50", "googlenet", "convnext_tiny")
LARGEST = ("resnet152", "convnext_large")
QUIET_MS = 350
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


EMPTY = """
import streamlit as st

@st.fragment
def part():
    st.session_state.a = st.session_state.get("a", 0) + st.button("Fragment")
    st.write(f"fragment {st.session_state.a}")

part()
st.session_state.b = st.session_state.get("b", 0) + st.button("Page")
st.write(f"page {st.session_state.b}")
"""

# Notes every event, message and change with its time, from the first line of the page on.
WATCH = """
window.watched = {event: 0, change: 0, sent: 0, got: 0, bytes: 0};
for (const kind of ['click', 'keydown', 'change'])
  document.addEventListener(kind, (event) => {
    if (!watched.event) watched.event = performance.now();
  }, true);
const observer = new MutationObserver((records) => {
  const inside = records.some(({target}) => {
    const element = target.nodeType === 1 ? target : target.parentElement;
    return target.getRootNode() instanceof ShadowRoot
      || element?.closest('.stMain') && !element.closest('canvas');  // see the docstring
  });
  if (inside) watched.change = performance.now();
});
const changes = {subtree: true, childList: true, attributes: true, characterData: true};
observer.observe(document, changes);
const attach = Element.prototype.attachShadow;
Element.prototype.attachShadow = function (...arguments_) {
  const root = attach.apply(this, arguments_);
  observer.observe(root, changes);  // what a component draws
  return root;
};
window.WebSocket = class extends WebSocket {
  constructor(...arguments_) {
    super(...arguments_);
    this.addEventListener('message', ({data}) => {
      watched.got = performance.now();
      watched.bytes += data.byteLength ?? data.size ?? data.length;
    });
  }
  send(data) {
    if (!watched.sent) watched.sent = performance.now();
    super.send(data);
  }
};
"""
STILL = f"""() => {{
  const app = document.querySelector('[data-testid="stApp"]');
  return app?.dataset.testScriptState === 'notRunning'
    && !document.querySelector('[data-testid="stSkeleton"], [data-stale="true"]')
    && performance.now() - Math.max(watched.change, watched.got) > {QUIET_MS};
}}"""


@dataclass(frozen=True)
class Timing:
    """One interaction: until the last change and at the server (ms), and what was sent (kB)."""

    whole: float
    server: float
    kilobytes: float


@contextmanager
def server(script: Path) -> Iterator[str]:
    """Run a Streamlit app on a free port of this machine, and give its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(script), "--server.headless", "true"]
    command += ["--server.port", str(port), "--server.fileWatcherType", "none"]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, cwd=ROOT, stdout=quiet, stderr=quiet)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{address}/_stcore/health", timeout=2).close()
                break
            except OSError:
                time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait()


def opened(browser: Browser, address: str) -> Page:
    """Open a page that is watched, and wait until it stands still."""
    page = browser.new_page(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    page.add_init_script(WATCH)
    page.goto(address)
    page.wait_for_function(STILL, timeout=120_000)
    return page


def timed(page: Page, act: Callable[[], object]) -> Timing:
    """Do something on a page and wait until it stands still again."""
    page.evaluate("Object.assign(watched, {event: 0, change: 0, sent: 0, got: 0, bytes: 0})")
    act()
    answered = "watched.event && watched.sent && watched.got > watched.sent"
    page.wait_for_function(f"() => {answered} && ({STILL})()", timeout=60_000)
    seen = page.evaluate("watched")
    return Timing(
        max(seen["change"], seen["got"]) - seen["event"],
        max(seen["got"] - seen["sent"], 0.0),
        seen["bytes"] / 1000,
    )


def press(page: Page, name: str) -> Callable[[], object]:
    """Press a segment or button by its name."""
    found = page.get_by_role("radio", name=name, exact=True)
    return found.or_(page.get_by_role("button", name=name, exact=True)).first.click


def choose(page: Page, label: str, name: str) -> Callable[[], object]:
    """Choose from a picker; it is opened first, which is not timed."""

    def act() -> None:
        page.get_by_role("combobox", name=label).first.click()
        page.keyboard.press("Control+a")
        page.keyboard.type(name)
        page.wait_for_timeout(150)
        page.evaluate("watched.event = watched.sent = watched.got = watched.bytes = 0")
        page.keyboard.press("Enter")

    return act


def write(page: Page, label: str, text: str) -> Callable[[], object]:
    """Write into a text field; the time starts with Enter."""

    def act() -> None:
        page.get_by_label(label).first.fill(text)
        page.evaluate("watched.event = watched.sent = watched.got = watched.bytes = 0")
        page.keyboard.press("Enter")

    return act


def node(page: Page, number: int) -> Callable[[], object]:
    """Press a box of the drawing."""
    return page.locator(".view .node .body").nth(number).click


#: Two layers of each network whose fields are looked at.
FIELDS = {
    "resnet50": ("layer2.0.conv2", "layer3.0.conv2"),
    "googlenet": ("inception3a.cat", "inception4a.cat"),
    "convnext_tiny": ("features.3.0.block.0", "features.3.1.block.0"),
}
VIEWS = {
    "Drawing": "drawing",
    "Where it costs": "cost",
    "Receptive field": "field",
    "Two at once": "two",
}

Step = tuple[str, list[Callable[[], object]]]


def interactions(page: Page, address: str, variant: str) -> Iterator[Step]:
    """Yield each interaction's name and what to do in turn: there, and back again."""

    def visit(view: str) -> None:
        page.goto(f"{address}/explore?variant={variant}&view={view}")
        page.wait_for_function(STILL, timeout=120_000)

    visit("layers")
    yield (
        "Layers: search",
        [write(page, "Find a layer", "conv2d"), write(page, "Find a layer", "")],
    )
    yield (
        "Layers: sort",
        [choose(page, "Sort by", "MACs"), choose(page, "Sort by", "Order")],
    )
    visit("drawing")
    yield "Drawing: choose a node", [node(page, 1), node(page, 2)]
    yield "Drawing: unfold and fold all", [press(page, "Operators"), press(page, "Blocks")]
    yield "Drawing: colour", [press(page, "Share of MACs"), press(page, "Kind")]
    visit("cost")
    yield (
        "Where it costs: another cost",
        [press(page, "Multiply–accumulates"), press(page, "Parameters")],
    )
    visit("field")
    layers = FIELDS.get(variant)
    if layers:
        yield "Receptive field: another layer", [choose(page, "Layer", name) for name in layers]
    yield (
        "Receptive field: another photo",
        [choose(page, "Photo", "rocket"), choose(page, "Photo", "cat")],
    )
    visit("two")
    toggle = page.get_by_text("Layers that are the same too").click
    yield "Two at once: hide equal layers", [toggle, toggle]
    visit("layers")
    for title in VIEWS:
        yield f"Layers ↔ {title}", [press(page, title), press(page, "Layers")]
    for title, view in {"Layers": "layers", **VIEWS}.items():
        visit(view)
        other, first = other_variant(variant)
        yield (
            f"{title}: another variant",
            [choose(page, "Variant", other), choose(page, "Variant", first)],
        )


def other_variant(name: str) -> tuple[str, str]:
    """Return the titles of another variant of the same family and of `name` itself."""
    variant = registry.get(name)
    siblings = registry.list_variants(variant.architecture)
    other = next(item for item in siblings if item.name != name and item.edition == "paper")
    return other.title, variant.title


def floor(browser: Browser, repeats: int) -> dict[str, list[Timing]]:
    """Time an empty page's rerun as a whole and as a fragment."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "empty.py"
        script.write_text(EMPTY)
        with server(script) as address:
            page = opened(browser, address)
            found = {}
            for what in ("Page", "Fragment"):
                act = press(page, what)
                found[what] = [timed(page, act) for _ in range(repeats + 1)][1:]
            page.close()
    return found


def first_traces(browser: Browser, names: Sequence[str]) -> None:
    """Print how long the first visit of networks takes that the server has not traced."""
    print("| first time | until it stands (ms) | server (ms) |\n|---|--:|--:|")
    for name in names:
        with server(ROOT / "app.py") as address:
            page = opened(browser, f"{address}/explore?variant=lenet5")
            family = registry.get(name).family
            timed(page, choose(page, "Family", family.title))
            one = timed(page, choose(page, "Variant", registry.get(name).title))
            print(f"| {name} | {one.whole:.0f} | {one.server:.0f} |", flush=True)
            page.close()


def measure(browser: Browser, names: Sequence[str], repeats: int, unit: float) -> None:
    """Time every interaction of every network, and print its row."""
    with server(ROOT / "app.py") as address:
        page = opened(browser, f"{address}/explore")
        for name in names:
            for what, acts in interactions(page, address, name):
                for act in acts:
                    timed(page, act)  # fills the caches
                times = [timed(page, act) for _ in range((repeats + 1) // 2) for act in acts]
                print_row(name, what, times, unit)
        page.close()


def print_row(network: str, what: str, times: Sequence[Timing], unit: float) -> None:
    """Print the medians of one interaction, and the first of them over `unit` (ms)."""
    whole, server_, size = (
        statistics.median(getattr(one, key) for one in times)
        for key in ("whole", "server", "kilobytes")
    )
    numbers = f"{whole:.0f} | {server_:.0f} | {size:.0f} | {whole / unit:.1f} ×"
    print(f"| {network} | {what} | {numbers} |", flush=True)


def main() -> None:
    """Print a markdown table with a row for each interaction."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("variants", nargs="*", metavar="VARIANT")
    parser.add_argument("--repeats", type=int, default=6)
    parser.add_argument("--first", action="store_true", help="only the first traces")
    options = parser.parse_args()
    print(
        f"Streamlit {streamlit.__version__}, {platform.machine()}, {os.cpu_count()} cores, "
        f"medians of {options.repeats}\n"
    )
    with sync_playwright() as playwright:
        chromium = os.environ.get("CHROMIUM", "/usr/bin/chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        first_traces(browser, LARGEST)
        if options.first:
            return
        print(
            "\n| network | interaction | until it stands (ms) | server (ms) | sent (kB) | ratio |"
            "\n|---|---|--:|--:|--:|--:|"
        )
        empty = floor(browser, options.repeats)
        unit = statistics.median(one.whole for one in empty["Fragment"])
        for what, times in empty.items():
            print_row("(empty page)", f"{what} reruns", times, unit)
        measure(browser, options.variants or list(NETWORKS), options.repeats, unit)


if __name__ == "__main__":
    main()
