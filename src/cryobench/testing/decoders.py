"""Laws of decoders."""

import numpy as np
import torch

from cryobench.data import Particles, Reconstruction
from cryobench.fourier import fourier_crop
from cryobench.reconstruction.decoders import DecodedVolumes, latent_rows, open_decoder
from cryobench.reconstruction.engine import RunContext
from cryobench.testing.comparisons import assert_refused


def check_decoder(
    reconstruction: Reconstruction,
    particles: Particles,
    *,
    expected: np.ndarray | None = None,
    context: RunContext | None = None,
) -> None:
    """Check the decoder that a reconstruction names.

    Parameters
    ----------
    reconstruction
        With latents (or class probabilities), a model, and ``decodes_by``.
    particles
        Those it was made from.
    expected
        (q, z, y, x) volumes of its query particles, where they are known.
    context
        Device and memory.

    Raises
    ------
    AssertionError
        If a law is broken; the message says which, and how.
    """
    context = context or RunContext()
    decoder = open_decoder(reconstruction, particles, context)
    rows = latent_rows(reconstruction)[reconstruction.queries]
    assert decoder.width == rows.shape[1], f"the decoder takes {decoder.width} numbers, latents have {rows.shape[1]}"
    assert decoder.box_size == particles.box_size, "volumes are not on the grid of the particles"
    volumes = np.stack(list(decoder.decode(rows)))
    assert volumes.dtype == np.float32, f"volumes are {volumes.dtype}, expected float32"
    assert volumes.shape == (len(rows), *(particles.box_size,) * 3), f"volumes have shape {volumes.shape}"
    assert np.isfinite(volumes).all(), "a volume is not finite"
    scale = float(np.abs(volumes).max())
    if expected is not None:
        np.testing.assert_allclose(
            volumes, expected, atol=1e-4 * scale, err_msg="own latents do not decode to the run's query volumes"
        )
    small = particles.box_size - 3
    cropped = fourier_crop(torch.from_numpy(volumes[:1]), small, dimensions=3).numpy()
    preview = np.stack(list(open_decoder(reconstruction, particles, context, box_size=small).decode(rows[:1])))
    assert preview.shape == cropped.shape, f"a preview of {small} px has shape {preview.shape[1:]}"
    difference = preview - cropped  # the solvent level may differ
    assert np.ptp(difference) < 1e-4 * scale, "a preview is not the Fourier-cropped volume"
    source = DecodedVolumes(decoder, rows)
    for index in (len(rows) - 1, 0):
        np.testing.assert_allclose(
            source.read(index), volumes[index], atol=1e-5 * scale, err_msg="a volume depends on its neighbours"
        )
    for wrong, why in ((rows[:, :-1] if rows.shape[1] > 1 else np.hstack([rows, rows]), "another width"),
                       (np.full_like(rows, np.nan), "NaN")):  # fmt: skip
        assert_refused(lambda given: list(decoder.decode(given)), wrong, what=f"latents of {why}")
