"""Logits of a backbone with an adapter, by transformers and PEFT: MODEL ADAPTER, token ids of a prompt a line on stdin."""

import sys

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

torch.manual_seed(0)
model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32, attn_implementation="eager")
model = PeftModel.from_pretrained(model, sys.argv[2]).eval()
with torch.no_grad():
    for line in sys.stdin:
        ids = torch.tensor([[int(word) for word in line.split()]])
        print(" ".join(repr(x) for x in model(ids).logits[0, -1].tolist()))
