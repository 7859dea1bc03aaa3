"""Decoders by name, which turn models into volumes. A few decoders serve many methods and importers.

``open_decoder`` is the only route from latents to volumes: for query particles, ``volumes``, ``series`` and metrics.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import numpy as np
from jaxtyping import Float

from cryobench._registry import Entry, list_names, load_named
from cryobench.data import Particles, Reconstruction
from cryobench.reconstruction.decoders.decoder import VolumeDecoder as VolumeDecoder
from cryobench.reconstruction.decoders.decoder import resize_volume as resize_volume
from cryobench.reconstruction.engine import RunContext

DECODERS = {
    "classes": Entry("cryobench.reconstruction.decoders.classes:ClassDecoder"),
    "linear": Entry("cryobench.reconstruction.decoders.linear:LinearDecoder"),
    "coordinate-network": Entry("cryobench.reconstruction.decoders.coordinate_network:CoordinateNetworkDecoder"),
    "template": Entry("cryobench.reconstruction.decoders.template:TemplateNetworkDecoder"),
    "deformation": Entry("cryobench.reconstruction.decoders.deformation:DeformationDecoder"),
    "kernel-regression": Entry("cryobench.reconstruction.decoders.kernel_regression:KernelRegressionDecoder"),
}
"""Name of each decoder -> module that defines it."""

SMALLEST_BOX = 4
"""Smallest box of previews, px."""

GROUP = "cryobench.decoders"
"""Entry-point group by which other packages add theirs."""

_BASE = "cryobench.reconstruction.decoders.decoder:VolumeDecoder"


def list_decoders() -> list[str]:
    """Names of all decoders, of this package and of other installed packages."""
    return list_names(DECODERS, GROUP, _BASE)


def open_decoder(
    reconstruction: Reconstruction, particles: Particles, context: RunContext, *, box_size: int | None = None
) -> VolumeDecoder:
    """The decoder of a reconstruction, with its model loaded once, on the context's device.

    Parameters
    ----------
    reconstruction
        With ``decodes_by`` and a model, in memory or in a folder.
    particles
        Those it was made from, in their own box: volumes are returned on their grid.
    box_size
        Box of Fourier-cropped volumes, for previews: fewer samples over the same length. None for the grid of
        the particles.

    Raises
    ------
    ValueError
        If the reconstruction has no decoder, or ``box_size`` is not a smaller box (``check_box``).
    UnknownName
        If its decoder is unknown: the package that adds it is not installed.
    FormatError
        If its model lacks an array.
    """
    kind, wanted = _load(reconstruction), check_box(box_size, particles.box_size)
    box = reconstruction.record.settings.get("box") or particles.box_size
    decoder = kind.open(reconstruction.model, reconstruction, particles.at_box(box), context)
    decoder.box_size = wanted
    return decoder


def check_box(box_size: int | None, full: int) -> int:
    """The box size of volumes requested from a box of ``full`` px; None stands for the full box.

    ValueError if it is larger, or below ``SMALLEST_BOX``. Odd and even sides may be mixed: the centre voxel stays
    ``n // 2``.
    """
    if box_size is not None and not SMALLEST_BOX <= box_size <= full:
        raise ValueError(
            f"volumes of {box_size} px were requested (--box), and those of this data set have {full} px: they can "
            f"be Fourier-cropped to {SMALLEST_BOX} to {full} px."
        )
    return full if box_size is None else box_size


@dataclass(eq=False)
class DeferredDecoder:
    """Decoder opened at its first use, so that a run can hold it at no cost."""

    reconstruction: Reconstruction = field(repr=False)
    particles: Particles = field(repr=False)
    context: RunContext = field(repr=False)

    @cached_property
    def _opened(self) -> VolumeDecoder:
        return open_decoder(self.reconstruction, self.particles, self.context)

    @property
    def takes(self) -> Literal["latents", "posteriors"]:
        """Part of the reconstruction whose rows it decodes."""
        return _load(self.reconstruction).takes

    @property
    def reads_particles(self) -> bool:
        """Whether all particles are read for every volume."""
        return _load(self.reconstruction).reads_particles

    @property
    def width(self) -> int:
        """Numbers in a row of latents."""
        return self._opened.width

    def decode(self, latents: Float[np.ndarray, "m d"]) -> Iterator[Float[np.ndarray, "z y x"]]:
        """As ``VolumeDecoder.decode``."""
        return self._opened.decode(latents)


def with_decoder(reconstruction: Reconstruction, particles: Particles, context: RunContext) -> Reconstruction:
    """The reconstruction with its decoder, if it names a known one."""
    if reconstruction.decodes_by not in list_decoders():
        return reconstruction
    return replace(reconstruction, decoder=DeferredDecoder(reconstruction, particles, context))


def latent_rows(reconstruction: Reconstruction) -> Float[np.ndarray, "n d"]:
    """(n, width) rows for the reconstruction's decoder: latents or class probabilities.

    Rows of particles that the method left out are NaN. ValueError if the reconstruction has none.
    """
    rows = getattr(reconstruction, _load(reconstruction).takes)
    if rows is None:
        raise ValueError(
            f"{reconstruction.name} has no {_load(reconstruction).takes}, which its decoder "
            f"{reconstruction.decodes_by} takes."
        )
    return rows


def takes_latents(reconstruction: Reconstruction) -> bool:
    """Whether its decoder gives a volume at any latent. ValueError if the reconstruction has no decoder."""
    return _load(reconstruction).takes == "latents"


def _load(reconstruction: Reconstruction) -> type[VolumeDecoder]:
    if reconstruction.decodes_by is None:
        raise ValueError(
            f"{reconstruction.name} has no model, so that only its query volumes are available and no others decoded."
        )
    return load_named("decoder", reconstruction.decodes_by, DECODERS, GROUP, _BASE)


@dataclass(eq=False)
class DecodedVolumes:
    """Volumes at latents, decoded when they are read, as a ``VolumeSource``.

    Read in order they come from one call of the decoder, which may compute several at once.
    """

    decoder: VolumeDecoder
    latents: np.ndarray
    """(m, width)."""
    _next: int = field(default=-1, init=False)
    _running: Iterator[np.ndarray] = field(default_factory=lambda: iter(()), init=False)

    @property
    def box_size(self) -> int:
        """Side in voxels."""
        return self.decoder.box_size

    def __len__(self) -> int:
        return len(self.latents)

    def read(self, index: int) -> Float[np.ndarray, "z y x"]:
        """Volume (z, y, x) float32."""
        if index != self._next:
            self._running = self.decoder.decode(self.latents[index:])
        self._next = index + 1
        return next(self._running)
