"""The Deconvnet page in a browser: a unit is pressed; every view, wide and narrow."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from cnnviz.ui.deconv_views import VIEWS
from tests.e2e.conftest import serious_violations, settled


def test_a_pressed_unit_is_pinned_below_and_opens_on_a_photo(
    visit: Callable[..., Page], server: str
):
    page = visit(f"{server}/deconvnet?model=lenet5")
    tile = page.locator("button[data-unit='6']")
    expect(tile).to_have_attribute("aria-pressed", "false")
    tile.click()
    heading = page.get_by_role("heading", name=re.compile(r"^Unit 6 of tanh"))
    expect(heading).to_be_in_viewport(timeout=20_000)
    expect(tile).to_have_attribute("aria-pressed", "true")
    expect(page).to_have_url(re.compile(r"unit=6(&|$)"))
    settled(page)

    page.locator("button[data-unit='2']").press("Enter")  # by keyboard
    expect(page.get_by_role("heading", name=re.compile(r"^Unit 2 of tanh"))).to_be_in_viewport(
        timeout=20_000
    )
    settled(page)

    with page.expect_download() as download:
        page.get_by_role("button", name="PNG").last.click()
    assert download.value.path().read_bytes().startswith(b"\x89PNG")
    assert download.value.suggested_filename.endswith("unit-2.png")

    page.get_by_role("link", name="This unit on a photo →").click()
    expect(page.get_by_role("heading", name="Unit 2 on this photo")).to_be_visible(timeout=20_000)
    settled(page)
    expect(page).to_have_url(re.compile(r"view=photo"))


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_a_view_is_clean(
    visit: Callable[..., Page], server: str, view: str, width: int, dark: bool
):
    unit = "&unit=3" if view in ("units", "photo") else ""
    page = visit(f"{server}/deconvnet?model=lenet5&view={view}{unit}", width=width, dark=dark)
    settled(page)
    assert page.locator("[data-testid=stException]").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert serious_violations(page) == []
