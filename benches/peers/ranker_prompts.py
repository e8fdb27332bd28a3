#!/usr/bin/env python3
"""Training prompts made the reference's way: the peer that the crate's prompts are timed against.

For every sample: each title is tokenized, cut, and decoded back; the text is put together; the whole prompt is tokenized and
cut on the left; the end token is appended and the result cut again. Nothing is kept from one sample to the next, as in the
reference's data loader. Once with transformers' fast tokenizer, as the reference does, and once with the tokenizers package
alone, which is the quickest that the same steps can be done from Python.

  ranker_prompts.py tokenizer.json input.json ids.json      prints prompts per second of processor time, writes the ids
"""

import json
import sys
import time

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

INSTRUCTION = (
    "Given user history in chronological order, recommend an item from the candidate pool with its index letter."
)
PROMPT = "### Instruction:\n{}\n\n### Input:\n{}\n\n### Response:\n{}"
INPUT = "User history: {}; \n Candidate pool: {}"


def text_of(sample, titles, cut):
    history = " \n ".join("(" + str(i + 1) + ") " + cut(titles[t]) for i, t in enumerate(sample["history"]))
    candidates = " \n ".join(
        "(" + chr(ord("A") + i) + ") " + cut(titles[t]) for i, t in enumerate(sample["candidates"])
    )
    answer = chr(ord("A") + sample["answer"])
    return PROMPT.format(INSTRUCTION, INPUT.format(history, candidates), answer)


def with_transformers(path, data):
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=path, truncation_side="left")
    limit, keep, eos = data["max_prompt_tokens"], data["title_tokens"], data["eos"]

    def cut(title):
        return tokenizer.convert_tokens_to_string(tokenizer.tokenize(title)[:keep])

    def prompt(sample):
        text = text_of(sample, data["titles"], cut)
        ids = tokenizer(text, truncation=True, max_length=limit, padding=False, return_tensors=None)["input_ids"]
        ids.append(eos)
        return ids[-limit:]

    return timed(prompt, data["samples"])


def with_tokenizers(path, data):
    tokenizer = Tokenizer.from_file(path)
    whole = Tokenizer.from_file(path)
    limit, keep, eos = data["max_prompt_tokens"], data["title_tokens"], data["eos"]
    whole.enable_truncation(limit, direction="left")

    def cut(title):
        return tokenizer.decoder.decode(tokenizer.encode(title, add_special_tokens=False).tokens[:keep])

    def prompt(sample):
        ids = whole.encode(text_of(sample, data["titles"], cut)).ids
        ids.append(eos)
        return ids[-limit:]

    return timed(prompt, data["samples"])


def timed(prompt, samples):
    for sample in samples[:20]:
        prompt(sample)
    start = time.process_time()
    ids = [prompt(sample) for sample in samples]
    return ids, len(samples) / (time.process_time() - start)


def main():
    path, source, target = sys.argv[1:]
    with open(source, encoding="utf-8") as file:
        data = json.load(file)
    ids, plain = with_tokenizers(path, data)
    same, full = with_transformers(path, data)
    if ids != same:
        sys.exit("transformers and tokenizers give different ids")
    with open(target, "w", encoding="utf-8") as file:
        json.dump(ids, file)
    print(json.dumps({"transformers": full, "tokenizers": plain}))


if __name__ == "__main__":
    main()
