"""The epochs of a run as its subject's units saw them, kept between reruns."""

from __future__ import annotations

from dataclasses import replace

from cnnviz.errors import CnnvizError
from cnnviz.networks.subjects import Subject, trained_subject
from cnnviz.prediction import survey_models
from cnnviz.runs import Run, list_runs
from cnnviz.runs.trainer.snapshots import list_snapshots, load_snapshot
from cnnviz.sight.backward.rules import Rule
from cnnviz.sight.units.evolution import Moment, moment
from cnnviz.training.saved.checkpoints import scan_checkpoints
from cnnviz.ui.cache import jobs, subjects
from cnnviz.ui.cache.sight import image_sets
from cnnviz.ui.cache.sight.image_sets import SCAN_MACS, TestImages
from cnnviz.ui.state.background import Report

#: Images of one epoch of the evolution, at least.
FEWEST = 500


def run_of(subject: Subject) -> Run | None:
    """Return the run that trained the subject, published since or not, if it is still there."""
    if subject.checkpoint is None:
        return None
    for run in list_runs():
        if run.id == subject.name:
            return run
        if any(c.card.sha256 == subject.key for c in scan_checkpoints(run.path).checkpoints):
            return run
    return None


def models_with_epochs() -> list[str]:
    """Return the names of the trained models whose runs kept the weights of several epochs."""
    found = []
    for name, checkpoint in survey_models().models.items():
        run = run_of(trained_subject(name, checkpoint))
        if run is not None and snapshots_of(run):
            found.append(name)
    return found


def snapshots_of(run: Run) -> tuple[int, ...]:
    """Return the epochs whose weights the run kept, ascending."""
    return tuple(list_snapshots(run))


def images_over(subject: Subject, epochs: int) -> TestImages:
    """Return the test images to scan at each of `epochs` epochs: all scans together cost one."""
    test = image_sets.images_for(subject)
    macs = max(subjects.trace_of(subject).macs, 1)
    fewest = min(FEWEST, test.count)
    affordable = image_sets.affordable_images(SCAN_MACS / macs / max(epochs, 1))
    count = min(max(affordable, fewest), test.count)
    cut = replace(
        test.images,
        test_images=test.images.test_images[:count],
        test_labels=test.images.test_labels[:count],
    )
    return replace(test, images=cut)


def moment_of(
    subject: Subject,
    run: Run,
    epoch: int,
    layer: str,
    units: tuple[int, ...],
    rule: Rule,
    test: TestImages,
) -> Moment:
    """Return one epoch of the evolution over the images `test`, behind a bar the first time.

    The scan of the images serves all units, and is kept on disk in the run's folder.
    """
    path = list_snapshots(run).get(epoch)
    if path is None:
        raise CnnvizError(f"The run {run.id} no longer has its epoch {epoch}: reload the page.")

    def work(report: Report) -> Moment:
        return moment(
            epoch,
            load_snapshot(run, epoch),
            test.images,
            layer,
            units,
            rule,
            size=(subject.input_size[1], subject.input_size[2]),
            cache=run.path / "scans",
            progress=report,
        )

    written = path.stat().st_mtime_ns
    return jobs.finished(
        ("epoch", str(path), written, test.count, layer, units, rule),
        work,
        f"Epoch {epoch}: looking at {test.count:,} {test.title} for the strongest",
    )
