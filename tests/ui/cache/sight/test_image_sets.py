import pytest

from cnnviz.ui.cache.sight import image_sets


@pytest.mark.parametrize(
    ("count", "told"), [(9033.7, 9000), (100.0, 100), (99.9, 99), (0.2, 0), (3e6, 3_000_000)]
)
def test_a_number_of_images_is_round(count, told):
    assert image_sets.affordable_images(count) == told
