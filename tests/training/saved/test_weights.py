"""Safetensors files from strangers: every kind of damage is refused in one sentence."""

import json

import pytest
import torch

from cnnviz.errors import CnnvizError
from cnnviz.training.saved import weights


def header(table, tail=b"", length=None):
    text = table if isinstance(table, bytes) else json.dumps(table).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + tail


def tensor(begin, end, shape=None, dtype="U8"):
    shape = [end - begin] if shape is None else shape
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "0 bytes"),
        (b"1234567", "7 bytes"),
        (header({}, length=2**63), "9,223,372,036,854,775,808"),
        (header({}, length=3), "beyond the end"),
        (header(b" " * 1_000_001), "1,000,001"),
        (header(b"{not json}"), "not JSON"),
        (header(b"\xff\xfe"), "not JSON"),
        (header(b"[" * 200_000), "not JSON"),
        (header(b'{"a":{},"a":{}}'), "not JSON"),
        (header([]), "not a JSON object"),
        (header({"__metadata__": {"a": 1}}), "metadata"),
        (header({"a": tensor(0, 4), "b": tensor(2, 6)}, b"123456"), "overlaps"),
        (header({"a": tensor(0, 4), "b": tensor(5, 6)}, b"123456"), "gap"),
        (header({"a": tensor(0, 4)}, b"123"), "1 bytes of its tensors are missing"),
        (header({"a": tensor(0, 4)}, b"12345"), "1 bytes after its last tensor"),
        (header({"a": tensor(0, 4, [5])}, b"1234"), "does not fit its shape"),
        (header({"a": tensor(0, 4, [-2, -2])}, b"1234"), "in numbers"),
        (header({"a": tensor(4, 0, [4])}, b"1234"), "does not fit its shape"),
        (header({"a": tensor(0, 4, dtype="PICKLE")}, b"1234"), "number type"),
        (header({"a": tensor(0, 4, dtype=["U8"])}, b"1234"), "number type"),
        (header({"a": 3}), "number type"),
        (header({"a": {"dtype": "U8", "shape": [1]}}), "in numbers"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_damaged_file_is_refused_by_name(data, words):
    with pytest.raises(CnnvizError, match=r"^net\.safetensors is damaged") as caught:
        weights.from_bytes(data, "net.safetensors")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_sound_file_is_read():
    tensors = {"a": torch.arange(6.0).reshape(2, 3).half(), "b": torch.tensor(3)}
    state, metadata = weights.from_bytes(weights.to_bytes(tensors, {"variant": "x"}), "net")
    assert torch.equal(state["a"], tensors["a"])
    assert torch.equal(state["b"], tensors["b"])
    assert metadata["variant"] == "x"


def test_an_empty_table_and_scalars_are_sound():
    assert weights.from_bytes(header({}), "net") == ({}, {})
    state, _ = weights.from_bytes(header({"a": tensor(0, 1, [])}, b"\7"), "net")
    assert state["a"].shape == ()
    assert state["a"] == 7
