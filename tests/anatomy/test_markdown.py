from torch import nn

from cnnviz.anatomy import trace as trace_of
from cnnviz.anatomy.markdown import to_markdown
from cnnviz.networks.catalogue import inspect_variant


def rows_of(text):
    return [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in text.splitlines()
        if line.startswith("|")
    ]


def test_a_table_with_a_row_for_each_operator():
    trace = inspect_variant("resnet18")
    text = to_markdown(trace, "ResNet-18")
    assert text.startswith("# ResNet-18\n\n11,689,512 parameters, 1,814,073,344 MACs")
    assert text.endswith("|\n")
    header, rule, *rows = rows_of(text)
    assert len(header) == len(rule) == 10
    assert set(rule) == {"---", "---:"}
    assert len(rows) == len(trace.layers)
    conv = ["`conv1`", "conv2d", "64×112×112", "9,408", "0.08 %", "118,013,952", "6.51 %"]
    assert rows[0] == [*conv, f"{4 * 64 * 112 * 112:,}", "7", "2"]
    assert rows[-1][-2:] == ["–", "–"]
    assert sum(int(row[3].replace(",", "")) for row in rows) == trace.params


def test_the_title_defaults_to_the_class():
    assert to_markdown(inspect_variant("lenet5")).startswith("# LeNet5\n")


def test_the_command_prints_it(capsys):
    from cnnviz.cli import main

    assert main(["inspect", "lenet5", "--markdown"]) == 0
    assert capsys.readouterr().out == to_markdown(inspect_variant("lenet5"), "lenet5")


def test_some_layers_with_the_totals_of_the_network():
    trace = trace_of(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 1, 3)), (1, 8, 8))
    lines = to_markdown(trace, layers=[trace.layers[2], trace.layers[0]]).splitlines()
    assert [line.split()[1] for line in lines[6:]] == ["`2`", "`0`"]
    assert lines[2].startswith("39 parameters, 936 MACs")  # 20 + 19; 2 · 9 · 36 + 18 · 16
