"""Every page in a real Chromium: deep links, no faults, accessible, wide and narrow."""

import re
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from cnnviz.ui.state.links import PAGES
from tests.e2e.conftest import screenshot, serious_violations
from tests.e2e.waits import answered, back, settled


def test_a_deep_link_on_a_fresh_server_has_the_shell(start_server, visit):
    page = visit(f"{start_server()}/explore?variant=resnet20_cifar")
    assert page.get_by_role("link", name="Train", exact=True).is_visible()
    assert page.get_by_role("heading", name="ResNet-20 for CIFAR-10").is_visible()
    assert page.title() == "Explore · cnnviz"


def test_the_app_starts_from_another_folder(start_server, visit, tmp_path):
    page = visit(start_server(cwd=tmp_path))
    assert page.get_by_role("heading", name="From LeNet to ConvNeXt").is_visible()
    background = "getComputedStyle(document.querySelector('.stApp')).backgroundColor"
    assert page.evaluate(background) == "rgb(252, 252, 251)"  # our settings are read


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_page_is_clean(server, visit, name, width, dark):
    page = visit(server if name == "home" else f"{server}/{name}", width=width, dark=dark)
    assert page.locator("h1").count() == 1
    assert page.locator("[data-testid=stException]").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert serious_violations(page) == []
    screenshot(page, f"{name}-{width}-{'dark' if dark else 'light'}")


def test_a_walk_through_all_pages(server, visit):
    page = visit(server)
    for title in PAGES.values():
        page.get_by_test_id("stTopNavLinkContainer").get_by_role("link", name=title).click()
        page.wait_for_function(
            f"document.title.startsWith({'cnnviz' if title == 'Home' else title!r})"
        )
        settled(page)
        assert page.locator("h1").count() == 1


@pytest.mark.parametrize(
    "query",
    ["explore?variant=", "explore?view=", "deconvnet?unit=", "train?variant=vgg16_cifar&width="],
)
def test_what_a_link_says_is_text_and_no_markup(server, visit, query):
    """An image of another machine would be asked for, and a link could say anything."""
    text = "![](http://a.b/c) **a** www.a.b a@b.c :smile: :streamlit:"
    page = visit(f"{server}/{query}{quote(text)}")
    said = page.get_by_role("alert").filter(has_text="**a**")
    assert text in said.inner_text().replace("\N{WORD JOINER}", "")
    expect(said.get_by_test_id("stMarkdownContainer").locator("a, img, strong")).to_have_count(0)


def test_the_road_leads_into_explore_and_back(server, visit):
    page = visit(server)
    page.get_by_role("link", name="ResNet", exact=True).click()
    page.wait_for_url("**/explore?variant=resnet18")
    settled(page)
    assert page.get_by_role("heading", name="ResNet-18", exact=True).is_visible()
    back(page)
    page.wait_for_function("document.title === 'cnnviz'")


def test_a_pick_is_in_the_url_and_survives_a_reload(server, visit):
    page = visit(f"{server}/explore?variant=lenet5")
    page.get_by_role("combobox", name="Variant").click()
    page.get_by_role("option", name="LeNet, modern").click()
    page.wait_for_url("**/explore?variant=lenet_modern")
    page.reload()
    settled(page)
    assert page.get_by_role("heading", name="LeNet, modern").is_visible()


def test_every_chart_is_described(server, visit):
    page = visit(f"{server}/explore?variant=resnet20_cifar")
    for label in ("parameters", "multiplications"):
        name = re.compile(f" of the {label}( each)?\\. Bars by layer")
        assert page.get_by_role("img", name=name).is_visible()
    bar = page.locator(".shares .columns i").nth(2)
    bar.hover()
    said = bar.evaluate("bar => getComputedStyle(bar, '::after').content")
    assert "layer1.0.conv1: 2,304 parameters" in said  # 16 · 16 · 3²


def test_the_back_button_brings_the_last_pick_back(server, visit):
    page = visit(f"{server}/explore?variant=lenet5")
    page.get_by_role("combobox", name="Variant").click()
    page.get_by_role("option", name="LeNet, modern").click()
    page.wait_for_url("**/explore?variant=lenet_modern")
    settled(page)
    back(page)
    page.get_by_role("heading", name="LeNet-5 (1998)").wait_for()


def test_explore_remembers_its_network_while_away(server, visit):
    page = visit(f"{server}/explore?variant=resnet20_cifar")
    for title in ("Home", "Explore"):
        with answered(page):
            page.get_by_test_id("stTopNavLinkContainer").get_by_role("link", name=title).click()
    page.get_by_role("heading", name="ResNet-20 for CIFAR-10").wait_for()
    page.wait_for_url("**/explore?variant=resnet20_cifar")


def test_the_variant_in_the_url_of_one_page_does_not_disturb_another(server, visit):
    page = visit(f"{server}/train?variant=resnet20_cifar&dataset=digits")
    links = page.get_by_test_id("stTopNavLinkContainer")
    links.get_by_role("link", name="Explore").click()
    page.wait_for_function("document.title.startsWith('Explore')")
    settled(page)
    page.get_by_role("combobox", name="Family").click()
    page.get_by_role("option", name="VGG").click()
    page.wait_for_url("**/explore?variant=vgg11")
    settled(page)
    links.get_by_role("link", name="Train").click()
    page.wait_for_function("document.title.startsWith('Train')")
    settled(page)
    links.get_by_role("link", name="Explore").click()
    page.get_by_role("heading", name="VGG-11", exact=True).wait_for()
    assert page.locator("[data-testid=stException]").count() == 0
