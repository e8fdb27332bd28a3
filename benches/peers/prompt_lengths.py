#!/usr/bin/env python3
"""The token lengths of 256 evaluation prompts of ML-100K with Llama 2's tokenizer: benches/ranker/ml-100k-lengths.txt.

  prompt_lengths.py SEQUENCES.tsv.gz TITLES.jsonl.gz TOKENIZER.json > ml-100k-lengths.txt   (pip install tokenizers==0.23.1)

Sequences and titles are those of the reference's preprocessing (CONTRIBUTING.md says where they come from). Each of the 256
users, drawn with seed 0, has the last 20 items as history and 20 random items as candidates. Only lengths are written:
no text of the dataset.
"""

import gzip
import json
import random
import sys

from tokenizers import Tokenizer

PROMPT = (
    "### Instruction:\nGiven user history in chronological order, recommend an item from the candidate pool with its index "
    "letter.\n\n### Input:\nUser history: {}; \n Candidate pool: {}\n\n### Response:\n"
)


def main():
    sequences, titles, tokenizer = sys.argv[1:4]
    tokenizer = Tokenizer.from_file(tokenizer)
    names = {}
    for line in gzip.open(titles, "rt", encoding="utf-8"):
        entry = json.loads(line)
        names[int(entry[0])] = entry[-1]
    users = [
        [int(item) for item in line.rstrip("\n").split("\t")[1].split()]
        for line in gzip.open(sequences, "rt", encoding="utf-8")
    ]

    def cut(title):
        ids = tokenizer.encode(title, add_special_tokens=False).ids[:32]
        return tokenizer.decode(ids)

    draw = random.Random(0)
    items = sorted(names)
    for user in draw.sample(users, 256):
        history = " \n ".join(f"({at + 1}) {cut(names[item])}" for at, item in enumerate(user[:-1][-20:]))
        pool = " \n ".join(f"({chr(65 + at)}) {cut(names[item])}" for at, item in enumerate(draw.sample(items, 20)))
        print(len(tokenizer.encode(PROMPT.format(history, pool)).ids))


if __name__ == "__main__":
    main()
