import dataclasses
import subprocess
import sys

import pytest

from cnnviz import registry
from cnnviz.errors import CnnvizError
from cnnviz.registry import Architecture, Knob, Variant

FAMILY = Architecture("net", "Net", 2000, "A. Author", "Author 2000", "https://x", "m", "i", "c")


def variant(name="net_one", architecture="net", **fields):
    fields = {"edition": "paper", "input_size": (3, 64, 64), "num_classes": 10, **fields}
    return Variant(name, architecture, "One", builder=lambda **built: built, **fields)


@pytest.fixture
def empty_registry(monkeypatch):
    monkeypatch.setattr(registry, "_architectures", {})
    monkeypatch.setattr(registry, "_variants", {})
    registry.register_architecture(FAMILY)


@pytest.mark.usefixtures("empty_registry")
class TestRegistering:
    def test_finds_what_was_registered(self):
        one = variant()
        registry.register([one])
        assert registry.get("net_one") is one
        assert registry.list_variants() == registry.list_variants("net") == [one]
        assert one.family is FAMILY

    def test_a_title_names_the_knobs_that_were_turned(self):
        knobs = (Knob("width", 1.0, "w", low=0.1, high=2), Knob("lrn", False, "l"))
        one = variant(knobs=(*knobs, Knob("overlap", True, "o"), Knob("shortcut", "B", "s")))
        assert one.titled({}) == "One"
        assert one.titled({"width": 1.0, "lrn": False}) == "One"
        turned = {"width": 0.5, "lrn": True, "overlap": False, "shortcut": "A"}
        assert one.titled(turned) == "One, width 0.5, with LRN, without overlap, shortcut A"

    def test_refuses_a_second_variant_of_the_same_name(self):
        registry.register([variant()])
        with pytest.raises(ValueError, match="'net_one' is registered twice"):
            registry.register([variant()])

    def test_refuses_a_second_family_of_the_same_name(self):
        with pytest.raises(ValueError, match="'net' is registered twice"):
            registry.register_architecture(FAMILY)

    def test_refuses_a_variant_without_a_family(self):
        with pytest.raises(ValueError, match="belongs to no registered architecture"):
            registry.register([variant(architecture="other")])

    def test_lists_the_older_family_first(self):
        registry.register_architecture(dataclasses.replace(FAMILY, name="older", year=1990))
        registry.register([variant(), variant("two", "older"), variant("net_two")])
        assert [v.name for v in registry.list_variants()] == ["two", "net_one", "net_two"]
        assert registry.list_variants("older") == [registry.get("two")]

    def test_an_unknown_name_gets_the_nearest_one(self):
        registry.register([variant()])
        with pytest.raises(CnnvizError, match="no variant called 'net_on'; did you mean 'net_one'"):
            registry.get("net_on")
        with pytest.raises(CnnvizError, match="no architecture called 'xyz'; known: net"):
            registry.list_variants("xyz")


class TestBuilding:
    def test_passes_classes_and_every_knob(self):
        knobs = (Knob("width", 1.0, "", low=0.5, high=2), Knob("aux", False, ""))
        assert variant(knobs=knobs).build(width=2) == {
            **{"num_classes": 10, "width": 2.0, "aux": False}
        }
        assert variant().build(3) == {"num_classes": 3}

    def test_resolution_changes_the_input_and_not_the_network(self):
        net = variant(knobs=(Knob("resolution", 64, "", choices=(32, 64)),))
        assert net.input_for() == (3, 64, 64)
        assert net.input_for(resolution=32) == (3, 32, 32)
        assert net.build(resolution=32) == {"num_classes": 10}
        with pytest.raises(CnnvizError, match="must be one of 32, 64"):
            net.input_for(resolution=33)

    @pytest.mark.parametrize("classes", [0, -1, 100_001, 2.5, True, "10"])
    def test_refuses_an_impossible_number_of_classes(self, classes):
        with pytest.raises(CnnvizError, match="whole number from 1 to 100000, not"):
            variant().build(classes)

    def test_refuses_an_unknown_knob(self):
        with pytest.raises(CnnvizError, match="net_one has no knob 'width'; its knobs: none"):
            variant().build(width=1)


class TestKnob:
    @pytest.mark.parametrize(
        ("default", "value", "expected"),
        [
            (1, "2", 2),
            (1, 2.0, 2),
            (1.0, "0.5", 0.5),
            (1.0, 2, 2.0),
            (True, "no", False),
            (False, "True", True),
            (False, 1, True),
            ("A", "B", "B"),
        ],
    )
    def test_returns_the_type_of_the_default(self, default, value, expected):
        checked = Knob("k", default, "").check(value)
        assert checked == expected
        assert type(checked) is type(default)

    @pytest.mark.parametrize(
        ("default", "value", "message"),
        [
            (1, "two", "k must be a whole number, not 'two'"),
            (1, 1.5, "k must be a whole number, not 1.5"),
            (1, float("inf"), "k must be a whole number, not inf"),
            (1, float("nan"), "k must be a whole number, not nan"),
            (1, True, "k must be a whole number, not True"),
            (1.0, "wide", "k must be a number, not 'wide'"),
            (1.0, float("nan"), "k must be a number, not nan"),
            (1.0, True, "k must be a number, not True"),
            (1.0, None, "k must be a number, not None"),
            (True, "perhaps", "k must be true or false, not 'perhaps'"),
            (True, 7, "k must be true or false, not 7"),
            (True, None, "k must be true or false, not None"),
            ("A", 3, "k must be a word, not 3"),
        ],
    )
    def test_refuses_another_kind_of_value(self, default, value, message):
        with pytest.raises(CnnvizError, match=message):
            Knob("k", default, "").check(value)

    def test_refuses_what_is_not_offered(self):
        with pytest.raises(CnnvizError, match="k must be one of 1, 2, not 3"):
            Knob("k", 1, "", choices=(1, 2)).check(3)

    @pytest.mark.parametrize("value", [0.1, 2.5])
    def test_refuses_what_is_out_of_bounds(self, value):
        with pytest.raises(CnnvizError, match=r"k must lie between 0\.5 and 2, not"):
            Knob("k", 1.0, "", low=0.5, high=2).check(value)


def test_the_registry_does_not_import_torch():
    code = "import cnnviz.registry, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
