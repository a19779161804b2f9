"""Checkpoints: what is written comes back, and whatever is wrong with one is refused."""

import errno
import json
import os
import pickle
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from cnnviz import architectures
from cnnviz.settings import ROOT
from cnnviz.training.saved import card as card_file
from cnnviz.training.saved import checkpoints, files, weights
from cnnviz.training.saved.checkpoints import (
    list_checkpoints,
    read_checkpoint,
    save_checkpoint,
    scan_checkpoints,
)
from tests.training.saved.cards import card, names, refused, rewrite_card, rewrite_weights

# What is written comes back


def test_round_trip_keeps_outputs_and_card(model, tmp_path):
    history = [{"epoch": 1, "train_loss": 2.1, "val_loss": None, "lr": 0.1}]
    written = save_checkpoint(model, card(accuracy=0.65, seed=3, history=history), tmp_path)
    read = read_checkpoint(tmp_path / "net.json")
    assert read == written
    assert read.card.history == history
    assert read.card.params == 62_006
    images = torch.randn(4, 3, 32, 32)
    loaded = read.load_model()
    assert not loaded.training
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    # fp16 keeps 11 significant bits of each weight.
    torch.testing.assert_close(loaded(images), model.eval()(images), rtol=2e-2, atol=2e-3)


def test_loaded_weights_are_the_stored_ones_exactly(model, saved):
    loaded = saved.load_model().state_dict()
    for name, value in model.state_dict().items():
        assert torch.equal(loaded[name], value.half().float())


def test_batch_norm_statistics_keep_fp32(tmp_path):
    model = architectures.build("resnet20_cifar")
    norm = next(m for m in model.modules() if isinstance(m, nn.BatchNorm2d))
    norm.running_mean.fill_(1 / 3)
    norm.num_batches_tracked.fill_(70_001)
    loaded = save_checkpoint(model, card(variant="resnet20_cifar"), tmp_path).load_model()
    again = next(m for m in loaded.modules() if isinstance(m, nn.BatchNorm2d))
    assert torch.equal(again.running_mean, norm.running_mean)
    assert again.num_batches_tracked == 70_001


def test_channels_last_weights_come_back(model, tmp_path):
    model = model.to(memory_format=torch.channels_last)
    loaded = save_checkpoint(model, card(), tmp_path).load_model().state_dict()
    assert torch.equal(loaded["c3.weight"], model.state_dict()["c3.weight"].half().float())


def test_a_weight_too_large_for_fp16_is_kept(model, tmp_path):
    with torch.no_grad():
        model.output.bias[0] = 1e6
    assert save_checkpoint(model, card(), tmp_path).load_model().output.bias[0] == 1e6


def test_weights_that_are_not_finite_are_not_saved(model, saved):
    with torch.no_grad():
        model.output.bias[0] = float("nan")
    before = saved.path.read_bytes()
    refused(lambda: save_checkpoint(model, card(), saved.path.parent), "output.bias")
    assert saved.path.read_bytes() == before


def test_the_card_has_the_hash_of_the_file(saved):
    digest = subprocess.run(["sha256sum", saved.path], capture_output=True, text=True, check=True)
    assert json.loads(saved.card_path.read_text())["sha256"] == digest.stdout.split()[0]


def test_the_file_is_read_by_safetensors_itself_and_holds_fp16(saved):
    from safetensors import safe_open

    with safe_open(saved.path, "pt") as file:
        assert file.get_tensor("c1.weight").dtype == torch.float16
        assert file.metadata()["variant"] == "lenet5_cifar"


@pytest.mark.parametrize("suffix", ["", ".json", ".safetensors"])
def test_either_file_or_the_stem_can_be_given(model, tmp_path, suffix):
    save_checkpoint(model, card(name="net_0.5"), tmp_path)  # the dot begins no suffix
    assert read_checkpoint(f"{tmp_path / 'net_0.5'}{suffix}").name == "net_0.5"


def test_loading_leaves_the_files_and_no_others(model, saved):
    save_checkpoint(model, card(), saved.path.parent)
    read_checkpoint(saved.path).load_model()
    assert names(saved.path.parent) == ["net.json", "net.safetensors"]


# Damaged weights


