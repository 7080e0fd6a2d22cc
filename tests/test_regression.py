"""Logistic regression where a share of the facts is not marked: against scikit-learn's, and against the truth."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from kg.probability.regression import logistic_regression

TRUTH = np.array([-1.0, 2.0, 0.5])


def drawn(rows: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    x = np.column_stack([np.ones(rows), generator.standard_normal((rows, 2))])
    return x, (generator.random(rows) < 1 / (1 + np.exp(-x @ TRUTH))).astype(float)


def test_without_what_is_missing_it_is_the_usual_one() -> None:
    """scikit-learn's draws towards 0 and leaves the constant free: so little does not show here."""
    x, labels = drawn()
    weight = np.where(labels > 0, 1.0, 3.0)
    found = logistic_regression(x, labels, weight, 0.0, np.zeros(3), pull=1e-6)
    usual = LogisticRegression(C=1e6, fit_intercept=False, tol=1e-9).fit(x, labels, sample_weight=weight)
    assert found == pytest.approx(usual.coef_[0], abs=2e-3)


@pytest.mark.parametrize("hidden", [0.3, 0.8])
def test_the_truth_is_found_although_facts_are_missing(hidden: float) -> None:
    x, labels = drawn()
    seen = labels * (np.random.default_rng(1).random(len(labels)) >= hidden)
    found = logistic_regression(x, seen, np.ones(len(x)), hidden, np.zeros(3))
    assert found == pytest.approx(TRUTH, abs=0.2)


def test_it_is_drawn_towards_the_start() -> None:
    x, labels = drawn(100)
    start = np.array([1.0, -3.0, 2.0])
    found = logistic_regression(x, labels, np.ones(100), 0.0, start, pull=1e9)
    assert found[1:] == pytest.approx(start[1:], abs=1e-6) and abs(found[0] - start[0]) > 0.1
    assert (logistic_regression(x, labels, np.zeros(100), 0.0, start) == start).all()
