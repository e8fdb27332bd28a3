#!/usr/bin/env python3
"""LRURec in plain PyTorch: the peer that the crate's retriever is timed against.

The same mathematics, done the way the reference does it: complex64 modules, a recursive-doubling scan
over the length padded to a power of two, every padded position computed, all logits materialised,
torch's own cross-entropy, gradient clipping and AdamW. It is deliberately not cleverer than that, and
deliberately not slower: `--check` proves the mathematics against the reference's tensors.

  lrurec_torch.py --check FIXTURES            forward, loss, gradients, three AdamW steps, evaluation
  lrurec_torch.py --time --dataset beauty     seconds per training step and per evaluation batch
"""

import argparse
import json
import math
import os
import resource
import statistics
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

HIDDEN, STATE, FEED_FORWARD, BLOCKS = 64, 128, 256, 2
R_MIN, R_MAX = 0.8, 0.99
MASKED = -1e9
CUTOFFS = (1, 5, 10, 20, 50)

# batch, length, items, mean number of labels per row, evaluation users
SHAPES = {
    "beauty": (64, 50, 12_086, 6.9, 22_332),
    "games": (64, 50, 7_676, 7.6, 15_264),
    "ml-100k": (16, 200, 3_650, 149.0, 610),
}
WEIGHT_DECAY = {"beauty": 0.01, "games": 0.01, "ml-100k": 0.0}


# --- the model -----------------------------------------------------------------------------------


class ItemEmbedding(nn.Module):
    """Item vectors, then dropout, then layer norm; id 0 is padding and has a (trained) vector too."""

    def __init__(self, items, dropout):
        super().__init__()
        self.token = nn.Embedding(items + 1, HIDDEN)
        self.layer_norm = nn.LayerNorm(HIDDEN)
        self.dropout = nn.Dropout(dropout)

    def forward(self, ids):
        return self.layer_norm(self.dropout(self.token(ids)))


class LruLayer(nn.Module):
    """h_t = lambda h_(t-1) + gamma (B x_t + b_B);  y = layer_norm(dropout(Re(C h_t + b_C)) + x_t)."""

    def __init__(self, dropout):
        super().__init__()
        self.in_proj = nn.Linear(HIDDEN, STATE, dtype=torch.cfloat)
        self.out_proj = nn.Linear(STATE, HIDDEN, dtype=torch.cfloat)
        self.params_log = nn.Parameter(torch.empty(3, STATE))  # rows: nu, theta, gamma
        self.layer_norm = nn.LayerNorm(HIDDEN)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask):
        nu, theta, gamma = self.params_log.exp()
        h = gamma * self.in_proj(x.to(torch.cfloat))
        h = scan(h, torch.exp(torch.complex(-nu, theta)), mask)
        self.last_state = h if getattr(self, "keep_state", False) else None
        return self.layer_norm(self.dropout(self.out_proj(h).real) + x)


def scan(h, decay, mask):
    """Linear recurrence in log2(length) levels; `h` is [batch, 2^k, state], `mask` [batch, 2^k].

    A level joins neighbouring runs of equal width: the right run gains the left run's last state times
    decay^1 .. decay^width, unless that last state belongs to a padded position (padding is on the left,
    so then the whole left run is padding and nothing of it may be carried on).
    """
    batch, length, state = h.shape
    powers = decay.unsqueeze(0)  # decay^1 .. decay^width
    width = 1
    while width < length:
        runs = h.reshape(-1, 2 * width, state)
        left, right = runs[:, :width], runs[:, width:]
        carry_on = mask.reshape(-1, 2 * width)[:, width - 1].reshape(-1, 1, 1)
        right = right + powers * (left[:, -1:] * carry_on)
        h = torch.cat((left, right), dim=1)
        powers = torch.cat((powers, powers * powers[-1]), dim=0)
        width *= 2
    return h.reshape(batch, length, state)


class FeedForward(nn.Module):
    def __init__(self, dropout):
        super().__init__()
        self.w_1 = nn.Linear(HIDDEN, FEED_FORWARD)
        self.w_2 = nn.Linear(FEED_FORWARD, HIDDEN)
        self.layer_norm = nn.LayerNorm(HIDDEN)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        inner = self.dropout(F.gelu(self.w_1(x)))
        return self.layer_norm(self.dropout(self.w_2(inner)) + x)


