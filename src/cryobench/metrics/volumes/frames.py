"""Frame of a reconstruction: its volumes are brought to the grid and into the frame of the truth when read.

A method that was given the poses works in the frame of the truth. One that estimates them has its own frame,
turned, displaced and perhaps mirrored, which does not affect its quality; volumes are compared after the transform
that aligns it to the truth. The same holds for a method that refined the given poses, since all of them together,
and the volume with them, may have rotated slightly. Modes:

| mode | transforms |
|---|---|
| none | none |
| reconstruction | one for all volumes, the best for six of the query volumes together |
| class | one for the volumes of each class: classes found ab initio have their own frames |
| volume | one for each volume, as published for ab initio methods, which is more forgiving |
| auto | "class" if its classes have their own frames, "reconstruction" if its rotations differ from those the
particles came with, or those are in another frame than the truth, else "none" |

Transforms are computed within the data set's own mask, also where scores use another. A volume without a transform
(constant, or of a query particle of unknown state or in no class) is left unaligned under "class" and "volume", and
counted.

Source: ``cryobench.volumes.alignment``; published protocol: Jeon et al., CryoBench, arXiv:2408.05526.
"""

import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np

from cryobench._errors import UnknownName
from cryobench._progress import Progress, Silent
from cryobench.data import ClassVolumes, Dataset, Reconstruction, VolumeSource
from cryobench.metrics.metric import check_particles
from cryobench.metrics.volumes.query_pairs import KeptVolumes, QueryPairs, hash_content, pair_queries
from cryobench.rotations import geodesic_distance
from cryobench.volumes import Alignment, align, align_all
from cryobench.volumes.regrid import regrid_volume

Mode = Literal["none", "reconstruction", "class", "volume"]
Align = Mode | Literal["auto"]
ALIGN: tuple[Align, ...] = ("auto", "none", "reconstruction", "class", "volume")
SAME_ROTATION = 1e-3
"""Largest difference of entries up to which estimated rotations equal those given."""
OTHER_FRAME = np.radians(20)
"""Median angle between given and true rotations above which their frames differ, rather than their accuracy."""
SAME_PIXEL_SIZE = 1e-3
"""Relative difference up to which two pixel sizes are equal: 0.06 px at the edge of a box of 128."""
VERSION = 1
"""Raised when alignments change, so that stored ones are computed again."""


@dataclass(frozen=True, eq=False)
class Frame:
    """Alignment of the query volumes to the truth.

    ValueError if the number of alignments does not fit the mode.
    """

    mode: Mode
    alignments: tuple[Alignment | None, ...] = ()
    """One for all, or one per query volume (None where it is not moved); empty without alignment."""
    why: str = "requested"
    """Reason for this mode."""

    def __post_init__(self) -> None:
        expected = {"none": (0,), "reconstruction": (1,)}.get(self.mode)
        if expected is not None and len(self.alignments) not in expected:
            raise ValueError(f"mode {self.mode!r} takes {expected[0]} alignments, got {len(self.alignments)}.")

    def of(self, item: int) -> Alignment | None:
        """Alignment of one query volume."""
        if self.mode == "none":
            return None
        return self.alignments[0 if self.mode == "reconstruction" else item]

    def describe(self) -> dict[str, Any]:
        """Mode, reason, and agreement of volumes and truth after the alignment, for ``Scores.context``."""
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
    """Reconstruction whose volumes are read on the grid and in the frame of the truth."""

    frame: Frame = Frame("none")
    place: Callable[[np.ndarray, np.ndarray], np.ndarray] = lambda volume, _: volume
    """Aligns a further volume, as the decoder returns it, to a true one: both (z, y, x)."""


def check_align(name: str) -> Align:
    """Alignment mode of that name. UnknownName if there is none."""
    for mode in ALIGN:
        if mode == name:
            return mode
    raise UnknownName("alignment mode", name, ALIGN)


def choose_mode(reconstruction: Reconstruction, dataset: Dataset) -> tuple[Mode, str]:
    """Mode that "auto" resolves to, and the reason."""
    given, found = dataset.particles.rotations, reconstruction.rotations
    if found is not None:
        if has_own_frames(reconstruction):
            return "class", "each of its classes has its own frame"
        if given is None or given.shape != found.shape:
            return "reconstruction", "it estimated rotations, and none were given"
        if np.abs(given - found).max(initial=0) > SAME_ROTATION:
            return "reconstruction", "its rotations are not those given"
    if _given_in_another_frame(dataset):
        return "reconstruction", "it used the given poses, which are in another frame than the truth"
    if found is None:
        return "none", "the reconstruction has no poses, so it used those given"
    return "none", "its rotations are those given"


def _given_in_another_frame(dataset: Dataset) -> bool:
    """Whether most given poses are far from the true ones, as when they come from another run."""
    given = dataset.particles.rotations
    true = None if dataset.truth is None else dataset.truth.rotations
    if given is None or true is None:
        return False
    return bool(np.median(geodesic_distance(given, true)) > OTHER_FRAME)


def has_own_frames(reconstruction: Reconstruction) -> bool:
    """Whether each class of a reconstruction has its own frame and hand."""
    classes = reconstruction.find(ClassVolumes)
    return classes is not None and classes.own_frames and reconstruction.posteriors is not None


