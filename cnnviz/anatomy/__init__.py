"""What a network is: its operators, shapes, parameters, costs, memory and receptive fields."""

from cnnviz.anatomy.inputs import check_input_size, parse_input_size
from cnnviz.anatomy.recorder import Call, OperatorRecorder
from cnnviz.anatomy.result import Layer, Trace
from cnnviz.anatomy.tracing import trace

__all__ = [
    "Call",
    "Layer",
    "OperatorRecorder",
    "Trace",
    "check_input_size",
    "parse_input_size",
    "trace",
]
