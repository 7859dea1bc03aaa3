"""Laws of methods."""

import contextlib
import dataclasses
import inspect
import pickle
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from cryobench._errors import UnknownName
from cryobench.compute import Compute, MemoryShortage, Workers, open_compute
from cryobench.data import ArrayImages, Dataset, LatentSnapshots, LossTerms, Particles, Reconstruction
from cryobench.io.store import load_reconstruction, save_reconstruction
from cryobench.methods import Control, Method
from cryobench.reconstruction.engine import RunContext
from cryobench.rng import stream
from cryobench.testing.comparisons import assert_alike, assert_refused, assert_same_bits, read_volumes
from cryobench.testing.decoders import check_decoder
from cryobench.testing.interruption import InterruptingProgress, Interruption
from cryobench.testing.toy import permuted, toy_dataset

_PLENTY = 4 * 10**9
_INTERRUPTED_AFTER = (0.35, 0.45)
"""Fractions of the steps after which a run, and then its remainder, is interrupted."""
_FEW = 120
"""Particles of the toy for laws that hold to the bit, or to rounding."""


@dataclass
class MethodCase:
    """A method with its small settings on the toy, and its reconstructions, each made once."""

    kind: type[Method]
    workers: Workers | None = field(default=None, repr=False)

    @cached_property
    def dataset(self) -> Dataset:
        """The toy, with few particles."""
        return toy_dataset(n=_FEW)

    @cached_property
    def compared(self) -> Dataset:
        """The toy, with as many particles as the method's reconstructions are compared on beyond rounding."""
        return self.dataset if self.kind.compared_on == _FEW else toy_dataset(n=self.kind.compared_on)

    @cached_property
    def compared_answer(self) -> Reconstruction:
        """Reconstruction of those."""
        return self.answer if self.compared is self.dataset else self.reconstruct(self.compared)

    @cached_property
    def _made(self) -> tuple[Reconstruction, int]:
        counting = InterruptingProgress()
        context = RunContext(compute=Compute(memory=_PLENTY), progress=counting)
        return self.reconstruct(self.dataset, context=context), counting.seen

    @property
    def answer(self) -> Reconstruction:
        """Reconstruction of the toy, with ample memory and no checkpoint."""
        return self._made[0]

    @property
    def steps(self) -> int:
        """Steps of progress of that reconstruction."""
        return self._made[1]

    @cached_property
    def is_unaffected(self) -> bool:
        """Whether a run with all at once gives the same bits, and leaves its input as it was: the toy made again, in
        inverted contrast, without poses if these are estimated, and with the least memory.

        The laws about each of these hold then; otherwise they make runs of their own.
        """
        dataset = toy_dataset(n=_FEW)
        particles = _inverted(dataset.particles)
        if self.kind.poses == "estimated":
            particles = particles.without_poses()
        before = _contents(dataset, particles)
        context = RunContext(compute=Compute(memory=self.least_memory))
        again = self.reconstruct(dataset, particles=particles, context=context)
        try:
            assert_same_bits(self.answer, again, "all changes at once")
            _assert_unchanged(before, _contents(dataset, particles))
        except AssertionError:
            return False
        return True

    @cached_property
    def least_memory(self) -> int:
        """Smallest memory in bytes with which the method runs on the toy, to a hundredth."""

        def does(memory: int) -> bool:
            context = RunContext(compute=Compute(memory=memory), progress=InterruptingProgress(0))
            try:
                self.reconstruct(self.dataset, context=context)
            except Interruption:
                return True
            except MemoryShortage:
                return False
            return True

        if does(1):
            return 1
        low, high = 1, _PLENTY
        while high > 1.01 * low:
            middle = int((low * high) ** 0.5)
            low, high = (low, middle) if does(middle) else (middle, high)
        return high

    def reconstruct(
        self,
        dataset: Dataset,
        *,
        particles: Particles | None = None,
        context: RunContext | None = None,
        **changes: object,
    ) -> Reconstruction:
        """Reconstruction of other particles, in another context or with other settings; volumes are read at once."""
        method = self.kind.with_settings({**self.kind.small, **changes})
        if isinstance(method, Control):
            assert dataset.truth is not None
            method = method.with_truth(dataset.truth)
        context = context or RunContext(compute=Compute(memory=_PLENTY))
        return method.reconstruct(particles or dataset.particles, dataset.queries, context)


