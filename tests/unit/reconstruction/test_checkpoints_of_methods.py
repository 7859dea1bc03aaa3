"""No method goes on from a checkpoint of other particles, however alike they are in number, size and poses."""

import dataclasses

import numpy as np
import pytest

from cryobench._errors import FormatError
from cryobench.data import ArrayImages
from cryobench.methods import METHODS, Control, get_method
from cryobench.reconstruction.engine import Checkpoint, RunContext
from toy import toy_dataset


class _Stop(Exception):
    pass


@pytest.mark.parametrize("name", [name for name in METHODS if name != "truth"])  # which computes nothing
def test_a_checkpoint_of_other_images_is_refused(name, tmp_path, monkeypatch):
    kind = get_method(name)
    toy = toy_dataset(n=60, with_poses=kind.poses == "given")
    method = kind().with_truth(toy.truth) if issubclass(kind, Control) else kind(kind.Settings(**kind.small))
    images = np.roll(toy.particles.images.read(np.arange(60)), 1, axis=0)
    other = dataclasses.replace(toy.particles, images=ArrayImages(images))
    context = RunContext(checkpoint=tmp_path)

    def stop(*arguments, **options):
        raise _Stop

    for use in ("find", "find_start", "has", "take", "keep"):
        monkeypatch.setattr(Checkpoint, use, stop)
    with pytest.raises(_Stop):
        method.reconstruct(toy.particles, toy.queries, context)
    with pytest.raises(FormatError, match="another call, which differs in particles"):
        method.reconstruct(other, toy.queries, context)
