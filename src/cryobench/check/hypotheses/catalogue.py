"""What may be wrong with the conventions of a data set, one hypothesis each.

A hypothesis about tables changes what is stated; one about images changes their spectra or the form of their CTF. A
change of tables is what ``adopt --mend NAME`` does to the particles, so that what was tried is what mends.
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
    """A convention that may have been mistaken."""

    name: str
    says: str
    """What is wrong if it holds, as a clause."""
    tables: Callable[[Stated], Stated] | None = None
    images: Callable[[Reading], Reading] | None = None
    mends: Callable[[Stated], Stated] | None = None
    """What tables have to say of such images as they lie there, where that is another thing than ``tables``."""
    form: CtfForm | None = None
    fine: bool = False
    """Whether it shows at high frequencies alone, as what concerns the CTF does."""
    remedy: str = ""
    """Where it is mended elsewhere than by ``adopt --mend``."""
    seed: int | None = None
    """Of the permutation, where rows are shuffled: that shows what is to be expected, and mends nothing."""

    def read(self, reading: Reading) -> Reading:
        """The reading that is right if this hypothesis is."""
        if self.tables is not None:
            reading = reading.changed(stated=self.tables(reading.stated))
        if self.images is not None:
            reading = self.images(reading)
        return reading if self.form is None else replace(reading, form=self.form)

    @property
    def mending(self) -> Callable[[Stated], Stated] | None:
        """What mends tables if this hypothesis is right; None where it is the images that are otherwise."""
        return self.mends or self.tables

    @property
    def way_out(self) -> str:
        """How it is mended."""
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
    """Pixels ``factor`` times as large; shifts were counted in pixels, or stand in Å."""
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
    """Tables of images as they lie, of which M turns the right ones: F_right(k) = F(M k), as ``Reading.turned``.

    As a projection does not know which way z points, that of a particle seen in a mirror is one of the particle
    itself, turned by diag(M, det M). Shifts and the axis of astigmatism turn with M.
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
    Hypothesis("rotations-transposed", "rotations are those of the reference from the particle", _transpose),
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
        "rotations lack a quarter of a turn in the plane of the image",
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
        "the images are centred already, and the shifts are of others",
        _shift(lambda stated: np.zeros(2)),
    ),
    Hypothesis(
        "shifts-in-pixels",
        "shifts are in pixels, and were taken for Å",
        _shift(lambda stated: np.full(2, stated.pixel_size)),
    ),
    Hypothesis(
        "shifts-in-angstroms",
        "shifts are in Å, and were taken for pixels",
        _shift(lambda stated: np.full(2, 1 / stated.pixel_size)),
    ),
    Hypothesis(
        "shifts-in-fractions",
        "shifts are fractions of the box, and were taken for pixels",
        _shift(lambda stated: np.full(2, float(stated.box_size))),
    ),
    Hypothesis(
        "shifts-fractions-taken-for-angstroms",
        "shifts are fractions of the box, and were taken for Å",
        _shift(lambda stated: np.full(2, stated.box_size * stated.pixel_size)),
    ),
    Hypothesis(
        "shifts-pixels-taken-for-fractions",
        "shifts are in pixels, and were taken for fractions of the box",
        _shift(lambda stated: np.full(2, 1.0 / stated.box_size)),
    ),
    Hypothesis("shifts-doubled", "shifts are of images of half the box", _shift(lambda stated: np.full(2, 2.0))),
    Hypothesis("shifts-halved", "shifts are of images of twice the box", _shift(lambda stated: np.full(2, 0.5))),
    *(
        Hypothesis(name, says, images=_turn(matrix), mends=_lie_turned(matrix))
        for name, says, matrix in (
            ("images-mirrored-x", "columns of the images run the other way", _FLIP_X),
            ("images-mirrored-y", "rows of the images run the other way", _FLIP_Y),
            ("images-transposed", "rows and columns of the images are exchanged", _TRANSPOSE),
            ("images-turned-180", "rows and columns of the images run the other way", -np.eye(2, dtype=int)),
        )
    ),
    *(
        Hypothesis(
            f"images-rolled-{across}{down}".rstrip("-"),
            "the images lie one pixel off centre",
            images=_roll(x, y),
            mends=_lie_off_centre(x, y),
        )
        for x, across in ((-1, "right-"), (0, ""), (1, "left-"))
        for y, down in ((-1, "down"), (0, ""), (1, "up"))
        if x or y
    ),
    Hypothesis("rows-next", "poses and CTFs belong to the next image", _rows(1, "ctf", *_POSE)),
    Hypothesis("rows-previous", "poses and CTFs belong to the image before", _rows(-1, "ctf", *_POSE)),
    Hypothesis("rows-reversed", "poses and CTFs are in the opposite order", _rows(0, "ctf", *_POSE)),
    Hypothesis("poses-next", "poses belong to the next image", _rows(1, *_POSE)),
    Hypothesis("poses-previous", "poses belong to the image before", _rows(-1, *_POSE)),
    Hypothesis("poses-reversed", "poses are in the opposite order", _rows(0, *_POSE)),
)
"""Of poses, images and rows: seen at low resolution. A turn by 180° in the plane is the other hand, which no image of
these tells from the stated one."""

