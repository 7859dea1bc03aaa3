"""The frame of a reconstruction: its volumes brought onto the grid and into the frame of the truth when read.

A method that was given the poses works in the frame of the truth. One that estimated its own has a frame of its own,
turned, displaced and perhaps mirrored, which says nothing of its quality; volumes are compared after the transform
that brings it onto the truth. So are those of a method that refined the poses it was given, for all of them together,
and the volume with them, may have turned a little. Modes:

| mode | what moves |
|---|---|
| none | nothing |
| reconstruction | all volumes by one transform, the best for six of the query volumes together |
| class | the volumes of each class by one transform: classes that were found ab initio have frames of their own |
| volume | each volume by a transform of its own, as published for ab initio methods, which forgives more |
| auto | "class" if its classes have frames of their own, "reconstruction" if it gives rotations other than those the
particles came with, or those are in another frame than the truth, else "none" |

Transforms are found within the data set's own mask, also where scores are taken in another. What has no transform
(a constant volume, a query particle of unknown state) stays where it is under "volume", and is counted.

Source: ``cryobench.volumes.alignment``; published protocol: Jeon et al., CryoBench, arXiv:2408.05526.
"""

import tempfile
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np

from cryobench._errors import UnknownName
from cryobench._progress import Progress
from cryobench.data import ClassVolumes, Dataset, Reconstruction, VolumeSource
from cryobench.metrics.metric import shown
from cryobench.metrics.volumes.query_pairs import KeptVolumes, QueryPairs, hash_content, pair_queries
from cryobench.rotations import geodesic_distance
from cryobench.volumes import Alignment, align, align_all
from cryobench.volumes.regrid import regrid_volume

Mode = Literal["none", "reconstruction", "class", "volume"]
Align = Mode | Literal["auto"]
ALIGN: tuple[Align, ...] = ("auto", "none", "reconstruction", "class", "volume")
SAME_ROTATION = 1e-3
"""Largest difference of entries up to which estimated rotations are those given."""
OTHER_FRAME = np.radians(20)
"""Median angle between given and true rotations above which they are in different frames, not inaccurate."""
SAME_PIXEL_SIZE = 1e-3
"""Relative difference up to which two pixel sizes are one: 0.06 px at the edge of a box of 128."""
VERSION = 1
"""Raised when alignments change, so that those kept are found anew."""


@dataclass(frozen=True, eq=False)
class Frame:
    """How query volumes are brought onto the truth.

    ValueError if the number of alignments does not fit the mode.
    """

    mode: Mode
    alignments: tuple[Alignment | None, ...] = ()
    """One for all, or one per query volume (None where it stays); empty where nothing moves."""
    why: str = "asked for"
    """Why this mode."""

    def __post_init__(self) -> None:
        expected = {"none": (0,), "reconstruction": (1,)}.get(self.mode)
        if expected is not None and len(self.alignments) not in expected:
            raise ValueError(f"mode {self.mode!r} takes {expected[0]} alignments, got {len(self.alignments)}.")

    def of(self, item: int) -> Alignment | None:
        """Alignment of a query volume."""
        if self.mode == "none":
            return None
        return self.alignments[0 if self.mode == "reconstruction" else item]

    def describe(self) -> dict[str, Any]:
        """Mode, reason, and how well volumes and truth agree after the alignment, for ``Scores.context``."""
        found = [alignment for alignment in self.alignments if alignment is not None]
        if self.mode == "class":  # its volumes have one alignment, which counts once
            found = list({id(alignment): alignment for alignment in found}.values())
        described: dict[str, Any] = {"mode": self.mode, "why": self.why}
        if found:
            angles = [np.rad2deg(np.arccos(np.clip((np.trace(each.rotation) - 1) / 2, -1, 1))) for each in found]
            described |= {
                "n": len(found),
                "score": float(np.mean([each.score for each in found])),
                "lowest_score": float(min(each.score for each in found)),
                "n_mirrored": sum(each.mirrored for each in found),
                "rotation_deg": float(np.mean(angles)),
                "shift": float(np.mean([np.linalg.norm(each.shift) for each in found])),
            }
        if self.mode in ("class", "volume"):
            described["n_left_in_place"] = sum(alignment is None for alignment in self.alignments)
        return described