class Block(nn.Module):
    def __init__(self, dropout):
        super().__init__()
        self.lru_layer = LruLayer(dropout)
        self.feed_forward = FeedForward(dropout)

    def forward(self, x, mask):
        return self.feed_forward(self.lru_layer(x, mask))


class Encoder(nn.Module):
    """The blocks, and the output layer tied to the item vectors."""

    def __init__(self, items, dropout):
        super().__init__()
        self.lru_blocks = nn.ModuleList(Block(dropout) for _ in range(BLOCKS))
        self.bias = nn.Parameter(torch.empty(items + 1))

    def forward(self, x, item_vectors, mask):
        length = x.shape[1]
        missing = (1 << max(length - 1, 0).bit_length()) - length
        x, mask = F.pad(x, (0, 0, missing, 0)), F.pad(mask, (missing, 0))
        for block in self.lru_blocks:
            x = block(x, mask)
        return x[:, -length:] @ item_vectors.T + self.bias


class LruRec(nn.Module):
    def __init__(self, items, dropout=0.5):
        super().__init__()
        self.embedding = ItemEmbedding(items, dropout)
        self.model = Encoder(items, dropout)
        self.reset()

    @torch.no_grad()
    def reset(self):
        """Ring initialisation of the recurrence; truncated normal elsewhere; layer norms at 1 and 0."""
        for name, parameter in self.named_parameters():
            if "layer_norm" in name:
                continue
            if name.endswith("params_log"):
                u_radius, u_angle = torch.rand(2, STATE)
                nu = -0.5 * torch.log(u_radius * (R_MAX**2 - R_MIN**2) + R_MIN**2)
                theta = 2 * math.pi * u_angle
                gamma = torch.sqrt(1 - torch.exp(-2 * nu))
                parameter.copy_(torch.stack((nu, theta, gamma)).log())
            else:
                parts = torch.view_as_real(parameter) if parameter.is_complex() else parameter
                nn.init.trunc_normal_(parts, mean=0.0, std=0.02, a=-0.04, b=0.04)

    def forward(self, ids):
        """All logits, [batch, length, items + 1]."""
        return self.model(self.embedding(ids), self.embedding.token.weight, ids > 0)


def loss_of(logits, labels):
    return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), labels.reshape(-1), ignore_index=0)


def optimizer_for(model, weight_decay, learning_rate=1e-3):
    decayed, kept = [], []
    for name, parameter in model.named_parameters():
        (kept if "bias" in name or "layer_norm" in name else decayed).append(parameter)
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": kept, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.999), eps=1e-9)


def train_step(model, optimizer, ids, labels, clip=5.0):
    optimizer.zero_grad()
    loss = loss_of(model(ids), labels)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), clip)
    optimizer.step()
    return loss


def mask_history(scores, ids):
    """In place: the items of the window, one position after the other, and padding."""
    rows = torch.arange(len(scores))
    for position in range(ids.shape[1]):
        scores[rows, ids[:, position]] = MASKED
    scores[:, 0] = MASKED
    return scores


def metrics_of(scores, answers):
    """Recall, MRR and NDCG of one relevant item per row, by sorting the whole catalogue."""
    order = (-scores).argsort(dim=1)
    rank = (order == answers.reshape(-1, 1)).float().argmax(dim=1) + 1
    found = {}
    for k in CUTOFFS:
        hit = (rank <= k).float()
        found[f"Recall@{k}"] = hit.mean().item()
        found[f"MRR@{k}"] = (hit / rank).mean().item()
        found[f"NDCG@{k}"] = (hit / torch.log2(rank + 1.0)).mean().item()
    return found


# --- check against the reference's tensors -------------------------------------------------------


def split_complex(named):
    """Complex tensors as `.real` and `.imag`, as the fixtures hold them."""
    out = {}
    for name, tensor in named:
        tensor = tensor.detach()
        if tensor.is_complex():
            out[f"{name}.real"], out[f"{name}.imag"] = tensor.real, tensor.imag
        else:
            out[name] = tensor
    return out


def load_weights(model, path):
    stored = load_file(path)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.is_complex():
                parameter.copy_(torch.complex(stored.pop(f"{name}.real"), stored.pop(f"{name}.imag")))
            else:
                parameter.copy_(stored.pop(name))
    if stored:
        raise SystemExit(f"{path}: tensors of no parameter: {', '.join(sorted(stored))}")


