"""The browser's Back: it undoes a choice, and one press leaves the page that nothing was chosen on.

A copied address opens what is seen.
"""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.waits import answered, back, back_twice, settled

#: A page -> what its address says once it is shown, and a choice: the picker, what is chosen
#: there, and what the address says then.
ARRIVALS = {
    "explore": ("variant=", ("Where it costs", "view=cost")),
    "filters": ("layer=", ("Feature maps", "view=maps")),
    "deconvnet": ("view=units", ("Evolution", "view=evolution")),
    "train": ("dataset=digits", None),
    "predict": ("", None),
    "compare": ("cost=params", ("Latency", "cost=latency_ms")),
}


def arrived(page: Page, name: str) -> None:
    """Wait until the page `name` is shown and its address says what is shown."""
    page.wait_for_url(re.compile(rf"/{name}(\?.*)?{ARRIVALS[name][0]}"))
    expect(page).to_have_title(re.compile(f"^{name.capitalize()}"))
    settled(page)


def home_again(page: Page, server: str) -> None:
    """Press Back once and wait for Home."""
    back(page)
    expect(page.get_by_role("heading", name="From LeNet to ConvNeXt")).to_be_visible()
    expect(page).to_have_url(f"{server}/")


@pytest.mark.parametrize("way", ["link", "top bar", "address"])
@pytest.mark.parametrize("name", ARRIVALS)
def test_an_arrival_is_one_entry_and_one_back_leaves(
    visit: Callable[..., Page], server: str, name: str, way: str
):
    page = visit(f"{server}/")
    before = page.evaluate("history.length")
    if way == "link":
        page.get_by_test_id("stMain").locator(f'a[href*="{name}"]').last.click()
    elif way == "top bar":
        page.get_by_role("link", name=name.capitalize(), exact=True).first.click()
    else:
        page.goto(f"{server}/{name}")
    arrived(page, name)
    assert page.evaluate("history.length") == before + 1
    home_again(page, server)


@pytest.mark.parametrize("name", [name for name, (_, choice) in ARRIVALS.items() if choice])
def test_a_choice_is_an_entry_that_back_undoes_and_its_address_opens_it(
    visit: Callable[..., Page], server: str, name: str
):
    label, said = ARRIVALS[name][1]
    page = visit(f"{server}/")
    page.get_by_role("link", name=name.capitalize(), exact=True).first.click()
    arrived(page, name)
    shown, entries = page.url, page.evaluate("history.length")
    page.get_by_role("radio", name=label, exact=True).click()
    page.wait_for_url(f"**{said}**")
    settled(page)
    assert page.evaluate("history.length") == entries + 1
    other = visit(page.url)
    assert other.url == page.url
    radio = other.get_by_role("radio", name=label, exact=True)
    expect(radio).to_have_attribute("aria-checked", "true")
    back(page)
    expect(page).to_have_url(shown)
    radio = page.get_by_role("radio", name=label, exact=True)
    expect(radio).to_have_attribute("aria-checked", "false")
    settled(page)
    home_again(page, server)


@pytest.mark.parametrize(
    "link",
    [
        "/explore",
        "/explore?variant=vgg11&view=field",
        "/explore?variant=nonsense",
        "/explore?variant=vgg11&view=two&other=nonsense",
        "/explore?variant=lenet5&view=field&layer=nonsense",
        "/explore?variant=lenet5&sort=nonsense",
        "/filters?model=nonsense&layer=nonsense",
        "/train?variant=nonsense&dataset=nonsense",
        "/compare?dataset=nonsense",
    ],
)
def test_back_leaves_the_page_where_nothing_was_chosen(
    visit: Callable[..., Page], server: str, link: str
):
    page = visit(server)
    page.goto(server + link)
    settled(page)
    home_again(page, server)


@pytest.mark.parametrize("wait_ms", [0, 50, 100, 150, 200, 300])
def test_pressed_twice_it_leaves_before_the_page_has_answered(
    visit: Callable[..., Page], server: str, wait_ms: int
):
    page = visit(f"{server}/")
    page.get_by_role("link", name="Deconvnet", exact=True).first.click()
    arrived(page, "deconvnet")
    page.get_by_role("radio", name="Evolution", exact=True).click()
    page.wait_for_url("**view=evolution**")
    settled(page)
    back_twice(page, wait_ms)  # the choice is undone, and the page is left
    page.get_by_role("heading", name="From LeNet to ConvNeXt").wait_for()
    settled(page)
    expect(page).to_have_url(f"{server}/")


def test_back_undoes_each_choice(visit: Callable[..., Page], server: str):
    page = visit(f"{server}/explore?variant=lenet5")
    page.get_by_role("radio", name="Where it costs").click()
    page.wait_for_url("**view=cost")
    settled(page)
    page.get_by_role("radio", name="Activations").click()
    page.wait_for_url("**cost=activations")
    settled(page)
    page.get_by_role("combobox", name="Variant").click()
    page.get_by_role("option", name="LeNet, modern").click()
    page.wait_for_url("**variant=lenet_modern**")
    settled(page)

    back(page)
    page.get_by_role("heading", name="LeNet-5 (1998)").wait_for()
    expect(page.get_by_role("radio", name="Activations")).to_have_attribute("aria-checked", "true")
    back(page)
    parameters = page.get_by_role("radio", name="Parameters")
    expect(parameters).to_have_attribute("aria-checked", "true")
    back(page)
    layers = page.get_by_role("radio", name="Layers", exact=True)
    expect(layers).to_have_attribute("aria-checked", "true")


def test_back_undoes_what_was_pressed_in_the_drawing(visit: Callable[..., Page], server: str):
    page = visit(f"{server}/explore?variant=resnet20_cifar&view=drawing")
    stem = page.locator('[data-node="stem"]')
    with answered(page):
        stem.locator(".body").click()
    expect(stem).to_have_attribute("aria-expanded", "true")
    back(page)
    expect(stem).to_have_attribute("aria-expanded", "false")
    expect(page.get_by_role("radio", name="Blocks")).to_have_attribute("aria-checked", "true")


def test_back_undoes_a_setting_of_the_second_network(visit: Callable[..., Page], server: str):
    page = visit(f"{server}/explore?variant=mobilenet_v1_cifar&view=two&other=mobilenet_v1_cifar")
    page.get_by_role("button", name="Adjust").nth(1).click()
    width = page.get_by_label("Width", exact=True)  # of the popover that is open
    width.fill("0.5")
    width.press("Enter")
    page.wait_for_url("**other=mobilenet_v1_cifar~width~0.5")
    page.get_by_role("heading", name="width 0.5 to MobileNetV1").wait_for()
    settled(page)
    back(page)
    expect(page).to_have_url(re.compile("other=mobilenet_v1_cifar$"))
    expect(width).to_have_value("1")
    expect(page.get_by_role("heading", name="have the same layers")).to_be_visible()


def test_back_undoes_the_choice_of_a_layer(visit: Callable[..., Page], server: str):
    page = visit(f"{server}/explore?variant=lenet5&view=field")
    layer = page.get_by_role("combobox", name="Layer")
    before = layer.input_value()
    layer.click()
    page.get_by_role("option", name="c1").click()
    page.wait_for_url("**layer=c1")
    settled(page)
    back(page)
    expect(layer).to_have_value(before)