Law = Callable[[MethodCase], None]


def check_method(kind: type[Method], laws: Sequence[str] | None = None, *, case: MethodCase | None = None) -> None:
    """Check a method against the laws.

    Parameters
    ----------
    kind
        The class.
    laws
        Names among ``METHOD_LAWS``; None for all.
    case
        Reconstructions made before, where laws are checked one by one.

    Raises
    ------
    AssertionError
        If a law is broken; the message says which, and how.
    """
    case = case or MethodCase(kind)
    for name in METHOD_LAWS if laws is None else laws:
        METHOD_LAWS[name](case)


def _is_described(case: MethodCase) -> None:
    kind = case.kind
    assert (inspect.getdoc(kind) or "").strip(), f"{kind.__name__} has no docstring for `cryobench list methods`"
    assert kind.poses in ("given", "estimated"), f"poses must be given or estimated, found {kind.poses!r}"
    assert kind().settings == kind.with_settings({}).settings, "without settings a method must have its defaults"
    for key, each in kind.Settings.model_fields.items():
        assert each.description, f"setting {key} has no description: unit, default, source"
        assert not each.is_required(), f"setting {key} has no default"
    assert pickle.loads(pickle.dumps(kind())).settings == kind().settings, "a method must be picklable, for workers"
    for preset in ("paper", "laptop"):
        assert preset in kind.presets, f"there is no preset {preset}"
        assert kind.presets[preset].source.endswith("."), f"preset {preset} does not give its source as a sentence"
        for recipe in (None, *kind.presets[preset].by_recipe):
            kind.with_settings(kind.presets[preset].expand(case.dataset.particles, recipe))


def _settings_are_frozen(case: MethodCase) -> None:
    kind = case.kind
    assert kind.Settings.model_config.get("frozen"), "settings must be frozen"
    assert kind.Settings.model_config.get("extra") == "forbid", "settings must refuse unknown names"
    assert_refused(kind.with_settings, {"no_such_setting": 1}, what="an unknown setting", refusal=UnknownName)
    for name in ("memory", "memory_gb", "device", "workers", "precision", "scheduler"):
        assert name not in kind.Settings.model_fields, f"{name} belongs to the machine, not to the settings"


def _answer_fits(case: MethodCase) -> None:
    result, dataset = case.answer, case.dataset
    n = len(dataset.particles)
    np.testing.assert_array_equal(result.queries, dataset.queries)
    assert result.latents is not None or result.posteriors is not None, "there are neither latents nor posteriors"
    for name in ("latents", "posteriors"):
        part = getattr(result, name)
        assert part is None or (len(part) == n and np.isfinite(part).all()), f"{name} are not finite rows of all {n}"
    if case.kind.poses == "estimated":
        assert result.rotations is not None, "a method that estimates poses must give them"
    volumes = read_volumes(result)
    assert volumes.shape[1:] == (dataset.particles.box_size,) * 3, "volumes are not on the data set's grid"
    assert volumes.dtype == np.float32, f"volumes are {volumes.dtype}, expected float32"
    assert np.isfinite(volumes).all(), "volumes are not finite"
    assert (volumes.std(axis=(1, 2, 3)) > 0).all(), "a volume is constant"
    assert result.record.seed is None, "the record must be made by run, not by the method"


def _inverted(particles: Particles) -> Particles:
    """The particles, their images written in inverted contrast."""
    images = ArrayImages(-particles.images.read(np.arange(len(particles))))
    return dataclasses.replace(particles, images=images, sign=-1)


def _contents(dataset: Dataset, particles: Particles) -> list[np.ndarray | None]:
    """Copies of all that a method or control is given."""
    truth = dataset.truth
    assert truth is not None
    assert truth.volumes is not None
    given = [particles.read(np.arange(len(particles))), particles.rotations, particles.shifts]
    return [None if each is None else np.array(each) for each in (*given, truth.states, truth.volumes.read(0))]