class Checks:
    """Largest difference over largest magnitude of a tensor, against a limit."""

    def __init__(self, limit=1e-4):
        self.limit, self.failed = limit, 0

    def same(self, what, pairs):
        pairs = list(pairs)
        assert pairs, f"{what}: nothing was compared"
        worst, where = -1.0, ""
        for name, ours, theirs in pairs:
            ours, theirs = torch.as_tensor(ours).double(), torch.as_tensor(theirs).double()
            assert ours.shape == theirs.shape, f"{what}: {name}: {tuple(ours.shape)} for {tuple(theirs.shape)}"
            difference = ((ours - theirs).abs().max() / theirs.abs().max().clamp_min(1e-30)).item()
            if not difference <= worst:  # a NaN is the worst of all
                worst, where = difference, name
        ok = worst <= self.limit
        self.failed += not ok
        print(f"{'ok  ' if ok else 'FAIL'} {what:<32} {len(pairs):>3} tensors, max relative error {worst:.2e} ({where})")

    def decay(self, what, unit, ours, theirs):
        """Which tensors decay. Three steps shrink a weight by `unit` = 3e-5 of itself, less than the limit
        above, and rounding alone moves single weights as far (where a gradient is near AdamW's epsilon).
        So project what decay changed on the weights: 1 unit if a tensor decays, else 0; half is the limit."""
        worst, where = -1.0, ""
        for name in theirs[0]:
            shrink = [
                ((plain.double() - decayed.double()) * plain.double()).sum() / plain.double().square().sum() / unit
                for plain, decayed in ((ours[0][name], ours[1][name]), (theirs[0][name], theirs[1][name]))
            ]
            difference = (shrink[0] - shrink[1]).abs().item()
            if not difference <= worst:
                worst, where = difference, name
        ok = worst <= 0.5
        self.failed += not ok
        print(f"{'ok  ' if ok else 'FAIL'} {what:<32} {len(theirs[0]):>3} tensors, max difference {worst:.2e} of a decay ({where})")


def check(folder):
    folder = Path(folder)
    info = json.loads((folder / "info.json").read_text())
    checks = Checks()
    for stage in ("init", "trained"):
        io = load_file(folder / f"{stage}.io.safetensors")
        model = LruRec(items=io["logits"].shape[-1] - 1, dropout=0.0)
        load_weights(model, folder / f"{stage}.weights.safetensors")
        states = {}
        for index, block in enumerate(model.model.lru_blocks):
            block.lru_layer.keep_state = True
            block.lru_layer.register_forward_hook(
                lambda layer, _, out, index=index: states.update(
                    {
                        f"block{index}_h.real": layer.last_state.real,
                        f"block{index}_h.imag": layer.last_state.imag,
                        f"block{index}_lru_out": out,
                    }
                )
            )
        states["embedding_out"] = model.embedding(io["input_ids"])
        logits = model(io["input_ids"])
        loss = loss_of(logits, io["labels"])
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), math.inf)
        checks.same(f"{stage}: states", [(k, v.detach(), io[k]) for k, v in states.items()])
        checks.same(f"{stage}: logits", [("logits", logits.detach(), io["logits"])])
        checks.same(f"{stage}: loss, gradient norm",
                    [("loss", loss.detach().reshape(1), io["loss"]), ("grad_norm", norm.reshape(1), io["grad_norm"])])
        theirs = load_file(folder / f"{stage}.grads.safetensors")
        ours = split_complex((name, p.grad) for name, p in model.named_parameters())
        assert ours.keys() == theirs.keys()
        checks.same(f"{stage}: gradients", [(k, ours[k], theirs[k]) for k in theirs])

    io = load_file(folder / "init.io.safetensors")
    for clip in (5, 0.05):
        after = {}  # weight decay -> (our weights, the reference's)
        for decay in (0.0, 0.01):
            case = f"adamw_3steps_wd{decay}_clip{clip}"
            model = LruRec(items=io["logits"].shape[-1] - 1, dropout=0.0)
            load_weights(model, folder / "init.weights.safetensors")
            optimizer = optimizer_for(model, decay)
            losses = [train_step(model, optimizer, io["input_ids"], io["labels"], clip).item() for _ in range(3)]
            theirs = load_file(folder / f"{case}.weights.safetensors")
            ours = split_complex(model.named_parameters())
            assert ours.keys() == theirs.keys()
            after[decay] = ours, theirs
            checks.same(case, [(k, ours[k], theirs[k]) for k in theirs])
            checks.same(f"{case}: losses", [("losses", losses, info[case])])
        checks.decay(f"clip{clip}: which weights decay", 3 * 1e-3 * 0.01, *zip(after[0.0], after[0.01]))

    held = load_file(folder / "eval.safetensors")
    load_weights(model, folder / "trained.weights.safetensors")
    with torch.no_grad():
        scores = model(held["seqs"])[:, -1]
    checks.same("eval: last scores", [("last_scores", scores, held["last_scores"])])
    masked = mask_history(scores.clone(), held["seqs"])
    theirs = held["scores_history_excluded"]
    shown = theirs > MASKED / 2
    checks.same("eval: history excluded",
                [("mask", (masked > MASKED / 2).float(), shown.float()), ("scores", masked[shown], theirs[shown])])
    metrics = metrics_of(held["metric_scores"], held["metric_labels"])
    checks.same("eval: metrics", [(k, v, info["metric_values"][k]) for k, v in metrics.items()])
    print(f"{'all within the limit of' if not checks.failed else f'{checks.failed} outside the limit of'} {checks.limit:g} (torch {torch.__version__})")
    return 1 if checks.failed else 0


