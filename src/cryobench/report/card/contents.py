"""Contents of a data set's card, as tables and pictures, gathered once."""

import numpy as np

from cryobench._progress import Task
from cryobench.data import Dataset
from cryobench.report.card import composition, dataset_tables, variables
from cryobench.report.card.command import changed_settings, make_command
from cryobench.report.card.conventions import view_conventions
from cryobench.report.card.facts import describe_dataset
from cryobench.report.card.spectra import measure_spectra
from cryobench.report.card.state_list import list_states
from cryobench.report.card.states import StateView, picture_states, view_states
from cryobench.report.card.views import spread_particles, view_particles
from cryobench.report.colours import CYCLIC, NEUTRAL, SEQUENTIAL, map_colours, to_hex

EXAMPLE_PARTICLES = 7


class Card:
    """Tables and pictures behind one card; None or empty where something is not known.

    Gathered once: a few hundred images and at most 48 true volumes are read.
    """

    def __init__(self, dataset: Dataset, task: Task) -> None:
        truth = dataset.truth
        rotations = dataset_tables.known_rotations(dataset)
        axes = variables.variable_axes(dataset)
        self.dataset = dataset
        self.groups = describe_dataset(dataset)
        self.settings = changed_settings(dataset.card)
        self.command = make_command(dataset.card)
        self.state_list = list_states(dataset)
        """All states; ``views`` are those with a picture."""
        self.views = view_states(dataset, task)
        self.pictures = picture_states(self.views)
        self.colours = [NEUTRAL] * len(self.views)
        """Colours of the pictures, by the first collective variable if there is one."""
        self.colour_title: str | None = None
        """That variable with its unit."""
        if axes:
            self.colour_title = axes[0].title
            self.colours = _colours(self.views, axes[0].title, axes[0].period)
        self.examples = view_particles(dataset, spread_particles(dataset, EXAMPLE_PARTICLES))
        self.spectra = measure_spectra(dataset, self.views)
        self.ctf = dataset_tables.ctf_table(dataset)
        self.ctf_curves = dataset_tables.ctf_curve_table(dataset)
        self.directions = None if rotations is None else dataset_tables.direction_map(rotations)
        self.poses = dataset_tables.pose_table(dataset)
        self.states = dataset_tables.state_table(dataset)
        self.histograms = variables.variable_histograms(dataset)
        self.n_variables = len(axes)
        self.pair = variables.variable_pair(dataset)
        self.occupancies = None if truth is None else composition.occupancy_map(truth)
        self.assembly = None if truth is None else composition.lay_out_assembly(truth)
        self.check = view_conventions(dataset)
        """The convention check stored with the data set."""


def _colours(views: list[StateView], title: str, period: float | None) -> list[str]:
    """Colour of each state by a collective variable, light enough for a dark page; grey where it is not known."""
    values = np.array([view.variables.get(title, np.nan) for view in views], dtype=np.float64)
    finite = values[np.isfinite(values)]
    if period is not None:
        positions, colours = values / period % 1, CYCLIC
    else:
        low, high = (finite.min(), finite.max()) if len(finite) else (0.0, 1.0)
        positions, colours = 0.25 + 0.7 * (values - low) / max(high - low, 1e-12), SEQUENTIAL
    return [to_hex(map_colours(position, colours)) if np.isfinite(position) else NEUTRAL for position in positions]