def test_a_damaged_file_is_refused_even_if_its_hash_is_right(saved):
    rewrite_weights(saved, saved.path.read_bytes() + b"more")
    refused(read_checkpoint(saved.path).load_model, "net.safetensors", "4 bytes after")


def test_a_truncated_file_and_trailing_bytes_are_refused_by_their_hash_too(saved):
    data = saved.path.read_bytes()
    for changed in (data[:-1], data + b"\0", data[: len(data) // 2]):
        saved.path.write_bytes(changed)
        refused(saved.verify, "SHA-256")


def test_every_flipped_bit_of_a_sample_is_noticed(saved):
    data = saved.path.read_bytes()
    saved.verify()
    for position in range(0, len(data), len(data) // 20):
        changed = bytearray(data)
        changed[position] ^= 1
        saved.path.write_bytes(changed)
        refused(saved.verify, "SHA-256")
        refused(saved.load_model, "SHA-256")


def test_a_pickle_is_never_loaded(saved, tmp_path):
    class Touch:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "executed",))

    rewrite_weights(saved, pickle.dumps({"weights": Touch()}))
    refused(read_checkpoint(saved.path).load_model, "damaged")
    (tmp_path / "net.pt").write_bytes(pickle.dumps(Touch()))
    refused(lambda: read_checkpoint(tmp_path / "net.pt"), "never loaded", ".safetensors")
    assert not (tmp_path / "executed").exists()


def test_nothing_in_the_modules_that_read_checkpoints_unpickles():
    for module in (card_file, checkpoints, weights, files):
        source = Path(module.__file__).read_text()
        assert not re.search(r"(?<!safetensors\.)torch\.load|pickle\.|import pickle", source)


# Weights of another network


def test_another_architecture_is_refused_naming_both(saved):
    rewrite_card(saved, variant="resnet20_cifar")
    refused(read_checkpoint(saved.path).load_model, "resnet20_cifar", "lenet5_cifar")


def test_another_class_count_is_refused_naming_both(saved):
    rewrite_card(saved, classes=["a", "b", "c"])
    refused(read_checkpoint(saved.path).load_model, "3 classes", "10 classes")


def test_another_shape_is_refused_naming_both_where_the_file_names_no_network(saved, model):
    state = weights.stored_state(architectures.build("lenet5_cifar", num_classes=7))
    rewrite_weights(saved, weights.to_bytes(state, {}))
    refused(read_checkpoint(saved.path).load_model, "10 classes", "10 × 84", "7 × 84")


@pytest.mark.parametrize("change", ["missing", "extra"])
def test_missing_and_extra_tensors_are_refused(saved, model, change):
    state = weights.stored_state(model)
    if change == "missing":
        del state["c1.bias"]
    else:
        state["more.bias"] = torch.zeros(3)
    rewrite_weights(saved, weights.to_bytes(state, {}))
    name = "c1.bias" if change == "missing" else "more.bias"
    refused(read_checkpoint(saved.path).load_model, name, "missing")


def test_an_unknown_variant_is_refused_with_the_nearest_name(saved):
    rewrite_card(saved, variant="lenet5_cifr")
    refused(read_checkpoint(saved.path).load_model, "lenet5_cifar")


# Names


def test_a_link_out_of_the_folder_is_refused(saved, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    for suffix in (".json", ".safetensors"):
        (folder / f"net{suffix}").symlink_to(tmp_path / f"net{suffix}")
    refused(lambda: read_checkpoint(folder / "net"), "link")
    (folder / "circle").symlink_to(folder / "circle")
    refused(lambda: files.inside(folder, "circle"), "link")
    assert list_checkpoints(folder) == []


def test_a_linked_folder_is_fine(saved, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)
    read_checkpoint(tmp_path / "link" / "net").verify()


def test_a_name_that_differs_by_case_is_refused(model, tmp_path):
    (tmp_path / "Net.json").write_text("{}")
    refused(lambda: save_checkpoint(model, card(), tmp_path), "case", "Net.json")
    assert names(tmp_path) == ["Net.json"]


# Lists


def test_broken_checkpoints_are_left_out_and_named(model, tmp_path):
    for name in ("b", "a", "c"):
        save_checkpoint(model, card(name=name), tmp_path)
    (tmp_path / "b.json").write_text("{")
    (tmp_path / "d.safetensors").write_bytes(b"")
    (tmp_path / "Upper.safetensors").write_bytes(b"")
    (tmp_path / "recipe.json").write_text("{}")
    listing = scan_checkpoints(tmp_path)
    assert [checkpoint.name for checkpoint in listing.checkpoints] == ["a", "c"]
    assert set(listing.problems) == {"b", "d", "Upper"}
    assert "b.json" in listing.problems["b"]
    assert list_checkpoints(tmp_path) == listing.checkpoints


def test_a_missing_folder_has_no_checkpoints(tmp_path):
    assert scan_checkpoints(tmp_path / "none") == ([], {})


# Killed and full


def test_a_full_disk_leaves_the_old_checkpoint(model, saved, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with torch.no_grad():
        model.output.bias.add_(1)
    monkeypatch.setattr(files.os, "fsync", full)
    refused(lambda: save_checkpoint(model, card(accuracy=0.5), saved.path.parent), "disk is full")
    monkeypatch.undo()
    assert read_checkpoint(saved.path) == saved
    saved.load_model()
    assert not list(saved.path.parent.glob(".*.tmp"))


@pytest.mark.parametrize("stop_at", ["net.safetensors", "net.json"])
def test_a_checkpoint_stopped_between_its_files_still_loads(model, saved, monkeypatch, stop_at):
    """Stopped before either write, twice in a row, the old weights answer; then a save succeeds."""
    old = saved.load_model().output.bias.clone()
    write = files.atomic_write

    def stopped(path, data):
        if path.name == stop_at:
            raise KeyboardInterrupt
        write(path, data)

    for _ in range(2):
        with torch.no_grad():
            model.output.bias.add_(1)
        monkeypatch.setattr(checkpoints, "atomic_write", stopped)
        with pytest.raises(KeyboardInterrupt):
            save_checkpoint(model, card(), saved.path.parent)
        monkeypatch.undo()
        assert torch.equal(read_checkpoint(saved.path).load_model().output.bias, old)
    save_checkpoint(model, card(), saved.path.parent)
    loaded = read_checkpoint(saved.path).load_model()
    assert torch.equal(loaded.output.bias, model.output.bias.half().float())
    assert names(saved.path.parent) == ["net.json", "net.safetensors"]


SAVER = """
import os, sys
import torch
from pathlib import Path
from cnnviz import architectures
from cnnviz.training.saved.checkpoints import read_checkpoint, save_checkpoint
folder = Path(sys.argv[1])
card = read_checkpoint(folder / "net").card
model = architectures.build("lenet5_cifar")
for _ in sys.stdin:  # each line asks for another process that saves until it is killed
    child = os.fork()
    if child:
        print(child, flush=True)
        os.waitpid(child, 0)
        print("gone", flush=True)
        continue
    for step in range(100_000):
        with torch.no_grad():
            model.output.bias.fill_(step % 1000)
        save_checkpoint(model, card.model_copy(update={"epochs": step}), folder)
        if step == 0:
            print("saving", flush=True)
"""


def test_kill_9_at_any_moment_leaves_a_checkpoint_that_loads(saved):
    folder = saved.path.parent
    process = subprocess.Popen(
        [sys.executable, "-c", SAVER, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        start_new_session=True,
    )
    try:
        for attempt in range(8):
            process.stdin.write("\n")
            process.stdin.flush()
            child = int(process.stdout.readline())
            assert process.stdout.readline() == "saving\n"
            time.sleep(0.03 + 0.017 * attempt)  # a moment of its own for each
            os.kill(child, signal.SIGKILL)
            assert process.stdout.readline() == "gone\n"
            loaded = read_checkpoint(folder / "net")
            bias = loaded.load_model().output.bias
            assert bias[0] == loaded.card.epochs % 1000
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    files.sweep_temporaries(folder)
    assert not list(folder.glob(".*.tmp"))


def test_the_published_cards_are_read():
    assert {c.name for c in list_checkpoints(ROOT / "checkpoints")} >= {
        "lenet5",
        "lenet5_cifar",
        "resnet20_cifar",
    }