# --- timing --------------------------------------------------------------------------------------


def random_batches(shape, count, generator):
    """Random sequences of a data set's shape; the lengths have the data set's mean number of labels."""
    batch, length, items, mean, _ = shape
    ids = torch.zeros(count, batch, length, dtype=torch.int64)
    labels = torch.zeros_like(ids)
    if mean < length / 2:  # at least 3 training items (5-core), then a geometric tail
        p = 1 / (mean - 3 + 1)
        lengths = 3 + torch.empty(count, batch).geometric_(p, generator=generator).long() - 1
    else:  # uniform, ending at the window
        lengths = torch.randint(round(2 * mean - length), length + 1, (count, batch), generator=generator)
    lengths.clamp_(max=length)
    for s in range(count):
        for b in range(batch):
            m = int(lengths[s, b])
            sequence = torch.randint(1, items + 1, (m,), generator=generator)
            labels[s, b, length - m :] = sequence
            ids[s, b, length - m + 1 :] = sequence[:-1]
    return ids, labels


def read_batches(path, items):
    """`input_ids` and `labels` [steps, batch, length], left padded; `eval_input_ids`, `eval_answers` too if there."""
    stored = load_file(path)
    missing = {"input_ids", "labels"} - stored.keys()
    if missing:
        raise SystemExit(f"{path}: no tensor {', '.join(sorted(missing))}; it holds {', '.join(sorted(stored))}")
    ids, labels = stored["input_ids"].long(), stored["labels"].long()
    if ids.ndim != 3 or ids.shape != labels.shape:
        raise SystemExit(f"{path}: input_ids {tuple(ids.shape)} and labels {tuple(labels.shape)} are not one [steps, batch, length]")
    eval_ids = stored.get("eval_input_ids", stored["input_ids"]).long()
    largest = max(int(t.max()) for t in (ids, labels, eval_ids))
    if largest > items:
        raise SystemExit(f"{path}: item id {largest} is larger than the {items} items; set --items")
    answers = stored.get("eval_answers")
    answers = labels[:, :, -1] if answers is None and eval_ids.shape == ids.shape else answers
    return ids, labels, eval_ids, answers


def peak_rss_mib():
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


class Seconds(list):
    """Seconds of each call, and the share of that time in which some thread of the machine waited for a core."""

    cpu_pressure = None


def waited_s():
    """Linux's pressure stall total for the processor, in seconds; None where there is none."""
    try:
        return int(Path("/proc/pressure/cpu").read_text().split("total=")[1].split()[0]) / 1e6
    except (OSError, IndexError, ValueError):
        return None


def timed(count, warm_up, work):
    """Seconds of `work(i)`, after `warm_up` calls that are not counted."""
    for i in range(warm_up):
        work(i)
    seconds, before = Seconds(), waited_s()
    for i in range(warm_up, warm_up + count):
        start = time.perf_counter()
        work(i)
        seconds.append(time.perf_counter() - start)
    after = waited_s()
    if before is not None and after is not None:
        seconds.cpu_pressure = round((after - before) / max(sum(seconds), 1e-9), 3)
    return seconds