CTF: tuple[Hypothesis, ...] = (
    Hypothesis(
        "ctf-phase-flipped",
        "phases of the images are flipped already",
        form="flipped",
        fine=True,
    ),
    Hypothesis(
        "ctf-premultiplied",
        "the images are multiplied by their CTF",
        form="premultiplied",
        fine=True,
        remedy="write the stack anew without it",
    ),
    Hypothesis(
        "ctf-absent",
        "the images have no CTF, or it is corrected already",
        form="absent",
        fine=True,
        remedy="state a CTF of one (amplitude contrast 1, defocus and Cs 0)",
    ),
    Hypothesis("ctf-defocus-negated", "defocus has the other sign", _defocus(-1.0), fine=True),
    Hypothesis("ctf-defocus-tenfold", "defocus is in nm", _defocus(10.0), fine=True),
    Hypothesis("ctf-defocus-tenth", "defocus is ten times too large", _defocus(0.1), fine=True),
    Hypothesis(
        "ctf-angle-turned",
        "U and V are exchanged, or the angle is from the other axis",
        _angle(lambda angle: angle + np.pi / 2),
        fine=True,
    ),
    Hypothesis(
        "ctf-angle-negated", "the angle of astigmatism has the other sign", _angle(lambda angle: -angle), fine=True
    ),
    Hypothesis(
        "ctf-angle-from-y",
        "the angle of astigmatism is from y to x",
        _angle(lambda angle: np.pi / 2 - angle),
        fine=True,
    ),
    Hypothesis(
        "ctf-angle-in-radians",
        "the angle of astigmatism is in radian, and was taken for degrees",
        _angle(np.degrees),
        fine=True,
    ),
    Hypothesis(
        "ctf-angle-in-degrees",
        "the angle of astigmatism is in degrees, and was taken for radian",
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
    Hypothesis("ctf-previous", "CTFs belong to the image before", _rows(-1, "ctf"), fine=True),
    Hypothesis("ctf-reversed", "CTFs are in the opposite order", _rows(0, "ctf"), fine=True),
)
"""Of CTF and pixel size: seen at high resolution."""

HAND = Hypothesis("hand", "poses are of the other hand", _left(MIRROR, MIRROR))
"""No image tells it: only a map of known hand does."""

POSES_SHUFFLED = Hypothesis(
    "poses-shuffled",
    "poses do not belong to the images",
    _shuffle(0, *_POSE),
    seed=0,
    remedy="make the table and the stack anew, from one list of particles",
)
CTF_SHUFFLED = Hypothesis(
    "ctf-shuffled",
    "CTFs do not belong to the images",
    _shuffle(1, "ctf"),
    fine=True,
    seed=1,
    remedy="take the CTFs from the table that the stack was made from",
)
SIGNED = Hypothesis("ctf-as-stated", "the images have their CTF", form="signed", fine=True)
