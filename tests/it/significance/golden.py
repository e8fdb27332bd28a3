"""The expected values of golden.json: scipy, statsmodels and ranx on made-up metrics.

Made with numpy 2.4.6, scipy 1.17.1, statsmodels 0.15.0, pandas 3.1.1 and ranx 0.3.21: python golden.py > golden.json
"""

import json

import numpy as np
import pandas as pd
from ranx.statistical_tests import paired_student_t_test
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

rng = np.random.default_rng(20)


def ndcg(ranks):
    return np.where(ranks <= 10, 1 / np.log2(ranks + 1.0), 0.0)


def paired(name, a, b, permutation):
    """a and b: one run each."""
    d = a - b
    t = stats.ttest_rel(a, b)
    low, high = t.confidence_interval(0.95)
    ranx_p, _ = paired_student_t_test(a, b)
    case = {"name": name, "a": a.tolist(), "b": b.tolist(), "t": t.statistic, "t_p": t.pvalue, "low": low, "high": high}
    case["ranx_t_p"] = float(ranx_p)
    for zeros in ("wilcox", "pratt"):
        for correction in (False, True):
            w = stats.wilcoxon(d, zero_method=zeros, correction=correction, method="asymptotic")
            case[f"{zeros}_{str(correction).lower()}"] = w.pvalue
    if len(d) <= 50 and (d != 0).all() and len(np.unique(abs(d))) == len(d):
        case["wilcoxon_exact"] = stats.wilcoxon(d, method="exact").pvalue
    if permutation:
        # Users without a difference change nothing, and leaving them out keeps the enumeration small.
        keep = d != 0
        test = stats.permutation_test(
            (a[keep], b[keep]),
            lambda x, y, axis: np.mean(x - y, axis=axis),
            permutation_type="samples",
            n_resamples=np.inf,
            vectorized=True,
        )
        case["permutation_p"] = test.pvalue
    return case


def distinct(n):
    return paired(f"{n} users, all different", rng.random(n), rng.random(n) * 0.9, n <= 14)


def ranks(n, permutation, top=21):
    return paired(
        f"{n} users, ranks",
        ndcg(rng.integers(1, top, n).astype(float)),
        ndcg(rng.integers(1, top, n).astype(float)),
        permutation,
    )


cases = [distinct(8), distinct(14), distinct(50), distinct(51), distinct(400)]
cases += [ranks(14, True), ranks(126, False), ranks(600, False)]
# Recall: few users differ.
hits = (rng.random(18) < 0.6).astype(float)
cases.append(paired("18 users, hits", hits, np.where(rng.random(18) < 0.5, 1.0 - hits, hits), True))

tables = []
for b, c in [(4, 0), (0, 0), (3, 3), (10, 4), (40, 61), (500, 430), (1, 7)]:
    n, k = b + c, min(b, c)
    p = mcnemar([[10, b], [c, 5]], exact=True).pvalue if n else 1.0
    mid = 2 * stats.binom.cdf(k, n, 0.5) - stats.binom.pmf(k, n, 0.5)
    tables.append({"b": b, "c": c, "p": float(min(p, 1.0)), "mid_p": float(mid if b != c else 1 - stats.binom.pmf(k, n, 0.5) / 2)})

families = []
for p in (rng.random(1), rng.random(7), np.concatenate([rng.random(20), rng.random(10) ** 6, [0.02, 0.02, 0.0, 1.0]])):
    family = {"p": p.tolist()}
    for name in ("bonferroni", "holm", "fdr_bh"):
        family[name] = multipletests(p, method=name)[1].tolist()
    families.append(family)

crossed = []


def add_crossed(d):
    """The crossed t of differences by seed and user, from statsmodels' mean squares."""
    seeds, users = d.shape
    frame = pd.DataFrame(
        {"d": d.ravel(), "seed": np.repeat(np.arange(seeds), users), "user": np.tile(np.arange(users), seeds)}
    )
    squares = anova_lm(ols("d ~ C(user) + C(seed)", frame).fit())
    squares = squares["sum_sq"] / squares["df"]
    of_users, of_seeds, rest = squares["C(user)"], squares["C(seed)"], squares["Residual"]
    bounded = max(of_seeds, rest / 4)
    variance = max(0.0, of_users - rest) + bounded
    spreads = of_users**2 / (users - 1) + bounded**2 / (seeds - 1) + rest**2 / ((users - 1) * (seeds - 1))
    df = np.clip(variance**2 / spreads, min(seeds - 1, users - 1), users - 1)
    se = np.sqrt(variance / (users * seeds))
    t = d.mean() / se
    crossed.append(
        {
            "d": d.tolist(),
            "se": se,
            "df": df,
            "p": 2 * stats.t.sf(abs(t), df),
            "low": d.mean() - stats.t.ppf(0.975, df) * se,
            "high": d.mean() + stats.t.ppf(0.975, df) * se,
            "users": max(0.0, (of_users - rest) / seeds),
            "seeds": max(0.0, of_seeds - rest) / users,
            "rest": rest,
        }
    )


for users, seeds, spread in [(6, 2, 0.5), (20, 5, 0.0), (30, 4, 0.3)]:
    add_crossed(rng.normal(0.05, 0.3, (1, users)) + rng.normal(0, spread, (seeds, 1)) + rng.normal(0, 0.2, (seeds, users)))

powers = []
for n in (12, 126, 3000):
    powers.append({"n": n, "d": TTestPower().solve_power(nobs=n, alpha=0.05, power=0.8, alternative="two-sided")})

x, y = ndcg(rng.integers(1, 21, 200).astype(float)), ndcg(rng.integers(2, 22, 200).astype(float))
bootstrap = {"a": x.tolist(), "b": y.tolist()}
for method in ("percentile", "BCa"):
    found = stats.bootstrap(
        (x - y,), np.mean, n_resamples=200_000, batch=2000, confidence_level=0.95, method=method, rng=np.random.default_rng(1)
    ).confidence_interval
    bootstrap[method] = [found.low, found.high]


# Seeds that agree better than chance would have it, and users who differ in nothing: both bounds of the variance.
for own in (0.3, 0.0):
    d = rng.normal(0.05, own, (1, 24)) + rng.normal(0, 0.2, (3, 24))
    add_crossed(d - 0.95 * (d.mean(axis=1, keepdims=True) - d.mean()))
d = rng.normal(0, 0.2, (4, 12))
add_crossed(d - 0.9 * (d.mean(axis=0, keepdims=True) - d.mean()) + 0.05)


def plain(value):
    return value.item() if isinstance(value, np.generic) else value


document = {"paired": cases, "mcnemar": tables, "families": families, "crossed": crossed, "powers": powers, "bootstrap": bootstrap}
print(json.dumps(document, default=plain))