def emit(args, what, seconds, **more):
    record = {
        "what": what,
        "dataset": args.dataset,
        "median_s": round(statistics.median(seconds), 6),
        "min_s": round(min(seconds), 6),
        "mean_s": round(statistics.fmean(seconds), 6),
        "peak_rss_mib": peak_rss_mib(),
        "cpu_pressure": seconds.cpu_pressure,
        "omp_wait_policy": os.environ.get("OMP_WAIT_POLICY"),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        **more,
    }
    if args.json:
        print(json.dumps(record), flush=True)
    else:
        print("  ".join(f"{key} {value}" for key, value in record.items()), flush=True)


def measure(args):
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    after_import = peak_rss_mib()
    batch, length, items, mean, users = SHAPES[args.dataset]
    items = args.items or items
    if args.batches:
        ids, labels, eval_ids, answers = read_batches(args.batches, items)
    else:
        generator = torch.Generator().manual_seed(args.seed)
        count = max(1, min(args.steps, 32))
        ids, labels = random_batches((batch, length, items, mean, users), count, generator)
        eval_ids, answers = ids, labels[:, :, -1]
    model = LruRec(items, args.dropout)
    if args.weights:
        load_weights(model, args.weights)
    shape = {"batch": ids.shape[1], "length": ids.shape[2], "items": items, "rss_after_import_mib": after_import}

    # Evaluation first: it needs less memory than training, so each peak is its own.
    if args.eval_batches:
        model.eval()
        passes = -(-users // eval_ids.shape[1])

        @torch.no_grad()
        def forward(i):
            model(eval_ids[i % len(eval_ids)])

        seconds = timed(args.eval_batches, args.warm_up, forward)
        per_pass = round(statistics.median(seconds) * passes, 3)
        emit(args, "eval_forward_batch", seconds, batches=len(seconds), batches_per_pass=passes, pass_s=per_pass, **shape)

        if args.eval_metrics:
            if answers is None:
                raise SystemExit(f"{args.batches}: --eval-metrics needs eval_answers [steps, batch] beside eval_input_ids")

            @torch.no_grad()
            def forward_only(i):
                scored.append(model(eval_ids[i % len(eval_ids)])[:, -1].clone())

            def rank(i):
                metrics_of(mask_history(scored[i], eval_ids[i % len(eval_ids)]), answers[i % len(answers)])

            scored = []
            timed(args.eval_batches + args.warm_up, 0, forward_only)
            seconds = timed(args.eval_batches, args.warm_up, rank)
            per_pass = round(statistics.median(seconds) * passes, 3)
            emit(args, "eval_metrics_batch", seconds, batches=len(seconds), batches_per_pass=passes, pass_s=per_pass, **shape)

    if args.steps:
        model.train()
        decay = WEIGHT_DECAY[args.dataset] if args.weight_decay is None else args.weight_decay
        optimizer = optimizer_for(model, decay)
        losses = []

        def step(i):
            losses.append(train_step(model, optimizer, ids[i % len(ids)], labels[i % len(ids)]).item())

        seconds = timed(args.steps, args.warm_up, step)
        real = round((labels > 0).sum().item() / labels[:, :, 0].numel(), 2)
        emit(args, "train_step", seconds, steps=len(seconds), mean_real_length=real,
             first_loss=round(losses[0], 6), last_loss=round(losses[-1], 6), **shape)
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--check", metavar="FIXTURES", help="compare with the reference's tensors; exit 1 above 1e-4")
    mode.add_argument("--time", action="store_true", help="time training steps and evaluation batches")
    parser.add_argument("--dataset", choices=sorted(SHAPES), default="beauty", help="shape, items, weight decay (beauty)")
    parser.add_argument("--batches", metavar="FILE", help="safetensors with input_ids, labels [steps, batch, length]")
    parser.add_argument("--weights", metavar="FILE", help="start from these weights (safetensors, complex split)")
    parser.add_argument("--items", type=int, help="catalogue size, if not the data set's")
    parser.add_argument("--steps", type=int, default=20, help="training steps to time (20); 0: none")
    parser.add_argument("--eval-batches", type=int, default=20, help="evaluation batches to time (20); 0: none")
    parser.add_argument("--eval-metrics", action="store_true", help="also time masking, full argsort and metrics")
    parser.add_argument("--warm-up", type=int, default=3, help="calls before the counted ones (3)")
    parser.add_argument("--dropout", type=float, default=0.5)
    parser.add_argument("--weight-decay", type=float, help="if not the data set's")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    args = parser.parse_args()
    return check(args.check) if args.check else measure(args)


if __name__ == "__main__":
    sys.exit(main())
