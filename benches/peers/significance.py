"""Times of scipy's and ranx's paired tests: python significance.py VALUES.json DRAWS

VALUES.json has two lists, one value a user. One JSON line a test: the least of three times and the mean processor time, after a first
call that is not timed, so that numba's compiling does not count.
"""

import json
import sys
import time

import numpy as np
from ranx.statistical_tests import fisher_randomization_test, paired_student_t_test
from scipy import stats

a, b = (np.array(values) for values in json.load(open(sys.argv[1])))
draws = int(sys.argv[2])
d = a - b


def mean_difference(x, y, axis):
    return np.mean(x, axis=axis) - np.mean(y, axis=axis)


def scipy_permutation():
    return stats.permutation_test(
        (a, b), mean_difference, permutation_type="samples", n_resamples=draws, batch=200, vectorized=True, rng=1
    )


def scipy_bootstrap():
    return stats.bootstrap((d,), np.mean, n_resamples=draws, batch=200, method="BCa", rng=1)


TESTS = [
    ("randomization", "ranx", lambda: fisher_randomization_test(a, b, n_permutations=draws)),
    ("randomization", "scipy", scipy_permutation),
    ("wilcoxon", "scipy", lambda: stats.wilcoxon(d, method="asymptotic")),
    ("paired_t", "scipy", lambda: stats.ttest_rel(a, b).confidence_interval()),
    ("paired_t", "ranx", lambda: paired_student_t_test(a, b)),
    ("bootstrap", "scipy", scipy_bootstrap),
]

for test, peer, work in TESTS:
    if test in ("randomization", "bootstrap") and peer == "scipy":
        times = 1  # Nothing is compiled, and a call takes long.
    else:
        work()
        times = 3
    walls, before = [], time.process_time()
    for _ in range(times):
        start = time.perf_counter()
        work()
        walls.append(time.perf_counter() - start)
    processor = (time.process_time() - before) / times
    print(json.dumps({"test": test, "peer": peer, "wall": min(walls), "processor": processor}), flush=True)
