"""``RunContext``: everything a method is given in addition to particles and settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from cryobench._progress import Progress, Silent
from cryobench._sampling import spread_indices
from cryobench.compute import Compute
from cryobench.data import Particles
from cryobench.reconstruction.engine.checkpoint import Checkpoint


@dataclass(frozen=True)
class RunContext:
    """Seed, machine, progress and checkpoint of one run."""

    seed: int = 0
    """Seed of every random choice, through named streams (``cryobench.rng``)."""
    compute: Compute = field(default_factory=Compute)
    """Device, precision, memory budget and workers."""
    progress: Progress = field(default_factory=Silent)
    """Display of the progress."""
    checkpoint: Path | None = None
    """Folder of the checkpoint, from which the same call resumes after an interruption."""

    former: Path | None = None
    """Folder of the final states of an earlier run of the same call with fewer steps, from which work starts."""

    def with_checkpoint(self, name: str) -> RunContext:
        """The same context, with a subfolder of that name in the checkpoint for a part of the work."""
        return replace(self, checkpoint=None if self.checkpoint is None else self.checkpoint / name, former=None)

    def open_checkpoint(self, particles: Particles, settings: Mapping[str, Any]) -> Checkpoint:
        """Checkpoint of this call: of these settings, particles and seed, on this kind of device.

        Memory budget and number of workers are not part of it: an interrupted run may resume with others.
        FormatError if the folder belongs to another call.
        """
        call = {
            "settings": dict(settings),
            "seed": self.seed,
            "particles": _name_particles(particles),
            **self.compute.kind(),
        }
        return Checkpoint(self.checkpoint, call, former=self.former)


def _name_particles(particles: Particles) -> str:
    """Digest of number, sampling, poses, CTFs, mask, and of a few images."""
    digest = blake2b(digest_size=12)
    digest.update(np.array([len(particles), particles.box_size, particles.pixel_size]).tobytes())
    ctf = (getattr(particles.ctf, each.name) for each in fields(particles.ctf))
    for values in (particles.rotations, particles.shifts, particles.mask, *ctf):
        digest.update(b"none" if values is None else np.ascontiguousarray(values).tobytes())
    chosen = spread_indices(len(particles), 5)
    digest.update(np.ascontiguousarray(particles.read(chosen)).tobytes())
    return digest.hexdigest()