@dataclass(frozen=True, eq=False)
class FramedReconstruction(Reconstruction):
    """A reconstruction whose volumes are read on the grid and in the frame of the truth."""

    frame: Frame = Frame("none")
    place: Callable[[np.ndarray, np.ndarray], np.ndarray] = lambda volume, _: volume
    """Brings a further volume, as the decoder gives it, onto a true one: both (z, y, x)."""


def check_align(name: str) -> Align:
    """The mode of that name. UnknownName if there is none."""
    for mode in ALIGN:
        if mode == name:
            return mode
    raise UnknownName("alignment mode", name, ALIGN)


def choose_mode(reconstruction: Reconstruction, dataset: Dataset) -> tuple[Mode, str]:
    """What "auto" stands for, and why."""
    if reconstruction.rotations is None:
        if _given_in_another_frame(dataset):
            return "reconstruction", "it used the poses given, which are in another frame than the truth"
        return "none", "the reconstruction gives no poses, so it used those given"
    if has_own_frames(reconstruction):
        return "class", "each of its classes has a frame of its own"
    given = dataset.particles.rotations
    if given is not None and given.shape == reconstruction.rotations.shape:
        if np.abs(given - reconstruction.rotations).max(initial=0) <= SAME_ROTATION:
            return "none", "its rotations are those given"
        return "reconstruction", "its rotations are not those given"
    return "reconstruction", "it estimated rotations, and none were given"


def _given_in_another_frame(dataset: Dataset) -> bool:
    """Whether most of the poses that particles came with are far from the true ones, as those of a run are."""
    given = dataset.particles.rotations
    true = None if dataset.truth is None else dataset.truth.rotations
    if given is None or true is None:
        return False
    return bool(np.median(geodesic_distance(given, true)) > OTHER_FRAME)


def has_own_frames(reconstruction: Reconstruction) -> bool:
    """Whether each class of a reconstruction has a frame and a hand of its own."""
    classes = reconstruction.find(ClassVolumes)
    return classes is not None and classes.own_frames and reconstruction.posteriors is not None


def find_frame(
    reconstruction: Reconstruction,
    dataset: Dataset,
    align_by: Align | Sequence[Alignment] = "auto",
    *,
    progress: Progress | None = None,
) -> Frame:
    """How the query volumes are brought onto the true volumes of their particles.

    Parameters
    ----------
    align_by
        A mode (see the module), or alignments found before: one for all, or one per query volume.

    Raises
    ------
    UnknownName
        If there is no such mode.
    ValueError
        If alignments are not as many as query volumes, volumes cannot be aligned (see ``volumes.align``), or are to
        be by class and there are no classes.
    """
    if not isinstance(align_by, str):
        found = tuple(align_by)
        if len(found) not in (1, len(reconstruction.queries)):
            raise ValueError(
                f"{len(found)} alignments were given for {len(reconstruction.queries)} query volumes: "
                "give one for all of them, or one each."
            )
        return Frame("reconstruction" if len(found) == 1 else "volume", found, "alignments given")
    align_by = check_align(align_by)
    mode, why = choose_mode(reconstruction, dataset) if align_by == "auto" else (align_by, "asked for")
    if mode == "none":
        return Frame("none", why=why)
    if reconstruction.volumes is None or dataset.truth is None or dataset.truth.volumes is None:
        return Frame("none", why="there are no volumes, or no true ones, to align")
    pairs = pair_queries(on_grid(reconstruction, dataset), dataset)
    rows = [row for row in range(len(pairs)) if np.ptp(pairs.read(row)) > 0]
    if not rows:
        if align_by == "auto":
            return Frame("none", why="every volume is constant: nothing to align")
        raise ValueError(f"all {len(pairs)} volumes of {reconstruction.name} are constant: nothing to align.")
    options = {"pixel_size": dataset.particles.pixel_size, "mask": _mask_of(dataset)}
    if mode == "reconstruction":
        with shown(progress).task("alignment", 1) as task:
            shared = align_all(_Rows(pairs, rows, true=False), _Rows(pairs, rows, true=True), mode=mode, **options)
            task.advance()
        return Frame(mode, (shared[0],), why)
    if mode == "class":
        return Frame(mode, _align_classes(reconstruction, pairs, rows, options, progress), why)
    return Frame(mode, _align_each(pairs, rows, len(reconstruction.queries), options, progress), why)


