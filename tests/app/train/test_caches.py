import json

import pytest

from cnnviz.runs import METRICS
from cnnviz.runs.metrics import parse_metrics
from cnnviz.training.recipe import default_recipe
from cnnviz.ui.cache.run_data import MetricsReader, speed_key


def line(step):
    record = {"kind": "step", "step": step, "epoch": step / 3, "loss": 1.0}
    if step % 3 == 0:
        record |= {"kind": "epoch", "train_loss": 1.0, "train_accuracy": 0.5}
    return json.dumps(record) + "\n"


@pytest.fixture
def path(tmp_path):
    return tmp_path / METRICS


def test_growing_metrics_are_read_as_all_at_once(path):
    reader = MetricsReader(path)
    assert reader.read() == parse_metrics("")  # no file yet
    written = ""
    for step in range(1, 20):
        text = line(step) if step % 5 else "damaged\n"
        for part in (text[:7], text[7:]):  # a look may come between two halves of a line
            written += part
            path.write_text(written)
            assert reader.read() == parse_metrics(written)
    assert reader.read().damaged == 3


def test_what_is_known_is_not_parsed_again(path, monkeypatch):
    path.write_text("".join(map(line, range(1, 100))))
    reader = MetricsReader(path)
    reader.read()
    seen = []
    monkeypatch.setattr(
        "cnnviz.ui.cache.run_data.parse_metrics",
        lambda text: seen.append(text) or parse_metrics(text),
    )
    reader.read()
    with path.open("a") as file:
        file.write(line(100))
    assert len(reader.read().steps) == 67
    assert seen == [line(100)]


def test_metrics_that_were_cut_are_read_anew(path):
    """A resumed run drops what was written after its checkpoint, and writes it again."""
    reader = MetricsReader(path)
    path.write_text("".join(map(line, range(1, 10))))
    reader.read()
    path.write_text("".join(map(line, [1, 2, 3])))
    assert [r["step"] for r in reader.read().steps] == [1, 2]
    longer = "".join(map(line, [1, 2, 30, 40, 50, 60, 70, 80]))
    path.write_text(longer)  # longer than what was read, and other
    assert reader.read() == parse_metrics(longer)
    path.unlink()
    assert reader.read() == parse_metrics("")


def test_only_what_decides_the_speed_is_measured_again():
    recipe = default_recipe("lenet5", "digits")
    same = recipe.changed(epochs=3, lr=1.5, seed=9, holdout=7, snapshots=False, grad_clip=0.3)
    assert speed_key(same) == speed_key(recipe)
    for change in ({"batch_size": 8}, {"optimizer": "adamw"}, {"ema": 0.9}, {"grad_clip": 0.0}):
        assert speed_key(recipe.changed(**change)) != speed_key(recipe)