def find_frame(
    reconstruction: Reconstruction,
    dataset: Dataset,
    align_by: Align | Sequence[Alignment] = "auto",
    *,
    progress: Progress | None = None,
) -> Frame:
    """Alignment of the query volumes to the true volumes of their particles.

    Parameters
    ----------
    align_by
        A mode (see the module), or alignments computed before: one for all, or one per query volume.

    Raises
    ------
    UnknownName
        If there is no such mode.
    ValueError
        If the number of alignments is not that of query volumes, volumes cannot be aligned (see ``volumes.align``),
        or mode "class" is requested and there are no classes.
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
    mode, why = choose_mode(reconstruction, dataset) if align_by == "auto" else (align_by, "requested")
    if mode == "none":
        return Frame("none", why=why)
    if reconstruction.volumes is None or dataset.truth is None or dataset.truth.volumes is None:
        return Frame("none", why="there are no volumes, or no true ones, to align")
    check_particles(reconstruction, dataset)
    if not (dataset.truth.states[reconstruction.queries] >= 0).any():
        return Frame("none", why="no query particle has a known state")
    pairs = pair_queries(bring_into_frame(reconstruction, dataset, Frame("none")), dataset)
    rows = [row for row in range(len(pairs)) if np.ptp(pairs.read(row)) > 0]
    if not rows:
        if align_by == "auto":
            return Frame("none", why="every volume is constant: nothing to align")
        raise ValueError(f"all {len(pairs)} volumes of {reconstruction.name} are constant: nothing to align.")
    options = {"pixel_size": dataset.particles.pixel_size, "mask": _mask_of(dataset)}
    if mode == "volume":
        return Frame(mode, _align_each(pairs, rows, len(reconstruction.queries), options, progress), why)
    if mode == "reconstruction":
        return Frame(mode, tuple(_align_groups(pairs, {0: rows}, options, progress).values()), why)
    if reconstruction.posteriors is None:
        raise ValueError(
            f"{reconstruction.name} has no classes to align: use --align reconstruction, or --align volume."
        )
    posteriors = reconstruction.posteriors[reconstruction.queries]
    members: dict[int, list[int]] = {}
    for row in rows:
        probabilities = posteriors[pairs.items[row]]
        if np.isfinite(probabilities).all():  # a particle that was left out is in no class
            members.setdefault(int(probabilities.argmax()), []).append(row)
    if not members:
        return Frame("none", why="no query particle has a class")
    alignments: list[Alignment | None] = [None] * len(reconstruction.queries)
    for number, found in _align_groups(pairs, members, options, progress).items():
        for row in members[number]:
            alignments[int(pairs.items[row])] = found
    return Frame(mode, tuple(alignments), why)


def _align_groups(
    pairs: QueryPairs, groups: Mapping[int, Sequence[int]], options: dict[str, Any], progress: Progress | None
) -> dict[int, Alignment]:
    """Alignment of each group of rows: the best for some of its volumes together."""
    found = {}
    with (progress or Silent()).task("alignment", len(groups)) as task:
        for name, rows in groups.items():
            estimates, truths = (_Rows(pairs, rows, true=true) for true in (False, True))
            found[name] = align_all(estimates, truths, mode="reconstruction", **options)[0]
            task.advance()
    return found


def _align_each(
    pairs: QueryPairs, rows: Sequence[int], n: int, options: dict[str, Any], progress: Progress | None
) -> tuple[Alignment | None, ...]:
    """Alignment of every query volume; each distinct pair of volume and truth is aligned once."""
    found: list[Alignment | None] = [None] * n
    known: dict[tuple[bytes, int], Alignment] = {}
    with (progress or Silent()).task("alignment", len(rows)) as task:
        for row in rows:
            volume, state = pairs.read(row), int(pairs.states[row])
            key = hash_content(volume), state
            if key not in known:
                known[key] = align(volume, pairs.read_true(state), **options)
            found[int(pairs.items[row])] = known[key]
            task.advance()
    return tuple(found)


def fits_grid(reconstruction: Reconstruction, dataset: Dataset) -> bool:
    """Whether the volumes have the box and the pixel size of the data set."""
    volumes, particles = reconstruction.volumes, dataset.particles
    if volumes is None:
        return True
    sampling = reconstruction.pixel_size or particles.pixel_size
    return volumes.box_size == particles.box_size and abs(sampling / particles.pixel_size - 1) <= SAME_PIXEL_SIZE


def bring_into_frame(reconstruction: Reconstruction, dataset: Dataset, frame: Frame) -> Reconstruction:
    """Reconstruction with volumes on the grid and in the frame of the truth; itself if they already are."""
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
        # A volume that is not finite has no spectrum: it is passed on unchanged, and refused later under its name.
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
    """Volumes aligned when first read, once for each distinct one, and stored in a temporary file."""

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
                if moved.size != size:  # not finite, hence still on its own grid
                    return moved
                self._file.seek(0, 2)
                self._known[key] = self._file.tell()
                self._file.write(np.ascontiguousarray(moved).data)
            self._slots[index] = self._known[key]
        self._file.seek(self._slots[index])
        return np.frombuffer(self._file.read(4 * size), np.float32).reshape((self._box_size,) * 3)


class _Rows(Sequence[np.ndarray]):
    """Volumes, or true volumes, of some query particles, read on demand."""

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
    """The data set's mask; None if it has none, or a constant one."""
    mask = dataset.particles.mask
    return None if mask is None or np.ptp(mask) == 0 else mask
