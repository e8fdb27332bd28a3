#!/usr/bin/env python3
"""The peer of the ranker on a device: QLoRA by transformers, PEFT and bitsandbytes, as LlamaRec calls them, random weights.

  qlora_torch.py --lengths FILE [--what step|scores|both] [--batch N] [--micro-batch N] [--device cuda|cpu]

FILE (- or nothing: standard input) has the lengths of the prompts in tokens, separated by white space. A step learns from the first
`--batch` of them and teaches the last two tokens of each; scoring takes all, `--batch` at once. `--micro-batch` is for a step that does
not fit: it runs so many prompts at once and adds the gradients up. `--help` lists the rest, such as the geometry (that of Llama-3.1-8B
if not given).

It prints a line of JSON for the model, and one for each of `step` and `scores`:

  seconds            median of a call: of a step with clipping and AdamW, or of scoring all prompts; `runs` has each call's
  gradient_seconds   the part of a step until the gradients are there
  tokens             those of the prompts; `padded_tokens` is what went through the model
  peak_memory_bytes  of tensors on the device since before the first such call, the model included; null on the CPU

As LlamaRec calls them means: linear layers in NF4 with double quantization, LoRA of rank 8 on q_proj and v_proj, everything else cast to
f32 by `prepare_model_for_kbit_training`, autocast to bf16, checkpointing, padding on the left, the head at every position. LlamaRec's
attention is eager, which `--attention eager` gives; without that it is SDPA, the default of today's transformers.

Without torch, bitsandbytes or a device, or with too little memory, it prints one line to standard error and exits with 2.
"""

import argparse
import importlib.metadata
import json
import os
import statistics
import sys
import time
import warnings
from itertools import pairwise


def stop(why):
    print(f"qlora_torch: {' '.join(str(why).split())}", file=sys.stderr)
    sys.exit(2)


# Everything is drawn here: nothing may ask a hub.
os.environ["HF_HUB_OFFLINE"] = "1"
# PEFT turns checkpointing on by a name that transformers will drop.
warnings.filterwarnings("ignore", category=FutureWarning)
try:
    import bitsandbytes
    import torch
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training
    from torch import nn
    from transformers import LlamaConfig, LlamaForCausalLM
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding
except ImportError as error:
    stop(f"{error}; install benches/peers/qlora-requirements.txt")

LIBRARIES = ("torch", "transformers", "peft", "bitsandbytes", "accelerate")
LETTERS = 20
SMALLER = "a smaller --micro-batch makes a step smaller, a smaller --batch the scores"


# --- the model -----------------------------------------------------------------------------------


def random(shape, device):
    return torch.empty(shape, dtype=torch.bfloat16, device=device).normal_(std=0.02)


def nf4(rows, columns, device):
    """A layer of random weights, quantized on the device."""
    layer = bitsandbytes.nn.Linear4bit(
        columns,
        rows,
        bias=False,
        compute_dtype=torch.bfloat16,
        compress_statistics=True,
        quant_type="nf4",
        device="meta",
    )
    weight = bitsandbytes.nn.Params4bit(
        random((rows, columns), device),
        requires_grad=False,
        compress_statistics=True,
        quant_type="nf4",
        module=layer,
    )
    layer.weight = weight.to(device)
    return layer


def backbone(given, longest):
    """Made without memory and then filled, so that no more than one layer is there unquantized."""
    config = LlamaConfig(
        vocab_size=given.vocab,
        hidden_size=given.hidden,
        intermediate_size=given.intermediate,
        num_hidden_layers=given.layers,
        num_attention_heads=given.heads,
        num_key_value_heads=given.kv_heads,
        max_position_embeddings=longest,
        rope_parameters={"rope_type": "default", "rope_theta": given.rope_theta},
        rms_norm_eps=1e-5,
        tie_word_embeddings=False,
        attn_implementation=given.attention,
        use_cache=False,
    )
    with torch.device("meta"):
        made = LlamaForCausalLM(config)
    for name, module in list(made.named_modules()):
        if given.quantization == "nf4" and isinstance(module, nn.Linear) and name != "lm_head":
            made.set_submodule(name, nf4(module.out_features, module.in_features, given.device))
        elif isinstance(getattr(module, "weight", None), nn.Parameter):
            drawn = random(module.weight.shape, given.device)
            # Only norms have weights of one dimension.
            module.weight = nn.Parameter(drawn if drawn.dim() > 1 else torch.ones_like(drawn), requires_grad=False)
    # Its frequencies are no parameters: they are computed when it is made.
    made.model.rotary_emb = LlamaRotaryEmbedding(config).to(given.device)
    return made


