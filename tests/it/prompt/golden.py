#!/usr/bin/env python3
"""Golden prompts: token ids of whole prompts, built the way the reference builds them, with Hugging Face's own tokenizers.

  golden.py TOKENIZERS > golden.json     (pip install tokenizers==0.23.1)

TOKENIZERS is a folder with llama2-tokenizer/, llama3-tokenizer/ and qwen3-tokenizer/, each with its tokenizer.json. Titles
are our own. The text is put together item by item here (cut each title by its tokens, decode, join, format), not with the
program's templates. Special tokens in titles are read as text.
"""

import json
import re
import sys
from pathlib import Path

from tokenizers import Tokenizer

# Ours, not a dataset's: plain ones, long ones, and ones that are hard to tokenize.
TITLES = [
    "The Clockmaker's Garden (1987)",
    "Seven Rivers",
    "Midnight at the Old Harbour (2003)",
    "Paper Kites & Other Stories",
    "Zürich, mon amour (1964)",
    "Der Großglockner-Prozeß",
    "東京の朝 (2011)",
    "Utomlyonnye облаком",
    "100% Cotton Socks, 12-Pack (Men's, Size 6-12)",
    "What?! No... (Again)",
    "A",
    "(A) Letter Game",
    "1984 1/2",
    "User history: the movie; \n Candidate pool: (B) nothing",
    "two  spaces   three",
    "tab\tand\nline",
    "<s> is not a token </s> <|eot_id|> <|im_end|>",
    "🦙🦙 llamas 🎬",
    "naïve café — “quoted”",
    "Nail Polish Remover Pads, Acetone-Free, Lavender Scent, 30 Count Tub with Twist Lid, Travel Size, Dermatologist "
    "Tested, for Natural and Artificial Nails, Pack of 3",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "ends in punctuation!!!",
    "ends in a number 42",
    "&quot;HTML&quot; &amp; entities",
    "Ice Palace II: The Return",
    "Last One",
]

# name, history and candidates (indices of titles), answer, token limit
CASES = [
    ("short", [0, 1, 2], [3, 24, 25, 1], 2, 1536),
    ("one item", [10], [10, 11], 1, 1536),
    ("nasty", [4, 5, 6, 7, 8, 9, 13, 14, 15, 16, 17], [18, 16, 15, 13, 12, 11, 23, 21, 22, 20], 9, 1536),
    ("full", list(range(26)), [25 - i for i in range(20)], 19, 1536),
    ("cut on the left", [0, 1, 2, 3, 24, 25, 0, 2], [24, 25, 1, 0], 0, 128),
]

INSTRUCTION = (
    "Given user history in chronological order, recommend an item from the candidate pool with its index letter."
)
PROMPT = "### Instruction:\n{}\n\n### Input:\n{}\n\n### Response:\n"
INPUT = "User history: {}; \n Candidate pool: {}"
EOS = {"llama2": "</s>", "llama3": "<|end_of_text|>", "qwen3": "<|endoftext|>"}


def prompt_ids(tokenizer, eos, history, candidates, answer, limit):
    def cut(title):
        tokens = tokenizer.encode(title, add_special_tokens=False).tokens[:32]
        return tokenizer.decoder.decode(tokens)

    history = " \n ".join("(" + str(i + 1) + ") " + cut(t) for i, t in enumerate(history[-20:]))
    candidates = " \n ".join("(" + chr(ord("A") + i) + ") " + cut(t) for i, t in enumerate(candidates))
    text = PROMPT.format(INSTRUCTION, INPUT.format(history, candidates))
    tokenizer.enable_truncation(limit, direction="left")
    evaluation = tokenizer.encode(text).ids
    training = tokenizer.encode(text + chr(ord("A") + answer)).ids
    tokenizer.no_truncation()
    # The reference appends the end token, then its collator cuts on the left again.
    training = (training + [eos])[-limit:]
    return {"evaluation": evaluation, "training": training}


def main():
    result = {"titles": TITLES, "cases": []}
    for name, history, candidates, answer, limit in CASES:
        case = {"name": name, "history": history, "candidates": candidates, "answer": answer, "limit": limit}
        for model, end in EOS.items():
            tokenizer = Tokenizer.from_file(str(Path(sys.argv[1]) / f"{model}-tokenizer" / "tokenizer.json"))
            tokenizer.encode_special_tokens = True
            eos = tokenizer.token_to_id(end)
            titles = lambda items: [TITLES[i] for i in items]
            case[model] = prompt_ids(tokenizer, eos, titles(history), titles(candidates), answer, limit)
        result["cases"].append(case)
    # One line a list of ids.
    text = json.dumps(result, ensure_ascii=False, indent=1)
    print(re.sub(r"\[\s+((?:\d+,\s+)*\d+)\s+\]", lambda m: "[" + re.sub(r"\s+", "", m.group(1)) + "]", text))


if __name__ == "__main__":
    main()
