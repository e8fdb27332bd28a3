"""Read exported files with ir-measures, ranx, pyarrow and TensorBoard, and compare with the numbers of the report.

Usage: export.py FOLDER EXPECTED.json. Prints a line for each package: what was compared, or that it is not installed. Exits
with 1 if a number differs by more than 1e-6, and if no evaluation package is there.
"""

import json
import math
import sys
from pathlib import Path

TOLERANCE = 1e-6
failed = False


def report(name, count, worst):
    global failed
    failed |= not worst <= TOLERANCE or count == 0
    print(f"{name}: {count} numbers, largest difference {worst:.2e}")


def by_files(metrics):
    groups = {}
    for wanted in metrics:
        groups.setdefault((wanted["qrels"], wanted["run"]), []).append(wanted)
    return groups


def with_ir_measures(folder, metrics):
    import ir_measures

    names = {"MRR": "RR", "NDCG": "nDCG", "Recall": "R"}
    count, worst = 0, 0.0
    for (qrels, run), group in by_files(metrics).items():
        qrels = list(ir_measures.read_trec_qrels(str(folder / qrels)))
        run = list(ir_measures.read_trec_run(str(folder / run)))
        measures = {}
        for wanted in group:
            kind, k = wanted["metric"].split("@")
            measures[ir_measures.parse_measure(f"{names[kind]}@{k}")] = wanted["value"]
        found = ir_measures.calc_aggregate(measures.keys(), qrels, run)
        for measure, value in measures.items():
            worst = max(worst, abs(found[measure] - value))
            count += 1
    report("ir-measures", count, worst)


def with_ranx(folder, metrics):
    from ranx import Qrels, Run, evaluate

    count, worst = 0, 0.0
    for (qrels, run), group in by_files(metrics).items():
        qrels = Qrels.from_file(str(folder / qrels), kind="trec")
        run = Run.from_file(str(folder / run), kind="trec")
        names = [wanted["metric"].lower() for wanted in group]
        # Users without a list count 0.
        found = evaluate(qrels, run, names, make_comparable=True)
        found = found if isinstance(found, dict) else {names[0]: found}
        for name, wanted in zip(names, group):
            worst = max(worst, abs(float(found[name]) - wanted["value"]))
            count += 1
    report("ranx", count, worst)


def with_pyarrow(folder, metrics):
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    ranks = pq.read_table(folder / "ranks.parquet")
    count, worst = 0, 0.0
    for wanted in metrics:
        if wanted["qrels"] != "test.qrels":
            continue
        name = wanted["run"].removesuffix(".run").split(".")
        seed = int(name[-1].removeprefix("seed-"))
        rung, read_out = ("retriever", None) if name[1] == "retrieval" else (name[2], name[3])
        mask = pc.and_(pc.equal(ranks["part"], "test"), pc.equal(ranks["seed"], seed))
        mask = pc.and_(mask, pc.equal(ranks["rung"], rung))
        if read_out is not None:
            mask = pc.and_(mask, pc.equal(ranks["read_out"], read_out))
        kind, k = wanted["metric"].split("@")
        of = {"MRR": lambda r: 1 / r, "NDCG": lambda r: 1 / math.log2(r + 1), "Recall": lambda r: 1.0}[kind]
        values = [of(r) if r is not None and r <= int(k) else 0.0 for r in ranks.filter(mask)["rank"].to_pylist()]
        worst = max(worst, abs(sum(values) / len(values) - wanted["value"]))
        count += 1
    report("pyarrow", count, worst)


def with_tensorboard(folder, curves, selected_by):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    count, worst = 0, 0.0
    for place, curve in curves.items():
        events = EventAccumulator(str(folder / place))
        events.Reload()
        for tag, field in ((f"validation/{selected_by}", "metric"), ("train/loss", "train_loss")):
            found = [(event.step, event.value) for event in events.Scalars(tag)]
            wanted = [(point["step"], point[field]) for point in curve if point[field] is not None]
            assert [step for step, _ in found] == [step for step, _ in wanted], (tag, found, wanted)
            for (_, value), (_, ours) in zip(found, wanted):
                worst = max(worst, abs(value - ours) / max(1.0, abs(ours)))
                count += 1
    report("tensorboard", count, worst)


folder = Path(sys.argv[1])
expected = json.loads(Path(sys.argv[2]).read_text())
evaluated = 0
for package, check in (
    ("ir-measures", lambda: with_ir_measures(folder, expected["metrics"])),
    ("ranx", lambda: with_ranx(folder, expected["metrics"])),
    ("pyarrow", lambda: with_pyarrow(folder, expected["metrics"])),
    ("tensorboard", lambda: with_tensorboard(folder, expected["curves"], expected["selected_by"])),
):
    try:
        check()
        evaluated += package in ("ir-measures", "ranx")
    except ImportError as missing:
        print(f"skipped: {package} is not installed ({missing})")
if evaluated == 0:
    print("skipped: neither ir-measures nor ranx is installed, so no metric was compared")
sys.exit(1 if failed else 0)