def _assert_unchanged(before: list[np.ndarray | None], after: list[np.ndarray | None]) -> None:
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new, err_msg="the method changed its input")  # pyright: ignore


def _same_input_same_bits(case: MethodCase) -> None:
    """The toy made again gives the same result, and is unchanged afterwards."""
    if case.is_unaffected:
        return
    dataset = toy_dataset(n=_FEW)
    before = _contents(dataset, dataset.particles)
    assert_same_bits(case.answer, case.reconstruct(dataset), "the same particles and seed twice")
    _assert_unchanged(before, _contents(dataset, dataset.particles))


def _contrast_is_undone(case: MethodCase) -> None:
    if case.is_unaffected:
        return
    inverted = _inverted(case.dataset.particles)
    assert_same_bits(case.answer, case.reconstruct(case.dataset, particles=inverted), "contrast written inverted")


def _background_is_ignored(case: MethodCase) -> None:
    particles = case.compared.particles
    images = particles.images.read(np.arange(len(particles)))
    lifted = dataclasses.replace(particles, images=ArrayImages(images + np.float32(images.std())))
    again = case.reconstruct(case.compared, particles=lifted)
    # Results that depend little on chance agree closely also on few particles.
    least = 0.97 if case.compared is case.dataset else 0.9
    assert_alike(case.compared_answer, again, "a constant background", least=least)


def _permutes_with_particles(case: MethodCase) -> None:
    if not case.kind.permutes:
        return
    order = stream(5, "order of the law").permutation(len(case.compared.particles))
    moved = case.reconstruct(permuted(case.compared, order))
    back = np.argsort(order)
    parts = {name: values[back] for name in ("latents", "posteriors") if (values := getattr(moved, name)) is not None}
    alike = Reconstruction(case.compared_answer.queries, moved.volumes, **parts)
    least = case.kind.repeats
    assert_alike(case.compared_answer, alike, "particles in another order", least=0.9, of_latents=least)


def _withheld_poses_are_refused(case: MethodCase) -> None:
    if case.kind.poses != "given" or (issubclass(case.kind, Control) and "volumes" in case.kind.needs):
        return
    dataset = toy_dataset(with_poses=False, n=30)
    assert_refused(case.reconstruct, dataset, what="withheld poses", words="come without")


def _is_blind_to_poses(case: MethodCase) -> None:
    """A method that estimates poses gives the same result, to the bit, with and without the true ones."""
    if case.kind.poses == "given" or case.is_unaffected:
        return
    blind = case.reconstruct(case.dataset, particles=case.dataset.particles.without_poses())
    assert_same_bits(blind, case.answer, "it looked at the poses, which it must estimate")


def _latents_decode_to_query_volumes(case: MethodCase) -> None:
    result = case.answer
    if result.decodes_by is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        save_reconstruction(result, Path(folder) / "run", pixel_size=case.dataset.particles.pixel_size)
        for each in (result, load_reconstruction(Path(folder) / "run")):
            check_decoder(each, case.dataset.particles, expected=read_volumes(result))


def _resumes_to_the_same_bits(case: MethodCase) -> None:
    """Interrupted twice, with ample memory; finished with the least that suffices."""
    plenty, least = Compute(memory=_PLENTY), Compute(memory=case.least_memory)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "checkpoint"
        for fraction in _INTERRUPTED_AFTER:
            stopping = InterruptingProgress(int(fraction * case.steps))
            with contextlib.suppress(Interruption):
                case.reconstruct(case.dataset, context=RunContext(0, plenty, stopping, folder))
        again = case.reconstruct(case.dataset, context=RunContext(0, least, checkpoint=folder))
        # Volumes may be read from the checkpoint.
        assert_same_bits(case.answer, again, "interrupted twice, finished with less memory")


