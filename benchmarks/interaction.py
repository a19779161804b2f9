"""Time from a click on the Explore page until the page stands still again, in a real Chromium.

    python -m benchmarks.interaction [--repeats 7] [VARIANT …]

The real app runs on a server of its own, a headless Chromium clicks. A time goes from the event of
the click or key to the last change of the page's main area, after which the app has run to its end
and nothing changes for a third of a second: charts that Plotly draws late are in it, the copy of a
table for screen readers, which Streamlit renews 200 ms after the table, is not. *Server* is
the part between the message that the browser sends and the last one that it gets; *sent* is how
much that was. Each interaction has been made once before, so that what it shows is in the caches:
the networks are traced, the charts made. The floor is measured before each network, as the machine
may have other work: a page with one button and one line of text, on a server of its own, rerun as
a whole and as a fragment; *ratio* is a time over that of the fragment. An interaction that does not
come to rest in a minute is tried once more on a fresh page, then its row says so.

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
from playwright.sync_api import Browser, Page, TimeoutError, sync_playwright

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
    && !document.querySelector('[data-testid^="stSkeleton"], [data-stale="true"]')
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


Act = Callable[[Page], Callable[[], object]]  # on a page: what to do


def press(name: str) -> Act:
    """Press a segment or button by its name."""

    def on(page: Page) -> Callable[[], object]:
        found = page.get_by_role("radio", name=name, exact=True)
        return found.or_(page.get_by_role("button", name=name, exact=True)).first.click

    return on


def choose(label: str, name: str) -> Act:
    """Choose from a picker; it is opened first, which is not timed."""

    def on(page: Page) -> Callable[[], object]:
        def act() -> None:
            page.get_by_role("combobox", name=label).first.click()
            page.keyboard.press("Control+a")
            page.keyboard.type(name)
            option = page.get_by_role("option", name=name).first
            option.wait_for(timeout=10_000)
            page.evaluate("watched.event = watched.sent = watched.got = watched.bytes = 0")
            option.click()

        return act

    return on


def write(label: str, text: str) -> Act:
    """Write into a text field; the time starts with Enter."""

    def on(page: Page) -> Callable[[], object]:
        def act() -> None:
            page.get_by_label(label).first.fill(text)
            page.evaluate("watched.event = watched.sent = watched.got = watched.bytes = 0")
            page.keyboard.press("Enter")

        return act

    return on


def node(number: int) -> Act:
    """Press a box of the drawing."""
    return lambda page: page.locator(".view .node .body").nth(number).click


def toggle(label: str) -> Act:
    """Press a switch by its words."""
    return lambda page: page.get_by_text(label, exact=True).click


def circle(row: int) -> Act:
    """Press the circle of a row of the layer table, which is drawn on a canvas."""

    def on(page: Page) -> Callable[[], object]:
        def act() -> None:
            table = page.locator("[data-testid=stDataFrame] canvas").first
            table.scroll_into_view_if_needed()
            box = table.bounding_box()
            assert box is not None
            page.mouse.click(box["x"] + 20, box["y"] + 38 + 35 * row + 17)

        return act

    return on


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
    "Second opinion": "opinion",
    "Two at once": "two",
}

Step = tuple[str, str, list[Act]]


def interactions(variant: str) -> list[Step]:
    """Return each interaction's name, where it starts, and what to do: there, and back again."""
    steps: list[Step] = [
        ("Layers: search", "", [write("Find a layer", "conv2d"), write("Find a layer", "")]),
        ("Layers: sort", "", [choose("Sort by", "MACs"), choose("Sort by", "Order")]),
        ("Layers: choose a row", "", [circle(0), circle(2)]),
        ("Drawing: choose a node", "view=drawing", [node(1), node(2)]),
        (
            "Drawing: unfold and fold all",
            "view=drawing",
            [press("Operators"), press("Blocks")],
        ),
        ("Drawing: colour", "view=drawing", [press("Share of MACs"), press("Kind")]),
        (
            "Where it costs: another cost",
            "view=cost",
            [press("Multiply–accumulates"), press("Parameters")],
        ),
        (
            "Receptive field: another photo",
            "view=field",
            [choose("Photo", "rocket"), choose("Photo", "cat")],
        ),
        (
            "Two at once: hide equal layers",
            "view=two",
            [toggle("Layers that are the same too")] * 2,
        ),
    ]
    if variant in FIELDS:
        layers = [choose("Layer", name) for name in FIELDS[variant]]
        steps.append(("Receptive field: another layer", "view=field", layers))
    for title in VIEWS:
        steps.append((f"Layers ↔ {title}", "", [press(title), press("Layers")]))
    there, back = (choose("Variant", title) for title in other_variant(variant))
    for title, view in {"Layers": "layers", **VIEWS}.items():
        steps.append((f"{title}: another variant", f"view={view}", [there, back]))
    return steps


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
                act = press(what)(page)
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
            timed(page, choose("Family", family.title)(page))
            one = timed(page, choose("Variant", registry.get(name).title)(page))
            print(f"| {name} | {one.whole:.0f} | {one.server:.0f} |", flush=True)
            page.close()


def measure(browser: Browser, names: Sequence[str], repeats: int) -> None:
    """Time every interaction of every network, after the empty page, and print its row."""
    with server(ROOT / "app.py") as address:
        for name in names:
            empty = floor(browser, repeats)
            unit = statistics.median(one.whole for one in empty["Fragment"])
            for what, times in empty.items():
                print_row("(empty page)", f"{what} reruns", times, unit)
            page = opened(browser, f"{address}/explore?variant={name}")
            for what, link, acts in interactions(name):
                times = measured(page, f"{address}/explore?variant={name}&{link}", acts, repeats)
                print_row(name, what, times, unit)
            page.close()


def measured(page: Page, link: str, acts: Sequence[Act], repeats: int) -> list[Timing]:
    """Time acts in turn on the page that `link` opens; empty if they twice do not come to rest."""
    for _ in range(2):
        try:
            page.goto(link)
            page.wait_for_function(STILL, timeout=120_000)
            for act in acts:
                timed(page, act(page))  # fills the caches
            turns = (repeats + 1) // len(acts)
            return [timed(page, act(page)) for _ in range(turns) for act in acts]
        except TimeoutError as error:
            print(f"{link}: {str(error).splitlines()[0]}", file=sys.stderr, flush=True)
    return []


def print_row(network: str, what: str, times: Sequence[Timing], unit: float) -> None:
    """Print the medians of one interaction, and the first of them over `unit` (ms)."""
    if not times:
        print(f"| {network} | {what} | did not come to rest | | | |", flush=True)
        return
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
        measure(browser, options.variants or list(NETWORKS), options.repeats)


if __name__ == "__main__":
    main()
