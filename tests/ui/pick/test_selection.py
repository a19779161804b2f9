import pytest

from cnnviz import registry
from cnnviz.ui.pick.selection import Selection, from_query


def test_a_query_survives_the_way_there_and_back():
    query = {"variant": "resnet50", "shortcut": "C", "input": "3x160x192", "classes": "10"}
    selection, problems = from_query(query)
    assert problems == []
    assert selection.arguments == ("resnet50", (("shortcut", "C"),), (3, 160, 192), 10)
    assert selection.to_query() == query


def test_the_knob_for_the_resolution_sets_the_input():
    selection, problems = from_query({"variant": "mobilenet_v1", "resolution": "128"})
    assert problems == []
    assert selection.arguments[2] == (3, 128, 128)
    assert selection.to_query() == {"variant": "mobilenet_v1", "resolution": "128"}
    knobs = {"resolution": 160}
    assert Selection(registry.get("mobilenet_v1"), knobs).arguments[2] == (3, 160, 160)


def test_defaults_stay_out_of_the_url():
    assert Selection(registry.get("resnet50")).to_query() == {"variant": "resnet50"}


def test_a_family_opens_its_first_variant():
    selection, problems = from_query({"family": "resnet"})
    assert selection.variant.architecture == "resnet"
    assert problems == []


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"variant": "resnet_20"}, "did you mean"),
        ({"family": "resmet"}, "did you mean 'resnet'"),
        ({"variant": "resnet50", "shortcut": "D"}, "must be one of A, B, C"),
        ({"variant": "resnet50", "lrn": "true"}, "ResNet-50 has no setting called lrn."),
        ({"variant": "resnet50", "input": "1x224x224"}, "3 channels"),
        ({"variant": "resnet50", "input": "3x0x224"}, "input must look like"),
        ({"variant": "resnet50", "input": "huge"}, "input must look like"),
        ({"variant": "resnet50", "input": "3x9999x9999"}, "sides from 1 to 1024"),
        ({"variant": "resnet50", "classes": "-1"}, "classes must be"),
        ({"variant": "resnet50", "classes": "²"}, "classes must be"),
        ({"variant": "resnet50", "classes": "9" * 40}, "classes must be"),
        ({"variant": "resnet50", "classes": "1" + "0" * 5000}, "classes must be"),
        ({"variant": "resnet50", "classes": "0" * 10 + "1" + "9" * 8}, "classes must be"),
    ],
)
def test_what_cannot_be_is_named_and_left_at_its_default(query, words):
    selection, problems = from_query(query)
    assert len(problems) == 1
    assert words in problems[0]
    assert set(selection.to_query()) == {"variant"}


def test_zeros_before_a_number_say_nothing():
    assert from_query({"variant": "resnet50", "classes": "0" * 10 + "7"})[0].num_classes == 7


@pytest.mark.parametrize(
    "query",
    [{"input": "7" * 3000}, {"width": "w" * 3000}, {"resolution": "w" * 3000}],
)
def test_what_is_said_of_a_long_value_is_short(query):
    (problem,) = from_query({"variant": "mobilenet_v1", **query})[1]
    assert len(problem) < 200


def test_a_side_may_be_given_without_channels():
    selection, _ = from_query({"variant": "resnet50", "input": "48x40"})
    assert selection.input_size == (3, 48, 40)