def _goes_on_to_the_same_bits(case: MethodCase) -> None:
    """Continued from the end of a shorter training, including its findings. Only for methods that train in epochs."""
    if not case.kind.trains:
        return
    epochs = case.kind.small["epochs"]
    with tempfile.TemporaryDirectory() as name:
        first, second = Path(name) / "first", Path(name) / "second"
        plenty = Compute(memory=_PLENTY)
        case.reconstruct(case.dataset, context=RunContext(0, plenty, checkpoint=first), epochs=epochs - 1)
        longer = case.reconstruct(case.dataset, context=RunContext(0, plenty, checkpoint=second, former=first))
    assert_same_bits(case.answer, longer, "one epoch less, and then one more")
    for kind, part in ((LossTerms, "values"), (LatentSnapshots, "latents")):
        at_once, later = case.answer.find(kind), longer.find(kind)
        assert at_once is not None, f"a training shows its {kind.kind}"
        assert later is not None
        np.testing.assert_array_equal(getattr(at_once, part), getattr(later, part), err_msg=kind.kind)


def _streams_to_the_same_bits(case: MethodCase) -> None:
    if case.is_unaffected:
        return
    streamed = case.reconstruct(case.dataset, context=RunContext(compute=Compute(memory=case.least_memory)))
    assert_same_bits(case.answer, streamed, "with the least memory that suffices")


def _spreads_over_workers(case: MethodCase) -> None:
    """Equal up to rounding on two workers; or workers are refused, if the class does not support them."""
    if not case.kind.spreads:
        assert_refused(_spread, case, what="workers", words="--workers")
        return
    # In gradient training rounding errors grow, as they do when all weights are changed by 1e-7.
    of_latents = 0.999 if case.kind.repeats >= 0.9 else 0.95
    assert_alike(case.answer, _spread(case), "spread over two workers", least=0.999, of_latents=of_latents)


def _spread(case: MethodCase) -> Reconstruction:
    if case.workers is None:
        with open_compute(device="cpu", workers=2, memory=_PLENTY) as compute:
            return case.reconstruct(case.dataset, context=RunContext(compute=compute))
    compute = Compute(memory=_PLENTY, workers=case.workers)
    return case.reconstruct(case.dataset, context=RunContext(compute=compute))


def _small_boxes_return_on_the_grid(case: MethodCase) -> None:
    result = case.reconstruct(case.dataset, box=18)
    volumes = read_volumes(result)
    assert volumes.shape == read_volumes(case.answer).shape, "volumes of a smaller box are not on the data set's grid"
    if case.kind.poses == "estimated":
        # Each reconstruction has its own frame, so only the scale of the density is compared.
        ratio = float(volumes.std() / read_volumes(case.answer).std())
        assert 0.5 < ratio < 2, f"volumes from a smaller box are {ratio:.2f} times as dense"
        return
    for volume, whole in zip(volumes, read_volumes(case.answer), strict=True):
        found = float(np.corrcoef(volume.ravel(), whole.ravel())[0, 1])
        assert found > 0.7, f"a volume from a box of 18 px correlates by {found:.2f} with that from 24 px"
        scale = float((volume * whole).sum() / np.square(whole).sum())
        assert 0.5 < scale < 2, f"a volume from a smaller box is {scale:.2f} times as dense"


METHOD_LAWS: dict[str, Law] = {
    "is described": _is_described,
    "settings are frozen": _settings_are_frozen,
    "answer fits": _answer_fits,
    "same input, same bits": _same_input_same_bits,
    "contrast is undone": _contrast_is_undone,
    "background is ignored": _background_is_ignored,
    "permutes with its particles": _permutes_with_particles,
    "withheld poses are refused": _withheld_poses_are_refused,
    "is blind to poses": _is_blind_to_poses,
    "latents decode to query volumes": _latents_decode_to_query_volumes,
    "resumes to the same bits": _resumes_to_the_same_bits,
    "goes on to the same bits": _goes_on_to_the_same_bits,
    "streams to the same bits": _streams_to_the_same_bits,
    "spreads over workers": _spreads_over_workers,
    "small boxes return on the grid": _small_boxes_return_on_the_grid,
}
"""Every law, by name."""
