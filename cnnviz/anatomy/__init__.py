"""What a network is: its operators, shapes, parameters, costs, memory and receptive fields."""

from cnnviz.anatomy.inputs import check_input_size, parse_input_size
from cnnviz.anatomy.latency import measure_latency
from cnnviz.anatomy.operators.recorder import Call, OperatorRecorder
from cnnviz.anatomy.result import Layer, Trace, format_shape, format_shapes
from cnnviz.anatomy.second_opinion import Opinion, second_opinion
from cnnviz.anatomy.tracing import trace

__all__ = [
    "Call",
    "Layer",
    "OperatorRecorder",
    "Opinion",
    "Trace",
    "check_input_size",
    "format_shape",
    "format_shapes",
    "measure_latency",
    "parse_input_size",
    "second_opinion",
    "trace",
]