def _align_classes(
    reconstruction: Reconstruction,
    pairs: QueryPairs,
    rows: Sequence[int],
    options: dict[str, Any],
    progress: Progress | None,
) -> tuple[Alignment | None, ...]:
    """Alignment of every query volume, one for all of a class: that which fits some of them best together."""
    if reconstruction.posteriors is None:
        raise ValueError(
            f"{reconstruction.name} has no classes to align one by one: align by reconstruction, or by volume."
        )
    classes = reconstruction.posteriors[reconstruction.queries].argmax(1)
    found: list[Alignment | None] = [None] * len(reconstruction.queries)
    members: dict[int, list[int]] = {}
    for row in rows:
        members.setdefault(int(classes[pairs.items[row]]), []).append(row)
    with shown(progress).task("alignment", len(members)) as task:
        for own in members.values():
            estimates, truths = (_Rows(pairs, own, true=true) for true in (False, True))
            shared = align_all(estimates, truths, mode="reconstruction", **options)[0]
            for row in own:
                found[int(pairs.items[row])] = shared
            task.advance()
    return tuple(found)


def _align_each(
    pairs: QueryPairs, rows: Sequence[int], n: int, options: dict[str, Any], progress: Progress | None
) -> tuple[Alignment | None, ...]:
    """Alignment of every query volume; the same volume onto the same truth is aligned once."""
    found: list[Alignment | None] = [None] * n
    known: dict[tuple[bytes, int], Alignment] = {}
    with shown(progress).task("alignment", len(rows)) as task:
        for row in rows:
            volume, state = pairs.read(row), int(pairs.states[row])
            key = hash_content(volume), state
            if key not in known:
                known[key] = align(volume, pairs.read_true(state), **options)
            found[int(pairs.items[row])] = known[key]
            task.advance()
    return tuple(found)


def on_grid(reconstruction: Reconstruction, dataset: Dataset) -> Reconstruction:
    """The reconstruction with its volumes on the grid of the data set; itself if they are."""
    if reconstruction.volumes is None or fits_grid(reconstruction, dataset):
        return reconstruction
    return _framed(reconstruction, dataset, Frame("none"))


def fits_grid(reconstruction: Reconstruction, dataset: Dataset) -> bool:
    """Whether the volumes have the box and the pixel size of the data set."""
    volumes, particles = reconstruction.volumes, dataset.particles
    if volumes is None:
        return True
    sampling = reconstruction.pixel_size or particles.pixel_size
    return volumes.box_size == particles.box_size and abs(sampling / particles.pixel_size - 1) <= SAME_PIXEL_SIZE


def bring_into_frame(reconstruction: Reconstruction, dataset: Dataset, frame: Frame) -> Reconstruction:
    """The reconstruction with volumes on the grid and in the frame of the truth; itself if they are."""
    if reconstruction.volumes is None and reconstruction.decoder is None:
        return reconstruction
    if frame.mode == "none" and fits_grid(reconstruction, dataset):
        return reconstruction
    return _framed(reconstruction, dataset, frame)


