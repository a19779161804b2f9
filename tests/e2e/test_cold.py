"""A server that has just started, whose torch takes its time, or does not come at all."""

import pytest
from playwright.sync_api import expect

from cnnviz.ui import faults
from cnnviz.ui.state.links import PAGES
from tests.e2e.waits import listen, settled


@pytest.fixture
def slow_torch(tmp_path):
    """The settings of a server whose torch waits until the file `gate` is there, and that file."""
    gate, folder = tmp_path / "gate", tmp_path / "slow"
    (folder / "torch").mkdir(parents=True)
    # It stands before the real package, which takes its place once the gate is open.
    (folder / "torch" / "__init__.py").write_text(
        "import importlib, pathlib, sys, time\n"
        f"while not pathlib.Path({str(gate)!r}).exists():\n"
        "    time.sleep(0.02)\n"
        f"sys.path.remove({str(folder)!r})\n"
        "del sys.modules['torch']\n"
        "sys.modules['torch'] = importlib.import_module('torch')\n"
    )
    return {"PYTHONPATH": str(folder)}, gate


@pytest.fixture
def page(browser):
    """A page that may stay unsettled, which `visit` would wait for."""
    context = browser.new_context()
    listen(context)
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("name", [name for name in PAGES if name != "home"])
def test_a_page_has_its_head_before_torch(name, start_server, slow_torch, page):
    settings, gate = slow_torch
    page.goto(f"{start_server(**settings)}/{name}")
    expect(page.locator("h1")).to_be_visible(timeout=30_000)
    expect(page.get_by_test_id("stSkeletonElement")).to_be_visible()
    assert page.title() == f"{PAGES[name]} · cnnviz"
    bar = page.get_by_test_id("stTopNavLinkContainer")
    for title in PAGES.values():
        expect(bar.get_by_role("link", name=title, exact=True)).to_be_visible()
    gate.touch()
    settled(page, 120)
    assert page.get_by_test_id("stSkeletonElement").count() == 0
    assert page.get_by_role("alert").filter(has_text=faults.SENTENCE).count() == 0
    assert page.locator(".stMain [data-testid=stElementContainer]").count() > 4


def test_who_waits_for_a_page_can_go_home(start_server, slow_torch, page):
    settings, gate = slow_torch
    page.goto(f"{start_server(**settings)}/explore")
    expect(page.get_by_test_id("stSkeletonElement")).to_be_visible(timeout=30_000)
    bar = page.get_by_test_id("stTopNavLinkContainer")
    bar.get_by_role("link", name="Home", exact=True).click()
    expect(page.get_by_role("heading", name="From LeNet to ConvNeXt")).to_be_visible()
    settled(page)
    assert not gate.exists()


def test_a_fault_is_one_sentence_here_and_a_traceback_in_the_log(start_server, visit, tmp_path):
    folder = tmp_path / "broken" / "torch"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('torch is not what it was')\n")
    page = visit(f"{start_server(PYTHONPATH=str(folder.parent))}/explore")
    expect(page.get_by_role("alert")).to_have_text(faults.SENTENCE)
    assert page.get_by_role("heading", name="Explore").is_visible()
    assert page.get_by_test_id("stException").count() == 0
    assert page.get_by_role("link", name="Ask").count() == 0
    assert page.get_by_test_id("stSkeletonElement").count() == 0
    (log,) = (path.read_text() for path in tmp_path.glob("server-*.log"))
    assert "torch is not what it was" in log
    assert "rooms.py" in log
