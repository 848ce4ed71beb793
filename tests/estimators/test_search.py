"""Searches, pipelines and workers of joblib and Dask: how sweeps use all cores, and leave one machine."""

import os

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("joblib")

import joblib
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pylstm import SequenceClassifier, SequenceRegressor
from pylstm.data.sequences import Sequences

RNG = np.random.default_rng(7)
X = RNG.normal(size=(120, 6, 2))
Y = np.where(X[:, :, 0].sum(axis=1) > 0, "up", "down")
GRID = {"cell": ["gru", "rnn_tanh"], "hidden_size": [1, 8]}
SMALL = {"epochs": 15, "learning_rate": 0.02, "random_state": 0}
RAGGED = [each[: RNG.integers(4, 7)] for each in X]


@pytest.mark.parametrize("data", [X, RAGGED, Sequences.of(RAGGED)], ids=["array", "list", "Sequences"])
def test_grid_search(data):
    search = GridSearchCV(SequenceClassifier(**SMALL), GRID, cv=3, error_score="raise").fit(data, Y)
    assert search.best_params_["hidden_size"] == 8 and search.best_score_ > 0.8
    scores = search.cv_results_["mean_test_score"]
    assert len(scores) == 4 and len(set(scores)) > 2
    np.testing.assert_array_equal(search.predict(data), search.best_estimator_.predict(data))
    first = SequenceClassifier(**SMALL, **search.best_params_).fit(data, Y)
    np.testing.assert_array_equal(first.predict_proba(data), search.predict_proba(data))


def test_pipeline():
    pipeline = make_pipeline(StandardScaler(), SequenceClassifier(**SMALL, features_per_step=2))
    search = GridSearchCV(pipeline, {"sequenceclassifier__hidden_size": [1, 8]}, cv=3).fit(X.reshape(120, 12), Y)
    assert search.best_params_ == {"sequenceclassifier__hidden_size": 8} and search.best_score_ > 0.8


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_two_workers_give_the_scores_of_one(backend):
    net, y = SequenceRegressor("gru", 8, **SMALL), X.sum(axis=(1, 2))
    alone = cross_val_score(net, X, y, cv=4)
    assert alone.min() > 0.5
    with joblib.parallel_config(backend, n_jobs=2):
        np.testing.assert_array_equal(cross_val_score(net, X, y, cv=4), alone)


def look():
    """A function for workers, by value: they cannot import this module."""

    def threads():
        import os
        import threading

        import numpy as np

        import pylstm

        pylstm.LSTM(8, 64, seed=0)(np.ones((50, 256, 8), "float32"))  # starts threads, if there may be several
        several = [thread for thread in threading.enumerate() if thread.name == "pylstm"]
        return os.getpid(), pylstm.get_num_threads(), len(several)

    return threads


def check_threads(found, limit):
    assert os.getpid() not in {pid for pid, *_ in found}
    assert {number for _, number, _ in found} == {limit}
    assert all(started <= limit - 1 for *_, started in found)


@pytest.fixture
def no_number_of_threads(monkeypatch):
    """A number that the user has set would be that of the workers too; and none that run already."""
    from joblib.externals.loky import get_reusable_executor

    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("PYLSTM_NUM_THREADS", raising=False)
    get_reusable_executor().shutdown(wait=True)


def test_workers_of_joblib_take_their_share_of_the_processors(no_number_of_threads):
    with joblib.parallel_config("loky", n_jobs=2):
        found = joblib.Parallel()(joblib.delayed(look())() for _ in range(4))
    check_threads(found, max(1, joblib.cpu_count() // 2))


@pytest.fixture
def cluster(no_number_of_threads):
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        yield client


@pytest.mark.slow
def test_a_search_on_a_dask_cluster(cluster):
    search = GridSearchCV(SequenceClassifier(**SMALL), GRID, cv=3, error_score="raise")
    alone = search.fit(X, Y).cv_results_["mean_test_score"]
    with joblib.parallel_config("dask"):
        scores = search.fit(X, Y).cv_results_["mean_test_score"]
    np.testing.assert_array_equal(scores, alone)
    done = cluster.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.task_prefixes))
    assert any("fit_and_score" in name for name in done), done
    check_threads([*cluster.run(look()).values()], 1)


@pytest.mark.slow
def test_digits():
    x, y = load_digits(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(x, y, random_state=0, stratify=y)
    for options, least in ({}, 0.96), ({"hidden_size": 128}, 0.97):  # 0.980 and 0.984 when written
        lines = SequenceClassifier(features_per_step=8, random_state=0, **options).fit(x_train, y_train)
        assert lines.score(x_test, y_test) >= least
