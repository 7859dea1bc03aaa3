"""Laws of merging classification jobs: relabelling, perfect jobs, random jobs, and two independent routes."""

import numpy as np
import pytest
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import squareform
from sklearn.metrics import adjusted_rand_score

from cryobench.methods.classification_ensemble.hierarchy import build_tree, cut_tree, measure_distances
from cryobench.methods.classification_ensemble.labels import Labellings
from cryobench.methods.classification_ensemble.merge import MergeOptions, merge_jobs
from cryobench.methods.classification_ensemble.number import count_separate, predict_labels
from cryobench.methods.classification_ensemble.votes import vote
from cryobench.rng import stream

FEW = MergeOptions(n_halves=4)


def make_jobs(truth: np.ndarray, n_jobs: int, n_classes: int, noise: float, seed: int = 0) -> np.ndarray:
    """Labels (jobs, n): each job maps species to few classes at random; a fraction of labels is arbitrary."""
    draws = stream(seed, "jobs of the law")
    n_species = int(truth.max()) + 1
    labels = []
    for _ in range(n_jobs):
        found = draws.integers(n_classes, size=n_species)[truth]
        arbitrary = draws.random(len(truth)) < noise
        labels.append(np.where(arbitrary, draws.integers(n_classes, size=len(truth)), found))
    return np.array(labels)


def make_truth(n_species: int, n: int) -> np.ndarray:
    return stream(1, "species of the law").permutation(np.arange(n) % n_species)


def test_order_of_jobs_and_numbers_of_classes_change_nothing() -> None:
    """To the bit, absent particles and trees of several levels included."""
    truth = make_truth(4, 300)
    labels = make_jobs(truth, 12, 3, 0.3)
    labels[2, :50] = -1
    trees = np.array([0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 8, 9])
    draws = stream(2, "changes of the law")
    order = draws.permutation(12)
    numbers = draws.permutation(30)
    changed = np.where(labels >= 0, numbers[labels], -7)
    first = merge_jobs(labels, trees, FEW)
    second = merge_jobs(changed[order], 100 - trees[order], FEW)
    np.testing.assert_array_equal(first.species, second.species)
    np.testing.assert_array_equal(first.numbers, second.numbers)
    np.testing.assert_array_equal(first.intervals, second.intervals)
    np.testing.assert_array_equal(first.blocks.shares, second.blocks.shares)


def test_distances_do_not_depend_on_the_order_of_their_sums() -> None:
    """To the bit: it is another one on other processors, and ties of distances decide the tree."""
    labels = make_jobs(make_truth(4, 200), 40, 3, 0.3)
    labels[stream(3, "absent particles of the law").random(labels.shape) < 0.4] = -1
    given = Labellings(labels.astype(np.int32), np.arange(40))
    for number in range(5):
        order = stream(4, "orders of the law", number).permutation(40)
        other = Labellings(given.labels[order], np.arange(40))
        np.testing.assert_array_equal(measure_distances(other), measure_distances(given))


@pytest.mark.parametrize("n_classes", [3, 8])
def test_perfect_jobs_give_the_perfect_partition(n_classes: int) -> None:
    """Also if every job merges species: the pairs that some job separates are different ones."""
    truth = make_truth(6, 400)
    merged = merge_jobs(make_jobs(truth, 24, n_classes, 0.0), options=FEW)
    assert merged.n_species == 6
    assert adjusted_rand_score(truth, merged.species) == 1
    np.testing.assert_allclose(merged.populations, np.sort(np.bincount(truth) / 400)[::-1])
    same = np.equal.outer(merged.blocks.species, merged.blocks.species)
    assert merged.blocks.shares[same].min() == pytest.approx(1)
    assert merged.blocks.shares[~same].max() < 0.9


def test_noisy_jobs_of_few_classes_are_better_together_than_any_is() -> None:
    truth = make_truth(6, 600)
    labels = make_jobs(truth, 24, 4, 0.3)
    merged = merge_jobs(labels, options=FEW)
    alone = max(adjusted_rand_score(truth, each) for each in labels)
    assert merged.n_species == 6
    assert adjusted_rand_score(truth, merged.species) > 0.95 > alone + 0.3
    assert np.percentile(merged.numbers, 5) <= 6 <= np.percentile(merged.numbers, 95)
    assert (merged.intervals[:, 0] <= merged.populations + 0.03).all()
    assert (merged.intervals[:, 1] >= merged.populations - 0.03).all()


@pytest.mark.parametrize("n_classes", [2, 4, 9])
def test_random_jobs_give_one_block(n_classes: int) -> None:
    labels = stream(3, "random labels").integers(n_classes, size=(20, 400))
    merged = merge_jobs(labels, options=FEW)
    assert merged.n_species == 1
    assert (merged.species == 0).all()


def test_jobs_of_one_class_say_nothing() -> None:
    merged = merge_jobs(np.zeros((5, 40), dtype=int))
    assert merged.n_species == 1
    assert (merged.blocks.shares == 0).all()


