"""Whole jobs: an epoch of training as `pylstm.fit` and `pylstm train text` run it, inference, and peak memory.

Tasks and cells are those of `benchmarks/jobs.py`. Seconds of training are of an epoch of 16 steps; bytes are of a
process that makes the model and its data and takes one step more. `Peers` has pylstm's time by that of the best peer
that is installed, each in a process of its own with its default threads; asv's own environments have none.
"""

import pylstm

from .contest.jobs import run
from .contest.jobs.of_pylstm import infer, train
from .contest.jobs.tasks import BATCHES, CELLS, TASK, Job


class Jobs:
    """On one thread."""

    params = [[*TASK], [*CELLS]]
    param_names = ["task", "cell"]
    timeout = 300
    threads = 1

    def setup(self, task, cell):
        pylstm.set_num_threads(self.threads)
        job = Job.drawn(TASK[task], cell)
        self.train, self.infer = train(job), infer(job)
        self.train(1)
        self.infer()

    def time_epoch(self, task, cell):
        self.train(BATCHES)

    def time_inference(self, task, cell):
        self.infer()

    def peakmem_training(self, task, cell):
        self.train(1)


class JobsOnTwoThreads(Jobs):
    """The same on two."""

    params = [[*TASK], ["lstm"]]
    threads = 2


class Peers:
    """Below 1 pylstm is ahead."""

    params = [["train", "infer"], [*TASK], ["lstm", "gru"]]
    param_names = ["kind", "task", "cell"]
    timeout = 600
    unit = "of the best peer's time"

    def setup(self, kind, task, cell):
        if len(run.there(kind)) < 2:
            raise NotImplementedError("no peer is installed")

    def track_time(self, kind, task, cell):
        return 1 / run.run_row(TASK[task], cell, kind, run.there(kind), run.QUICK, None)["ratios"][0]
