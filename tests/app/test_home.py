from streamlit.testing.v1 import AppTest

import cnnviz.architectures  # noqa: F401 - fills the registry
from cnnviz import registry
from cnnviz.settings import ROOT
from cnnviz.ui.state import links

SHELL = str(ROOT / "cnnviz" / "ui" / "shell.py")


def opened() -> AppTest:
    return AppTest.from_file(SHELL, default_timeout=60).run()


def test_home_names_every_family_and_links_to_its_first_variant():
    app = opened()
    assert not app.exception
    assert app.title[0].value == "From LeNet to ConvNeXt"
    shown = {link.proto.label: link.proto for link in app.get("page_link")}
    for family in registry.list_architectures():
        first = registry.list_variants(family.name)[0]
        assert shown[family.title].page == "explore"
        assert f"variant={first.name}" in shown[family.title].query_string


def test_home_offers_a_way_to_every_page():
    ways = [link.proto.page for link in opened().get("page_link")][-6:]
    assert ["home", *ways] == list(links.PAGES)


def test_the_axis_is_to_scale_and_described():
    text = " ".join(block.value for block in opened().markdown)
    assert 'role="img" aria-label="The years of the families to scale: LeNet 1998' in text
    assert text.count('class="glyph"') == len(registry.list_architectures())


def test_every_page_has_its_file():
    for name in links.PAGES:
        assert (ROOT / "pages" / f"{name}.py").is_file()