def test_the_tree_is_that_of_the_fractions_of_common_classes() -> None:
    """Average linkage of 1 − s, by scipy on the plain fraction of jobs, is the same where nobody is absent."""
    labels = make_jobs(make_truth(4, 80), 15, 3, 0.4)
    together = (labels[:, :, None] == labels[:, None, :]).mean(0)
    plain = linkage(squareform(1 - together), "average")
    chance = np.mean([(each * (each - 1.0)).sum() / (80 * 79) for each in map(np.bincount, labels)])
    labellings = Labellings.tidy(labels)
    distances = measure_distances(labellings)
    np.testing.assert_allclose(distances, squareform(1 - together) / (1 - chance), rtol=1e-5, atol=1e-6)
    heights = build_tree(labellings).merges[:, 2]
    np.testing.assert_array_equal(heights, linkage(distances, "average")[:, 2])
    # Equal distances, of which there are many, may be joined in another order.
    np.testing.assert_allclose(heights, plain[:, 2] / (1 - chance), rtol=0.1, atol=1e-6)
    np.testing.assert_allclose(heights.mean(), plain[:, 2].mean() / (1 - chance), rtol=0.01)


def test_distances_with_absent_particles_are_the_definition() -> None:
    labels = make_jobs(make_truth(3, 30), 6, 3, 0.3)
    labels[0, :10] = -1
    labels[3, 5:20] = -1
    tidy = Labellings.tidy(labels)
    chance = tidy.chance()
    expected = np.zeros((30, 30))
    for i in range(30):
        for j in range(30):
            both = (tidy.labels[:, i] >= 0) & (tidy.labels[:, j] >= 0)
            same = tidy.labels[both, i] == tidy.labels[both, j]
            expected[i, j] = 1 - (same - chance[both]).sum() / (1 - chance[both]).sum()
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(measure_distances(tidy), squareform(np.maximum(expected, 0)), rtol=1e-5, atol=1e-6)


def test_a_cut_leaves_out_outliers_and_its_groups_merge_as_the_tree_does() -> None:
    truth = make_truth(4, 200)
    labels = make_jobs(truth, 20, 3, 0.1)
    tree = build_tree(Labellings.tidy(labels))
    cut = cut_tree(tree, 10, 4)
    assert len(cut.nodes) == 4
    for node in cut.nodes:
        members = truth[tree.members(node)]
        assert np.bincount(members).max() > 0.95 * len(members)
    assert (np.diff(cut.merges[:, 2]) >= 0).all()
    assert cut.merges[-1, 3] == 4
    assert sorted(cut.merges[:, :2].astype(int).ravel().tolist()) == list(range(6))
    whole = cut_tree(tree, 10, 1)
    assert (len(whole.nodes), whole.merges.shape) == (1, (0, 4))


def test_votes_correct_particles_and_place_those_that_had_no_group() -> None:
    truth = make_truth(4, 400)
    labellings = Labellings.tidy(make_jobs(truth, 20, 4, 0.3))
    initial = truth.copy()
    initial[:60] = (initial[:60] + 1) % 4
    initial[60:120] = -1
    found = vote(labellings, initial, 4)
    assert (found == truth).mean() > 0.97


def test_held_out_labels_are_predicted_better_by_species_and_worse_by_arbitrary_groups() -> None:
    truth = make_truth(4, 400)
    labellings = Labellings.tidy(make_jobs(truth, 10, 4, 0.3))
    arbitrary = stream(4, "arbitrary groups").integers(2, size=400)
    plain = predict_labels(labellings, truth).sum()
    assert plain > predict_labels(labellings, truth // 2).sum() > predict_labels(labellings, 0 * truth).sum()
    assert plain > predict_labels(labellings, 2 * truth + arbitrary).sum()
    assert count_separate(labellings, 2 * truth + arbitrary, 0.15) == 4


def test_a_sample_of_the_particles_makes_the_tree_of_all() -> None:
    truth = make_truth(5, 900)
    labels = make_jobs(truth, 24, 4, 0.2)
    merged = merge_jobs(labels, options=MergeOptions(n_halves=4, linkage_particles=300, halves_particles=300))
    assert merged.n_species == 5
    assert adjusted_rand_score(truth, merged.species) > 0.97


def test_requests_that_cannot_be_met_are_refused() -> None:
    with pytest.raises(ValueError, match="only one tree of jobs"):
        merge_jobs(np.array([[0, 1, 0, 1]]))
    with pytest.raises(ValueError, match="at least one job and two particles"):
        merge_jobs(np.zeros((3, 1), dtype=int))
    with pytest.raises(ValueError, match="need as many trees"):
        merge_jobs(np.zeros((3, 9), dtype=int), np.zeros(2, dtype=int))
    with pytest.raises(ValueError, match="n_species is 30, but the tree of jobs has only"):
        merge_jobs(make_jobs(make_truth(3, 60), 8, 3, 0.0), options=MergeOptions(n_species=30))
    one = merge_jobs(np.array([[0, 0, 0, 1, 1, 1]]), options=MergeOptions(n_species=2))
    np.testing.assert_array_equal(one.species, [0, 0, 0, 1, 1, 1])
    assert np.isnan(one.intervals).all()
