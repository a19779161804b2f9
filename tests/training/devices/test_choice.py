"""Devices: what number format pays where, what memory is in use, and when it has run out."""

from types import SimpleNamespace

import psutil
import pytest
import torch

from cnnviz.errors import CnnvizError
from cnnviz.training.devices import choice
from cnnviz.training.devices.distributed import World

CPU, CUDA, MPS = torch.device("cpu"), torch.device("cuda", 0), torch.device("mps")


@pytest.mark.parametrize(
    ("wanted", "name"),
    [("cuda", "cuda:0"), ("cuda:1", "cuda:1"), ("cpu:0", "cpu"), ("mps:0", "mps"), ("auto", "mps")],
)
def test_a_device_has_one_name(wanted, name, monkeypatch):
    """By which it is locked, and by which the runs that train on it are known."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert str(choice.pick_device(wanted)) == name


@pytest.mark.parametrize(("has_bf16", "expected"), [(True, "bf16"), (False, "fp32")])
def test_a_cpu_takes_bf16_where_it_has_instructions_for_it(has_bf16, expected, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": has_bf16})
    assert choice.choose_precision("auto", CPU) == expected
    assert choice.choose_precision("fp32", CPU) == "fp32"


@pytest.mark.parametrize(("in_hardware", "expected"), [(True, "bf16"), (False, "fp16")])
def test_a_gpu_without_bf16_takes_fp16(in_hardware, expected, monkeypatch):
    capability = {0: 8, 1: 8 if in_hardware else 7}  # asked of the very device, not the first
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda d: SimpleNamespace(major=capability[d.index])
    )
    assert choice.choose_precision("auto", torch.device("cuda", 1)) == expected


def test_mps_takes_fp32_unless_asked():
    assert choice.choose_precision("auto", MPS) == "fp32"
    assert choice.choose_precision("bf16", MPS) == "bf16"


def test_mps_keeps_images_as_batch_norm_there_can_take_them():
    assert choice.memory_format(MPS) == torch.contiguous_format
    assert choice.memory_format(CPU) == choice.memory_format(CUDA) == torch.channels_last


def test_several_processes_are_refused_one_mps_device():
    with pytest.raises(CnnvizError, match="--device cpu"):
        World(rank=1, size=2).own_device(MPS)
    assert World().own_device(MPS) == MPS


def test_the_generators_of_the_device_are_seeded_and_no_others(monkeypatch):
    generators = [torch.Generator() for _ in range(2)]
    monkeypatch.setattr(torch.cuda, "default_generators", generators)
    torch.manual_seed(2**63 + 5)
    expected, untouched = torch.rand(3), generators[0].initial_seed()
    choice.seed(torch.device("cuda", 1), 2**63 + 5)
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(torch.rand(3, generator=generators[1]), expected)
    assert generators[0].initial_seed() == untouched
    monkeypatch.setattr(torch.cuda, "default_generators", ())
    choice.seed(CPU, 2**63 + 5)
    assert torch.equal(torch.rand(3), expected)


def test_what_was_borrowed_is_as_before(monkeypatch):
    done = []
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 3)
    monkeypatch.setattr(torch.cuda, "set_device", done.append)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: done.append("emptied"))
    monkeypatch.setattr(torch.mps, "empty_cache", lambda: done.append("emptied too"))
    before = torch.backends.cudnn.benchmark, torch.get_float32_matmul_precision()
    with choice.borrowed(CUDA):
        choice.tune(CUDA)
    assert done == [CUDA, 3, "emptied"]
    with choice.borrowed(MPS):
        pass
    with choice.borrowed(CPU):
        pass
    assert done[3:] == ["emptied too"]
    assert (torch.backends.cudnn.benchmark, torch.get_float32_matmul_precision()) == before


def test_a_gpu_trains_fast_and_is_evaluated_exactly(monkeypatch):
    chosen = []
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    benchmark, precision = torch.backends.cudnn.benchmark, torch.get_float32_matmul_precision()
    try:
        choice.tune(CPU)
        assert torch.get_float32_matmul_precision() == precision
        choice.tune(CUDA)
        assert chosen == [CUDA]
        assert torch.backends.cudnn.benchmark
        assert torch.get_float32_matmul_precision() == "high"
        with choice.exact_fp32(CUDA):
            assert torch.get_float32_matmul_precision() == "highest"
            assert not torch.backends.cudnn.allow_tf32
            assert torch.backends.cudnn.enabled
        assert torch.get_float32_matmul_precision() == "high"
        assert torch.backends.cudnn.benchmark
    finally:
        torch.backends.cudnn.benchmark = benchmark
        torch.set_float32_matmul_precision(precision)


def test_memory_on_a_cpu_is_what_the_process_holds():
    held = torch.ones(30_000_000)  # 120 MB that were touched
    used = choice.memory_used(CPU)
    assert used > held.nbytes
    assert used == pytest.approx(psutil.Process().memory_info().rss, rel=0.2)


def test_memory_on_a_gpu_is_the_most_that_was_allocated(monkeypatch):
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 7 + device.index)
    assert choice.memory_used(torch.device("cuda", 1)) == 8


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 8 GB)"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried …"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (MemoryError(), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (OSError("disk is full"), False),
    ],
)
def test_running_out_of_memory_is_known_on_every_device(error, is_one):
    assert choice.is_out_of_memory(error) is is_one