def adapted(given, longest):
    made = backbone(given, longest)
    checkpointing = {"use_reentrant": False}
    if given.quantization == "nf4":
        # What from_pretrained sets, and what PEFT asks for.
        made.is_loaded_in_4bit = True
        made = prepare_model_for_kbit_training(made, gradient_checkpointing_kwargs=checkpointing)
    else:
        # Not prepared as above: that would hold every weight in f32.
        made.gradient_checkpointing_enable(checkpointing)
    lora = LoraConfig(
        r=8,
        lora_alpha=16,
        lora_dropout=0.05,
        target_modules=["q_proj", "v_proj"],
        bias="none",
        task_type="CAUSAL_LM",
    )
    return get_peft_model(made, lora)


# --- the prompts ---------------------------------------------------------------------------------


def batch_of(lengths, vocabulary, device):
    """Prompts of random tokens, padded on the left to the longest, of which the last two tokens are taught."""
    width = max(lengths)
    ids = torch.zeros(len(lengths), width, dtype=torch.long)
    mask, labels = torch.zeros_like(ids), torch.full_like(ids, -100)
    for row, length in enumerate(lengths):
        ids[row, width - length :] = torch.randint(vocabulary, (length,))
        mask[row, width - length :] = 1
    labels[:, -2:] = ids[:, -2:]
    return {"input_ids": ids.to(device), "attention_mask": mask.to(device), "labels": labels.to(device)}


def in_parts(lengths, size, given):
    return [batch_of(lengths[at : at + size], given.vocab, given.device) for at in range(0, len(lengths), size)]


# --- what is measured ----------------------------------------------------------------------------


def autocast(given):
    # What transformers' trainer does with bf16=True, in training and evaluation.
    return torch.autocast(given.device, dtype=torch.bfloat16)


def training(made, lengths, given):
    """The two halves of a step, and the tokens in it with those of the padding."""
    made.train()
    parts = in_parts(lengths, given.micro_batch, given)
    weights = [weight for weight in made.parameters() if weight.requires_grad]
    # LlamaRec's is bitsandbytes' paged AdamW: the same for so few weights, none of which is worth a page.
    optimizer = torch.optim.AdamW(weights, lr=1e-4, weight_decay=0.0)

    def gradients():
        optimizer.zero_grad()
        for part in parts:
            with autocast(given):
                loss = made(**part).loss
            # Every prompt has two labels, so this is the mean over those of all parts.
            (loss * (len(part["labels"]) / len(lengths))).backward()

    def update():
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()

    return [gradients, update], sum(part["input_ids"].numel() for part in parts)


def scoring(made, lengths, given):
    made.eval()
    parts = in_parts(lengths, given.batch, given)

    def scores():
        with torch.no_grad(), autocast(given):
            for part in parts:
                logits = made(part["input_ids"], attention_mask=part["attention_mask"]).logits
                # LlamaRec's model makes all of them f32 before it takes the last position.
                logits.float()[:, -1, :LETTERS].cpu()

    return [scores], sum(part["input_ids"].numel() for part in parts)


def now(given):
    if given.device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def measure(calls, given):
    """Seconds of each call in each repeat."""
    runs = []
    for repeat in range(given.warmup + given.repeats):
        marks = [now(given)]
        for call in calls:
            call()
            marks.append(now(given))
        if repeat >= given.warmup:
            runs.append([after - before for before, after in pairwise(marks)])
    return runs


def peak(given):
    return torch.cuda.max_memory_allocated() if given.device == "cuda" else None


def forget_peak(given):
    if given.device == "cuda":
        torch.cuda.reset_peak_memory_stats()


