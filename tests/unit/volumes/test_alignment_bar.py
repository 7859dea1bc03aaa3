"""Two hundred alignments at 64 px: rotations, shifts, hands and volumes drawn at random, as much noise as signal."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from cryobench.atoms import turn_fab
from cryobench.volumes import align, render
from molecules import read_antibody
from moved_blobs import MIRROR, add_noise, angle_between, draw_transform, scatter_blobs

SIZE = 64
PIXEL_SIZE = 6.0


def _draw_blobs(rng, matrix, shift):
    blobs = scatter_blobs(rng, SIZE)
    return blobs.draw(SIZE), blobs.moved(matrix, shift).draw(SIZE)


def _draw_antibody(rng, matrix, shift):
    model = turn_fab(read_antibody(), float(rng.uniform(0, 2 * np.pi)))
    centred = model.positions - model.positions.mean(axis=0)
    moved = centred @ matrix.T + PIXEL_SIZE * shift
    return tuple(
        render(replace(model, positions=positions), SIZE, PIXEL_SIZE, 15.0).numpy() for positions in (centred, moved)
    )


@pytest.mark.slow
@pytest.mark.parametrize("draw", [_draw_blobs, _draw_antibody])
def test_right_in_ninety_nine_of_a_hundred(draw, rng):
    right = []
    for _ in range(100):
        rotation, shift, mirrored = draw_transform(rng, 10.0)
        volume, reference = draw(rng, rotation @ MIRROR if mirrored else rotation, shift)
        found = align(add_noise(volume, 1.0, rng), torch.from_numpy(add_noise(reference, 1.0, rng)))
        right.append(
            found.mirrored == mirrored
            and angle_between(found.rotation, rotation) < 1.5
            and np.linalg.norm(found.shift - shift) < 0.5
        )
    assert np.mean(right) >= 0.99
