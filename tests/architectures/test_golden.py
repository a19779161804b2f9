"""Every variant's operators as text, so that a change in any of them shows as a readable diff.

A file has one line for each operator with parameters and for each merge of branches: path,
operator, output, parameters, MACs, receptive field and jump; the last line has the totals.
``pytest tests/architectures/test_golden.py --renew-golden`` writes them anew.
"""

from pathlib import Path

import pytest

from cnnviz.anatomy import format_shape
from cnnviz.architectures import list_variants
from cnnviz.networks.catalogue import inspect_variant

GOLDEN = Path(__file__).parent / "golden"
NAMES = [variant.name for variant in list_variants()]


def text_of(name: str) -> str:
    trace = inspect_variant(name)
    lines = []
    for layer in trace.layers:
        if layer.params or layer.kind == "merge":
            size, jump = layer.receptive_field, layer.jump
            field = layer.note or f"{size}/{jump}"
            shape = format_shape(layer.output_shape)
            lines.append(f"{layer.path} {layer.op} {shape} {layer.params} {layer.macs} {field}")
    size, jump = trace.receptive_field or ("-", "-")
    lines.append(
        f"total {len(trace.layers)} operators {trace.params} {trace.macs} {size}/{jump} "
        f"activations {trace.activation_bytes} training {trace.training_bytes}"
    )
    return "\n".join(lines) + "\n"


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_operators_are_those_on_file(name, request):
    path = GOLDEN / f"{name}.txt"
    if request.config.getoption("--renew-golden"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text_of(name))
    assert path.is_file(), "pytest --renew-golden writes it"
    assert path.read_text() == text_of(name)


def test_no_file_is_left_of_a_variant_that_is_gone():
    assert {path.stem for path in GOLDEN.iterdir()} == set(NAMES)


def test_the_files_stay_small():
    assert sum(path.stat().st_size for path in GOLDEN.iterdir()) < 1_500_000


# torchvision's published counts: parameters, and billions of MACs as it prints them.
@pytest.mark.slow
@pytest.mark.parametrize("name", [v.name for v in list_variants() if v.weights])
def test_the_totals_are_the_published_ones(name):
    from torchvision.models import get_weight

    from cnnviz import registry

    meta = get_weight(registry.get(name).weights).meta
    total = (GOLDEN / f"{name}.txt").read_text().splitlines()[-1].split()
    assert round(int(total[4]) / 1e9, 3) == meta["_ops"]
    assert int(total[3]) == meta["num_params"]
