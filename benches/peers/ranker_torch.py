#!/usr/bin/env python3
"""The peer of the ranker: transformers + PEFT on the CPU, a Llama of random weights.

  ranker_torch.py TASK [--repeats N] [--lengths FILE] [--prompts N] [--threads N]

prints one JSON line: the task, the median seconds of a call, and the peak resident memory in MiB. Each task runs in a process
of its own, so that the peak is its own.

  score-llamarec       4 x 1,024 tokens, eager attention, the head at every position (as LlamaRec calls it)
  score-best           4 x 1,024, SDPA, the head at the last position only
  score-best-bf16      the same in bfloat16
  spread-llamarec      prompts of the lengths in FILE, in batches of 16 in the order of the file, left padded, eager, full head
  spread-best          the same, SDPA, last position only
  spread-best-bf16     the same in bfloat16
  train-llamarec       one LoRA step (r 8 on q and v) at 2 x 1,024, eager, checkpointed, full head
  train-best           one LoRA step at 2 x 1,024, SDPA, not checkpointed, the head at the last 3 positions
  train-best-bf16      the same with the frozen weights and the products in bfloat16

The geometry is 134 million parameters: hidden 768, 12 layers, 12 heads, intermediate 2,048, vocabulary 32,000.
"""

import argparse
import json
import resource
import statistics
import time

import torch
from transformers import LlamaConfig, LlamaForCausalLM

VOCABULARY = 32_000


def model(attention, dtype, checkpointed=False):
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=768,
        intermediate_size=2048,
        num_hidden_layers=12,
        num_attention_heads=12,
        num_key_value_heads=12,
        max_position_embeddings=2048,
        tie_word_embeddings=False,
        attn_implementation=attention,
        use_cache=False,
    )
    made = LlamaForCausalLM(config).to(dtype)
    if checkpointed:
        made.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return made


def scoring(task, lengths):
    bf16 = task.endswith("-bf16")
    llamarec = task.endswith("-llamarec")
    made = model("eager" if llamarec else "sdpa", torch.bfloat16 if bf16 else torch.float32).eval()
    letters = torch.arange(29_909, 29_929)
    if task.startswith("score"):
        batches = [[1024] * 4]
    else:
        batches = [lengths[at : at + 16] for at in range(0, len(lengths), 16)]

    def call():
        with torch.no_grad():
            for batch in batches:
                width = max(batch)
                ids = torch.zeros(len(batch), width, dtype=torch.long)
                mask = torch.zeros(len(batch), width, dtype=torch.long)
                for row, length in enumerate(batch):
                    ids[row, width - length :] = torch.randint(3, VOCABULARY, (length,))
                    mask[row, width - length :] = 1
                same = len(set(batch)) == 1
                keep = {} if llamarec else {"logits_to_keep": 1}
                logits = made(ids, attention_mask=None if same else mask, **keep).logits
                logits[:, -1, letters].argsort(descending=True)

    return call


def training(task):
    from peft import LoraConfig, get_peft_model

    bf16 = task.endswith("-bf16")
    llamarec = task.endswith("-llamarec")
    made = model("eager" if llamarec else "sdpa", torch.bfloat16 if bf16 else torch.float32, checkpointed=llamarec)
    if llamarec:
        made.enable_input_require_grads()
    lora = LoraConfig(r=8, lora_alpha=32, lora_dropout=0.05, target_modules=["q_proj", "v_proj"], bias="none")
    made = get_peft_model(made, lora).train()
    weights = [weight for weight in made.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=1e-4, weight_decay=0.0)
    ids = torch.randint(3, VOCABULARY, (2, 1024))
    labels = torch.full((2, 1024), -100)
    labels[:, -2:] = ids[:, -2:]

    def call():
        optimizer.zero_grad()
        if llamarec:
            loss = made(ids, labels=labels).loss
        else:
            logits = made(ids, logits_to_keep=3).logits
            loss = torch.nn.functional.cross_entropy(
                logits[:, :-1].reshape(-1, VOCABULARY).float(), labels[:, -2:].reshape(-1)
            )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()

    return call


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("task")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--lengths")
    parser.add_argument("--prompts", type=int, default=256)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    lengths = [int(line) for line in open(given.lengths)][: given.prompts] if given.lengths else []
    call = training(given.task) if given.task.startswith("train") else scoring(given.task, lengths)
    peak_before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if not given.task.startswith("spread"):
        call()  # warm
    seconds = []
    for _ in range(given.repeats):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    print(
        json.dumps(
            {
                "task": given.task,
                "seconds": statistics.median(seconds),
                "runs": seconds,
                "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                "before_mib": peak_before,
                "torch": torch.__version__,
            }
        )
    )


if __name__ == "__main__":
    main()