def report(given, lengths):
    cuda = given.device == "cuda"
    if cuda and not torch.cuda.is_available():
        stop(f"no device that this torch (CUDA {torch.version.cuda}) can use; --device cpu runs it on the CPU")
    threads, kernels = torch.get_num_threads(), torch.backends.cpu.get_cpu_capability()
    common = {
        "device": torch.cuda.get_device_name() if cuda else f"CPU, {threads} threads, {kernels}",
        "cuda": torch.version.cuda if cuda else None,
        **{library: importlib.metadata.version(library) for library in LIBRARIES},
        "quantization": given.quantization,
        "attention": given.attention,
    }

    def line(what, **values):
        print(json.dumps({"what": what, **common, **values}), flush=True)

    torch.manual_seed(0)
    if given.quantization == "nf4":
        try:
            nf4(64, 64, given.device)
        except (RuntimeError, NotImplementedError, AttributeError) as error:
            stop(f"bitsandbytes cannot quantize on {common['device']}: {error}")
    began = now(given)
    try:
        made = adapted(given, max(lengths))
    except (ImportError, ValueError) as error:  # such as an attention that is not there
        stop(error)
    line(
        "model",
        seconds=now(given) - began,
        layers=given.layers,
        hidden=given.hidden,
        trained_weights=sum(weight.numel() for weight in made.parameters() if weight.requires_grad),
        memory_bytes=torch.cuda.memory_allocated() if cuda else None,
        peak_memory_bytes=peak(given),
    )
    for what, make, taken in [("step", training, lengths[: given.batch]), ("scores", scoring, lengths)]:
        if given.what not in (what, "both"):
            continue
        made.zero_grad()
        forget_peak(given)
        calls, padded = make(made, taken, given)
        runs = measure(calls, given)
        seconds = statistics.median(sum(run) for run in runs)
        if what == "step":
            values = {
                "micro_batch": min(given.micro_batch, len(taken)),
                "gradient_seconds": statistics.median(run[0] for run in runs),
                "tokens_per_second": sum(taken) / seconds,
            }
        else:
            values = {"batch": min(given.batch, len(taken)), "prompts_per_second": len(taken) / seconds}
        line(
            what,
            prompts=len(taken),
            tokens=sum(taken),
            padded_tokens=padded,
            seconds=seconds,
            **values,
            runs=[sum(run) for run in runs],
            peak_memory_bytes=peak(given),
        )


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--what", choices=["step", "scores", "both"], default="both")
    parser.add_argument("--lengths", default="-", metavar="FILE")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--warmup", type=int, default=1)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--micro-batch", type=int, help="prompts of a step at once (default: all)")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--quantization", choices=["nf4", "none"], default="nf4")
    parser.add_argument("--attention", default="sdpa", help="sdpa (default), eager, or another that transformers knows")
    parser.add_argument("--hidden", type=int, default=4096)
    parser.add_argument("--intermediate", type=int, default=14_336)
    parser.add_argument("--layers", type=int, default=32)
    parser.add_argument("--heads", type=int, default=32)
    parser.add_argument("--kv-heads", type=int, default=8)
    parser.add_argument("--vocab", type=int, default=128_256)
    parser.add_argument("--rope-theta", type=float, default=5e5)
    given = parser.parse_args()
    given.micro_batch = given.batch if given.micro_batch is None else given.micro_batch
    least = dict.fromkeys(("repeats", "batch", "micro_batch", "layers", "heads", "kv_heads"), 1)
    for name, value in {**least, "warmup": 0, "vocab": LETTERS}.items():
        if getattr(given, name) < value:
            parser.error(f"--{name.replace('_', '-')} is at least {value}")
    if given.hidden % given.heads or given.heads % given.kv_heads:
        parser.error("--heads divides --hidden, and --kv-heads divides --heads")
    return given


def lengths_of(file):
    try:
        text = sys.stdin.read() if file == "-" else open(file).read()
        lengths = [int(word) for word in text.split()]
    except (OSError, ValueError) as error:
        stop(f"the lengths: {error}")
    if not lengths or min(lengths) < 3:
        stop("the lengths: expected some, each at least 3 (two taught tokens after another)")
    return lengths


def main():
    given = arguments()
    lengths = lengths_of(given.lengths)
    try:
        report(given, lengths)
    except MemoryError:
        stop(f"too little memory: {SMALLER}")
    except RuntimeError as error:
        # PyTorch's own allocator has a class for this; the CPU's, the driver's and cuBLAS' errors have only their texts.
        text = " ".join(str(error).split())
        if not any(word in text for word in ("out of memory", "allocate memory", "ALLOC_FAILED")):
            raise
        stop(f"{'. '.join(text.split('. ')[:2])}: {SMALLER}")


if __name__ == "__main__":
    main()
