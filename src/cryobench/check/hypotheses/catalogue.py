"""Possible faults in the conventions of a data set, one hypothesis each.

A hypothesis about tables changes the stated values; one about images changes their spectra or the form of their CTF.
``adopt --mend NAME`` makes the same change of the tables, so the tested correction is the one applied.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from cryobench.check.hypotheses.reading import CtfForm, Reading, Stated
from cryobench.rng import stream
from cryobench.rotations import euler_from_rotations, rotations_from_euler
from cryobench.volumes.rotate import MIRROR


@dataclass(frozen=True)
class Hypothesis:
    """A convention that may be mistaken."""

    name: str
    says: str
    """The fault, as a clause."""
    tables: Callable[[Stated], Stated] | None = None
    images: Callable[[Reading], Reading] | None = None
    mends: Callable[[Stated], Stated] | None = None
    """Change of the tables that suits the stored images, if different from ``tables``."""
    form: CtfForm | None = None
    fine: bool = False
    """Whether it shows at high frequencies only, as CTF hypotheses do."""
    remedy: str = ""
    """Correction, if not by ``adopt --mend``."""
    seed: int | None = None
    """Seed of the permutation, if rows are shuffled: a measure of chance, which corrects nothing."""

    def read(self, reading: Reading) -> Reading:
        """The reading that is right if this hypothesis is."""
        if self.tables is not None:
            reading = reading.changed(stated=self.tables(reading.stated))
        if self.images is not None:
            reading = self.images(reading)
        return reading if self.form is None else replace(reading, form=self.form)

    @property
    def mending(self) -> Callable[[Stated], Stated] | None:
        """Change of the tables if this hypothesis is right; None if the images must be changed."""
        return self.mends or self.tables

    @property
    def way_out(self) -> str:
        """How to correct the fault."""
        return self.remedy or f"adopt --mend {self.name}"


def _in_other_axes(matrix: np.ndarray) -> Callable[[Stated], Stated]:
    """Rotations M R Mᵀ, those of both frames in axes that M permutes or mirrors."""
    return lambda stated: replace(stated, rotations=matrix @ stated.rotations @ matrix.T)


def _transpose(stated: Stated) -> Stated:
    return replace(stated, rotations=np.ascontiguousarray(np.swapaxes(stated.rotations, 1, 2)))


def _turn_by_quarter(stated: Stated) -> Stated:
    return replace(stated, rotations=np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]) @ stated.rotations)


def _negate_angle(which: int) -> Callable[[Stated], Stated]:
    def change(stated: Stated) -> Stated:
        angles = euler_from_rotations(stated.rotations).copy()
        angles[:, which] *= -1
        return replace(stated, rotations=rotations_from_euler(angles))

    return change


def _scale(factor: Callable[[Stated], float | np.ndarray]) -> Callable[[Stated], Stated]:
    return lambda stated: replace(stated, shifts=stated.shifts * factor(stated))


def _exchange_shifts(stated: Stated) -> Stated:
    return replace(stated, shifts=np.ascontiguousarray(stated.shifts[:, ::-1]))


def _reorder(order: Callable[[int], np.ndarray], *parts: str) -> Callable[[Stated], Stated]:
    """Parts of the tables in another order of their rows, from their number."""

    def change(stated: Stated) -> Stated:
        rows = order(len(stated))
        return replace(stated, **{part: getattr(stated, part)[rows] for part in parts})

    return change


def _shuffle(seed: int, *parts: str) -> Callable[[Stated], Stated]:
    return _reorder(lambda n: stream(seed, "shuffled rows").permutation(n), *parts)


def _misplaced(name: str, of: str, *parts: str) -> list[Hypothesis]:
    """Hypotheses that parts of the tables belong to a neighbouring row, or to the same one counted from the end."""
    return [
        Hypothesis(
            f"{name}-next", f"{of} belong to the next image", _reorder(lambda n: np.roll(np.arange(n), 1), *parts)
        ),
        Hypothesis(
            f"{name}-previous",
            f"{of} belong to the previous image",
            _reorder(lambda n: np.roll(np.arange(n), -1), *parts),
        ),
        Hypothesis(
            f"{name}-reversed", f"{of} are in the opposite order", _reorder(lambda n: np.arange(n)[::-1], *parts)
        ),
    ]


def _ctf(**columns: Callable[[Stated], np.ndarray]) -> Callable[[Stated], Stated]:
    def change(stated: Stated) -> Stated:
        return replace(stated, ctf=replace(stated.ctf, **{name: make(stated) for name, make in columns.items()}))

    return change


def _defocus(factor: float) -> Callable[[Stated], Stated]:
    return _ctf(
        defocus_u=lambda stated: factor * stated.ctf.defocus_u, defocus_v=lambda stated: factor * stated.ctf.defocus_v
    )


def _angle(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Stated], Stated]:
    return _ctf(defocus_angle=lambda stated: change(stated.ctf.defocus_angle))


def _constant(name: str, value: float) -> Callable[[Stated], Stated]:
    return _ctf(**{name: lambda stated: np.full(len(stated), value)})


def _pixel(factor: float, *, shifts: bool) -> Callable[[Stated], Stated]:
    """Pixels ``factor`` times as large, with shifts counted in pixels, or in Å."""
    return lambda stated: replace(
        stated, pixel_size=factor * stated.pixel_size, shifts=stated.shifts * (factor if shifts else 1.0)
    )


_POSE = ("rotations", "shifts")


def _lie_turned(matrix: np.ndarray) -> Callable[[Stated], Stated]:
    """Tables for the stored images, of which M turns the right ones: F_right(k) = F(M k), as ``Reading.turned``.

    As a projection is independent of the direction of z, that of a mirrored particle is one of the particle
    itself, rotated by diag(M, det M). Shifts and the axis of astigmatism are rotated by M.
    """
    whole = np.eye(3)
    whole[:2, :2], whole[2, 2] = matrix, round(np.linalg.det(matrix))

    def change(stated: Stated) -> Stated:
        off_centre = -stated.pixel_size * (matrix.sum(axis=1) < 0) * (stated.box_size % 2 == 0)
        x, y = matrix @ np.stack([np.cos(stated.ctf.defocus_angle), np.sin(stated.ctf.defocus_angle)])
        return replace(
            stated,
            ctf=replace(stated.ctf, defocus_angle=np.arctan2(y, x)),
            rotations=whole @ stated.rotations,
            shifts=(stated.shifts + off_centre) @ matrix.T,
        )

    return change


def _rolled(across: str, x: int, down: str, y: int) -> Hypothesis:
    offset = np.array([x, y])
    return Hypothesis(
        f"images-rolled-{across}{down}".rstrip("-"),
        "the images are one pixel off centre",
        images=lambda reading: reading.rolled(offset),
        mends=lambda stated: replace(stated, shifts=stated.shifts + stated.pixel_size * offset),
    )


def _turned(name: str, says: str, matrix: np.ndarray) -> Hypothesis:
    return Hypothesis(name, says, images=lambda reading: reading.turned(matrix), mends=_lie_turned(matrix))


_SHIFTS = (
    ("negated", "shifts have the other sign", _scale(lambda _: -1.0)),
    ("exchanged", "x and y of the shifts are exchanged", _exchange_shifts),
    ("x-negated", "x of the shifts has the other sign", _scale(lambda _: np.array([-1.0, 1.0]))),
    ("y-negated", "y of the shifts has the other sign", _scale(lambda _: np.array([1.0, -1.0]))),
    ("dropped", "the images are already centred, so the shifts do not apply", _scale(lambda _: 0.0)),
    ("in-pixels", "shifts are in pixels, but were read as Å", _scale(lambda stated: stated.pixel_size)),
    ("in-angstroms", "shifts are in Å, but were read as pixels", _scale(lambda stated: 1 / stated.pixel_size)),
    (
        "in-fractions",
        "shifts are fractions of the box, but were read as pixels",
        _scale(lambda stated: float(stated.box_size)),
    ),
    (
        "fractions-taken-for-angstroms",
        "shifts are fractions of the box, but were read as Å",
        _scale(lambda stated: stated.box_size * stated.pixel_size),
    ),
    (
        "pixels-taken-for-fractions",
        "shifts are in pixels, but were read as fractions of the box",
        _scale(lambda stated: 1.0 / stated.box_size),
    ),
    ("doubled", "shifts are for images of half the box", _scale(lambda _: 2.0)),
    ("halved", "shifts are for images of twice the box", _scale(lambda _: 0.5)),
)
_AXES = {"zyx": (2, 1, 0), "yzx": (2, 0, 1), "zxy": (1, 2, 0), "xzy": (0, 2, 1), "yxz": (1, 0, 2)}

PIXELS = tuple(
    Hypothesis(f"pixels-{name}{all_}", f"{says}{more}", _pixel(factor, shifts=not all_), fine=True)
    for name, says, factor in (
        ("half", "pixels are half as large", 0.5),
        ("double", "pixels are twice as large", 2.0),
        ("in-nm", "the pixel size is in nm, but was read as Å", 10.0),
        ("tenth", "the pixel size is ten times too large", 0.1),
    )
    for all_, more in (("", ", and shifts are in pixels"), ("-all", ""))
)
"""Pixel sizes: some wrong ones displace shifts, and are seen at low resolution; others change the CTF alone."""

GEOMETRY: tuple[Hypothesis, ...] = (
    Hypothesis(
        "rotations-transposed", "rotations are transposed: they map the particle to the reference", _transpose
    ),
    *(
        Hypothesis(
            f"rotations-{axes}",
            f"axes of the rotations are ordered ({', '.join(axes)})",
            _in_other_axes(np.eye(3)[list(rows)]),
        )
        for axes, rows in _AXES.items()
    ),
    Hypothesis("rotations-psi-negated", "in-plane angles have the other sign", _negate_angle(2)),
    Hypothesis("rotations-rot-negated", "the first Euler angle has the other sign", _negate_angle(0)),
    Hypothesis("rotations-turned-90", "rotations are off by an in-plane quarter turn", _turn_by_quarter),
    *(Hypothesis(f"shifts-{name}", says, change) for name, says, change in _SHIFTS),
    _turned("images-mirrored-x", "columns of the images are reversed", np.diag([-1, 1])),
    _turned("images-mirrored-y", "rows of the images are reversed", np.diag([1, -1])),
    _turned("images-transposed", "rows and columns of the images are exchanged", np.array([[0, 1], [1, 0]])),
    _turned("images-turned-180", "rows and columns of the images are reversed", -np.eye(2, dtype=int)),
    *(
        _rolled(across, x, down, y)
        for x, across in ((-1, "right-"), (0, ""), (1, "left-"))
        for y, down in ((-1, "down"), (0, ""), (1, "up"))
        if x or y
    ),
    *_misplaced("rows", "poses and CTFs", "ctf", *_POSE),
    *_misplaced("poses", "poses", *_POSE),
    *PIXELS,
)
"""Poses, images, rows and pixel sizes: seen at low resolution. An in-plane turn by 180° is the other hand, which
these images cannot distinguish from the stated one."""

_OPTICS = (
    Hypothesis("ctf-phase-flipped", "phases of the images are already flipped", form="flipped"),
    Hypothesis(
        "ctf-premultiplied",
        "the images are premultiplied by their CTF",
        form="premultiplied",
        remedy="write the stack again without it",
    ),
    Hypothesis(
        "ctf-absent",
        "the images have no CTF, or it is already corrected",
        form="absent",
        remedy="state a CTF of one (amplitude contrast 1, defocus and Cs 0)",
    ),
    Hypothesis("ctf-defocus-negated", "defocus has the other sign", _defocus(-1.0)),
    Hypothesis("ctf-defocus-tenfold", "defocus is in nm", _defocus(10.0)),
    Hypothesis("ctf-defocus-tenth", "defocus is ten times too large", _defocus(0.1)),
    Hypothesis(
        "ctf-angle-turned",
        "U and V are exchanged, or the angle is measured from the other axis",
        _angle(lambda angle: angle + np.pi / 2),
    ),
    Hypothesis("ctf-angle-negated", "the angle of astigmatism has the other sign", _angle(lambda angle: -angle)),
    Hypothesis(
        "ctf-angle-from-y",
        "the angle of astigmatism is measured from y towards x",
        _angle(lambda angle: np.pi / 2 - angle),
    ),
    Hypothesis(
        "ctf-angle-in-radians", "the angle of astigmatism is in radian, but was read as degrees", _angle(np.degrees)
    ),
    Hypothesis(
        "ctf-angle-in-degrees", "the angle of astigmatism is in degrees, but was read as radian", _angle(np.radians)
    ),
    *(
        Hypothesis(f"ctf-voltage-{value}", f"the voltage is {value} kV", _constant("voltage_kv", value))
        for value in (100, 200, 300)
    ),
    *(
        Hypothesis(f"ctf-cs-{value}", f"the spherical aberration is {value} mm", _constant("cs_mm", value))
        for value in (0.0, 1.4, 2.7)
    ),
    *_misplaced("ctf", "CTFs", "ctf"),
)
CTF: tuple[Hypothesis, ...] = (*(replace(each, fine=True) for each in _OPTICS), *PIXELS)
"""CTF and pixel size: seen at high resolution."""

HAND = Hypothesis("hand", "poses have the other hand", _in_other_axes(MIRROR))
"""Undecidable from images: only a map of known hand decides it."""

POSES_SHUFFLED = Hypothesis(
    "poses-shuffled",
    "poses do not belong to the images",
    _shuffle(0, *_POSE),
    seed=0,
    remedy="make the table and the stack again from one list of particles",
)
CTF_SHUFFLED = Hypothesis(
    "ctf-shuffled",
    "CTFs do not belong to the images",
    _shuffle(1, "ctf"),
    fine=True,
    seed=1,
    remedy="use the CTFs of the table from which the stack was made",
)
SIGNED = Hypothesis("ctf-as-stated", "the images have their CTF", form="signed", fine=True)
