"""``3dflex`` on a simulated antibody with a Fab on its hinge: what ``benchmarks/hinge.py`` measures, small."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from cryobench import simulate
from cryobench.atoms.files.structures import write_structure
from cryobench.atoms.motion.fab_hinge import turn_fab
from cryobench.data import HalfSetFsc
from cryobench.methods import get_method
from cryobench.metrics.volumes.heterogeneity import heterogeneity_fsc
from molecules import read_antibody

STEPS = 21


@pytest.mark.slow
def test_angle_deviations_and_half_sets(tmp_path):
    base, angles = read_antibody().centred(), np.linspace(-30, 30, STEPS)
    order = np.argsort(np.abs(angles), kind="stable")
    paths = [tmp_path / f"{number:02d}.cif" for number in range(STEPS)]
    for path, angle in zip(paths, angles[order], strict=True):
        write_structure(turn_fab(base, float(np.deg2rad(angle))), path)
    table = tmp_path / "turns.csv"
    table.write_text("turn [deg]\n" + "".join(f"{angle}\n" for angle in angles[order]))
    settings = {
        "box_size": 48,
        "pixel_size": 8.0,
        "resolution": 8.0,
        "n_images": 2500,
        "n_queries": STEPS,
        "snr": 0.1,
        "variables_file": table,
    }
    dataset = simulate("custom", tmp_path / "data", structures=paths, settings=settings, seed=1)
    kind = get_method("3dflex")
    found = kind.with_settings({"batch_size": 32}).reconstruct(dataset.particles, dataset.queries)
    turn = dataset.truth.variables["turn"].values
    assert max(abs(spearmanr(axis, turn).statistic) for axis in found.latents.T) > 0.95
    half_sets = found.find(HalfSetFsc)
    assert half_sets.curves.mean() > half_sets.control.mean()
    shuffled = get_method("shuffled-truth")().with_truth(dataset.truth)
    control = shuffled.reconstruct(dataset.particles, dataset.queries)
    name = "deviation-fsc-auc-normalised-masked"
    own, other = (heterogeneity_fsc(each, dataset)[name] for each in (found, control))
    assert own.value > 0.2
    assert own.low > other.high
