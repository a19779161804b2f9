"""Devices: what number format pays where, what memory is in use, and when it has run out."""

import psutil
import pytest
import torch

from cnnviz.training import devices

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)


@pytest.mark.parametrize(("has_bf16", "expected"), [(True, "bf16"), (False, "fp32")])
def test_a_cpu_takes_bf16_where_it_has_instructions_for_it(has_bf16, expected, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": has_bf16})
    assert devices.choose_precision("auto", CPU) == expected
    assert devices.choose_precision("fp32", CPU) == "fp32"


@pytest.mark.parametrize(("in_hardware", "expected"), [(True, "bf16"), (False, "fp16")])
def test_a_gpu_without_bf16_takes_fp16(in_hardware, expected, monkeypatch):
    def supported(including_emulation=True):
        return including_emulation or in_hardware

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    assert devices.choose_precision("auto", CUDA) == expected


def test_mps_takes_fp32_unless_asked():
    mps = torch.device("mps")
    assert devices.choose_precision("auto", mps) == "fp32"
    assert devices.choose_precision("bf16", mps) == "bf16"


def test_a_gpu_trains_fast_and_is_evaluated_exactly():
    benchmark, precision = torch.backends.cudnn.benchmark, torch.get_float32_matmul_precision()
    try:
        devices.tune(CPU)
        assert torch.get_float32_matmul_precision() == precision
        devices.tune(CUDA)
        assert torch.backends.cudnn.benchmark
        assert torch.get_float32_matmul_precision() == "high"
        with devices.exact_fp32(CUDA):
            assert torch.get_float32_matmul_precision() == "highest"
            assert not torch.backends.cudnn.allow_tf32
        assert torch.get_float32_matmul_precision() == "high"
        assert torch.backends.cudnn.benchmark
    finally:
        torch.backends.cudnn.benchmark = benchmark
        torch.set_float32_matmul_precision(precision)


def test_memory_on_a_cpu_is_what_the_process_holds():
    held = torch.ones(30_000_000)  # 120 MB that were touched
    used = devices.memory_used(CPU)
    assert used > held.nbytes
    assert used == pytest.approx(psutil.Process().memory_info().rss, rel=0.2)


def test_memory_on_a_gpu_is_the_most_that_was_allocated(monkeypatch):
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 7 + device.index)
    assert devices.memory_used(torch.device("cuda", 1)) == 8


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 8 GB)"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried …"), True),
        (MemoryError(), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (OSError("disk is full"), False),
    ],
)
def test_running_out_of_memory_is_known_on_every_device(error, is_one):
    assert devices.is_out_of_memory(error) is is_one
