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


def _left(matrix: np.ndarray, right: np.ndarray) -> Callable[[Stated], Stated]:
    return lambda stated: replace(stated, rotations=matrix @ stated.rotations @ right)


def _about_z(degrees: float) -> np.ndarray:
    cosine, sine = np.round(np.cos(np.radians(degrees))), np.round(np.sin(np.radians(degrees)))
    return np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])


def _transpose(stated: Stated) -> Stated:
    return replace(stated, rotations=np.ascontiguousarray(np.swapaxes(stated.rotations, 1, 2)))


def _negate_angle(which: int) -> Callable[[Stated], Stated]:
    def change(stated: Stated) -> Stated:
        angles = euler_from_rotations(stated.rotations).copy()
        angles[:, which] *= -1
        return replace(stated, rotations=rotations_from_euler(angles))

    return change


def _shift(factors: Callable[[Stated], np.ndarray]) -> Callable[[Stated], Stated]:
    return lambda stated: replace(stated, shifts=stated.shifts * factors(stated))


def _exchange_shifts(stated: Stated) -> Stated:
    return replace(stated, shifts=np.ascontiguousarray(stated.shifts[:, ::-1]))


def _rows(step: int, *parts: str) -> Callable[[Stated], Stated]:
    def change(stated: Stated) -> Stated:
        order = np.roll(np.arange(len(stated)), step) if step else np.arange(len(stated))[::-1]
        return _reorder(stated, order, parts)

    return change


def _shuffle(seed: int, *parts: str) -> Callable[[Stated], Stated]:
    def change(stated: Stated) -> Stated:
        order = stream(seed, "shuffled rows").permutation(len(stated))
        return _reorder(stated, order, parts)

    return change


def _reorder(stated: Stated, order: np.ndarray, parts: tuple[str, ...]) -> Stated:
    return replace(stated, **{part: getattr(stated, part)[order] for part in parts})


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
_FLIP_X, _FLIP_Y, _TRANSPOSE = np.diag([-1, 1]), np.diag([1, -1]), np.array([[0, 1], [1, 0]])


def _turn(matrix: np.ndarray) -> Callable[[Reading], Reading]:
    return lambda reading: reading.turned(matrix)


def _roll(x: int, y: int) -> Callable[[Reading], Reading]:
    return lambda reading: reading.rolled(np.array([x, y]))


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


def _lie_off_centre(x: int, y: int) -> Callable[[Stated], Stated]:
    return lambda stated: replace(stated, shifts=stated.shifts + stated.pixel_size * np.array([x, y]))


GEOMETRY: tuple[Hypothesis, ...] = (
    Hypothesis(
        "rotations-transposed", "rotations are transposed: they map the particle to the reference", _transpose
    ),
    Hypothesis(
        "rotations-zyx",
        "axes of the rotations are ordered (z, y, x)",
        _left(np.eye(3)[::-1], np.eye(3)[::-1]),
    ),
    Hypothesis(
        "rotations-yzx",
        "axes of the rotations are ordered (y, z, x)",
        _left(np.eye(3)[[2, 0, 1]], np.eye(3)[[1, 2, 0]]),
    ),
    Hypothesis(
        "rotations-zxy",
        "axes of the rotations are ordered (z, x, y)",
        _left(np.eye(3)[[1, 2, 0]], np.eye(3)[[2, 0, 1]]),
    ),
    Hypothesis(
        "rotations-xzy",
        "axes of the rotations are ordered (x, z, y)",
        _left(np.eye(3)[[0, 2, 1]], np.eye(3)[[0, 2, 1]]),
    ),
    Hypothesis(
        "rotations-yxz",
        "axes of the rotations are ordered (y, x, z)",
        _left(np.eye(3)[[1, 0, 2]], np.eye(3)[[1, 0, 2]]),
    ),
    Hypothesis("rotations-psi-negated", "in-plane angles have the other sign", _negate_angle(2)),
    Hypothesis("rotations-rot-negated", "the first Euler angle has the other sign", _negate_angle(0)),
    Hypothesis(
        "rotations-turned-90",
        "rotations are off by an in-plane quarter turn",
        _left(_about_z(90), np.eye(3)),
    ),
    Hypothesis("shifts-negated", "shifts have the other sign", _shift(lambda stated: np.array([-1.0, -1.0]))),
    Hypothesis("shifts-exchanged", "x and y of the shifts are exchanged", _exchange_shifts),
    Hypothesis(
        "shifts-x-negated", "x of the shifts has the other sign", _shift(lambda stated: np.array([-1.0, 1.0]))
    ),
    Hypothesis(
        "shifts-y-negated", "y of the shifts has the other sign", _shift(lambda stated: np.array([1.0, -1.0]))
    ),
    Hypothesis(
        "shifts-dropped",
        "the images are already centred, so the shifts do not apply",
        _shift(lambda stated: np.zeros(2)),
    ),
    Hypothesis(
        "shifts-in-pixels",
        "shifts are in pixels, but were read as Å",
        _shift(lambda stated: np.full(2, stated.pixel_size)),
    ),
    Hypothesis(
        "shifts-in-angstroms",
        "shifts are in Å, but were read as pixels",
        _shift(lambda stated: np.full(2, 1 / stated.pixel_size)),
    ),
    Hypothesis(
        "shifts-in-fractions",
        "shifts are fractions of the box, but were read as pixels",
        _shift(lambda stated: np.full(2, float(stated.box_size))),
    ),
    Hypothesis(
        "shifts-fractions-taken-for-angstroms",
        "shifts are fractions of the box, but were read as Å",
        _shift(lambda stated: np.full(2, stated.box_size * stated.pixel_size)),
    ),
    Hypothesis(
        "shifts-pixels-taken-for-fractions",
        "shifts are in pixels, but were read as fractions of the box",
        _shift(lambda stated: np.full(2, 1.0 / stated.box_size)),
    ),
    Hypothesis("shifts-doubled", "shifts are for images of half the box", _shift(lambda stated: np.full(2, 2.0))),
    Hypothesis("shifts-halved", "shifts are for images of twice the box", _shift(lambda stated: np.full(2, 0.5))),
    *(
        Hypothesis(name, says, images=_turn(matrix), mends=_lie_turned(matrix))
        for name, says, matrix in (
            ("images-mirrored-x", "columns of the images are reversed", _FLIP_X),
            ("images-mirrored-y", "rows of the images are reversed", _FLIP_Y),
            ("images-transposed", "rows and columns of the images are exchanged", _TRANSPOSE),
            ("images-turned-180", "rows and columns of the images are reversed", -np.eye(2, dtype=int)),
        )
    ),
    *(
        Hypothesis(
            f"images-rolled-{across}{down}".rstrip("-"),
            "the images are one pixel off centre",
            images=_roll(x, y),
            mends=_lie_off_centre(x, y),
        )
        for x, across in ((-1, "right-"), (0, ""), (1, "left-"))
        for y, down in ((-1, "down"), (0, ""), (1, "up"))
        if x or y
    ),
    Hypothesis("rows-next", "poses and CTFs belong to the next image", _rows(1, "ctf", *_POSE)),
    Hypothesis("rows-previous", "poses and CTFs belong to the previous image", _rows(-1, "ctf", *_POSE)),
    Hypothesis("rows-reversed", "poses and CTFs are in the opposite order", _rows(0, "ctf", *_POSE)),
    Hypothesis("poses-next", "poses belong to the next image", _rows(1, *_POSE)),
    Hypothesis("poses-previous", "poses belong to the previous image", _rows(-1, *_POSE)),
    Hypothesis("poses-reversed", "poses are in the opposite order", _rows(0, *_POSE)),
)
"""Poses, images and rows: seen at low resolution. An in-plane turn by 180° is the other hand, which these images
cannot distinguish from the stated one."""