def _framed(reconstruction: Reconstruction, dataset: Dataset, frame: Frame) -> FramedReconstruction:
    particles, mask = dataset.particles, _mask_of(dataset)
    stays = fits_grid(reconstruction, dataset)

    def resample(volume: np.ndarray) -> np.ndarray:
        if stays:
            return volume
        sampling = reconstruction.pixel_size or particles.pixel_size
        return regrid_volume(volume, sampling, box_size=particles.box_size, new_pixel_size=particles.pixel_size)

    def move(volume: np.ndarray, alignment: Alignment | None) -> np.ndarray:
        # What is not finite has no spectrum: it goes on as it is, to be refused under its own name.
        if not np.isfinite(volume).all():
            return volume
        on_new_grid = resample(volume)
        return on_new_grid if alignment is None else alignment.apply(on_new_grid, pixel_size=particles.pixel_size)

    def place(volume: np.ndarray, true_volume: np.ndarray) -> np.ndarray:
        if frame.mode not in ("class", "volume"):
            return move(volume, frame.of(0))
        on_new_grid = resample(volume)
        if np.ptp(on_new_grid) == 0:
            return on_new_grid
        found = align(on_new_grid, true_volume, pixel_size=particles.pixel_size, mask=mask)
        return found.apply(on_new_grid)

    own = {field.name: getattr(reconstruction, field.name) for field in fields(Reconstruction)}
    if reconstruction.volumes is not None:
        own["volumes"] = PlacedVolumes(reconstruction.volumes, particles.box_size, frame, move)
    return FramedReconstruction(**{**own, "pixel_size": particles.pixel_size}, frame=frame, place=place)


class PlacedVolumes:
    """Volumes moved when first read, once for each distinct one, and kept in a temporary file."""

    def __init__(
        self,
        volumes: VolumeSource,
        box_size: int,
        frame: Frame,
        move: Callable[[np.ndarray, Alignment | None], np.ndarray],
    ) -> None:
        self._volumes, self._box_size, self._frame, self._move = volumes, box_size, frame, move
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives, nameless, as long as this
        weakref.finalize(self, self._file.close)
        self._slots: dict[int, int] = {}
        self._known: dict[tuple[bytes, int], int] = {}

    @property
    def box_size(self) -> int:
        return self._box_size

    def __len__(self) -> int:
        return len(self._volumes)

    def read(self, index: int) -> np.ndarray:
        size = self._box_size**3
        if index not in self._slots:
            volume = self._volumes.read(index)
            alignment = self._frame.of(index)
            key = hash_content(volume), id(alignment)
            if key not in self._known:
                moved = np.asarray(self._move(volume, alignment), dtype=np.float32)
                if moved.size != size:  # it was not finite, and is on its own grid
                    return moved
                self._file.seek(0, 2)
                self._known[key] = self._file.tell()
                self._file.write(np.ascontiguousarray(moved).data)
            self._slots[index] = self._known[key]
        self._file.seek(self._slots[index])
        return np.frombuffer(self._file.read(4 * size), np.float32).reshape((self._box_size,) * 3)


class _Rows(Sequence[np.ndarray]):
    """Volumes, or true volumes, of some query particles, read when asked for."""

    def __init__(self, pairs: QueryPairs, rows: Sequence[int], *, true: bool) -> None:
        self._pairs, self._rows, self._true = pairs, rows, true
        self._truth = KeptVolumes(pairs.true_volumes)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[entry] for entry in range(*index.indices(len(self)))]
        row = self._rows[index]
        return self._truth.read(int(self._pairs.states[row])) if self._true else self._pairs.read(row)


def _mask_of(dataset: Dataset) -> np.ndarray | None:
    """The data set's mask; None if it has none, or one that is the same everywhere."""
    mask = dataset.particles.mask
    return None if mask is None or np.ptp(mask) == 0 else mask