CTF: tuple[Hypothesis, ...] = (
    Hypothesis(
        "ctf-phase-flipped",
        "phases of the images are already flipped",
        form="flipped",
        fine=True,
    ),
    Hypothesis(
        "ctf-premultiplied",
        "the images are premultiplied by their CTF",
        form="premultiplied",
        fine=True,
        remedy="write the stack again without it",
    ),
    Hypothesis(
        "ctf-absent",
        "the images have no CTF, or it is already corrected",
        form="absent",
        fine=True,
        remedy="state a CTF of one (amplitude contrast 1, defocus and Cs 0)",
    ),
    Hypothesis("ctf-defocus-negated", "defocus has the other sign", _defocus(-1.0), fine=True),
    Hypothesis("ctf-defocus-tenfold", "defocus is in nm", _defocus(10.0), fine=True),
    Hypothesis("ctf-defocus-tenth", "defocus is ten times too large", _defocus(0.1), fine=True),
    Hypothesis(
        "ctf-angle-turned",
        "U and V are exchanged, or the angle is measured from the other axis",
        _angle(lambda angle: angle + np.pi / 2),
        fine=True,
    ),
    Hypothesis(
        "ctf-angle-negated", "the angle of astigmatism has the other sign", _angle(lambda angle: -angle), fine=True
    ),
    Hypothesis(
        "ctf-angle-from-y",
        "the angle of astigmatism is measured from y towards x",
        _angle(lambda angle: np.pi / 2 - angle),
        fine=True,
    ),
    Hypothesis(
        "ctf-angle-in-radians",
        "the angle of astigmatism is in radian, but was read as degrees",
        _angle(np.degrees),
        fine=True,
    ),
    Hypothesis(
        "ctf-angle-in-degrees",
        "the angle of astigmatism is in degrees, but was read as radian",
        _angle(np.radians),
        fine=True,
    ),
    *(
        Hypothesis(f"ctf-voltage-{value}", f"the voltage is {value} kV", _constant("voltage_kv", value), fine=True)
        for value in (100, 200, 300)
    ),
    *(
        Hypothesis(f"ctf-cs-{value}", f"the spherical aberration is {value} mm", _constant("cs_mm", value), fine=True)
        for value in (0.0, 1.4, 2.7)
    ),
    Hypothesis(
        "pixels-half", "pixels are half as large, and shifts are in pixels", _pixel(0.5, shifts=True), fine=True
    ),
    Hypothesis(
        "pixels-double", "pixels are twice as large, and shifts are in pixels", _pixel(2.0, shifts=True), fine=True
    ),
    Hypothesis("pixels-half-all", "pixels are half as large", _pixel(0.5, shifts=False), fine=True),
    Hypothesis("pixels-double-all", "pixels are twice as large", _pixel(2.0, shifts=False), fine=True),
    Hypothesis("ctf-next", "CTFs belong to the next image", _rows(1, "ctf"), fine=True),
    Hypothesis("ctf-previous", "CTFs belong to the previous image", _rows(-1, "ctf"), fine=True),
    Hypothesis("ctf-reversed", "CTFs are in the opposite order", _rows(0, "ctf"), fine=True),
)
"""CTF and pixel size: seen at high resolution."""

HAND = Hypothesis("hand", "poses have the other hand", _left(MIRROR, MIRROR))
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
