"""The expected values of rope.json: rotary frequencies as transformers computes them.

Made with torch 2.15.0 and transformers 5.0.0 on a CPU: python rope.py > rope.json
"""

import json

from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

LLAMA3 = {"rope_type": "llama3", "low_freq_factor": 1.0, "high_freq_factor": 4.0}
CASES = {
    "plain": {"head_dim": 16, "rope_theta": 10000.0},
    "Llama 3": {"head_dim": 128, "rope_theta": 500000.0},
    "Llama 3.1": {
        "head_dim": 128,
        "rope_theta": 500000.0,
        "rope_scaling": {**LLAMA3, "factor": 8.0, "original_max_position_embeddings": 8192},
        "max_position_embeddings": 131072,
    },
    "Llama 3.2": {
        "head_dim": 64,
        "rope_theta": 500000.0,
        "rope_scaling": {**LLAMA3, "factor": 32.0, "original_max_position_embeddings": 8192},
        "max_position_embeddings": 131072,
    },
    "linear": {"head_dim": 32, "rope_theta": 10000.0, "rope_scaling": {"type": "linear", "factor": 4.0}},
    "dynamic": {"head_dim": 32, "rope_theta": 10000.0, "rope_scaling": {"type": "dynamic", "factor": 4.0}},
    "Qwen 2.5 with YaRN": {
        "head_dim": 128,
        "rope_theta": 1000000.0,
        "rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768},
        "max_position_embeddings": 131072,
    },
    "YaRN with everything": {
        "head_dim": 64,
        "rope_theta": 10000.0,
        "rope_scaling": {
            "rope_type": "yarn",
            "factor": 40.0,
            "mscale": 0.707,
            "mscale_all_dim": 0.5,
            "beta_fast": 16.0,
            "beta_slow": 2.0,
            "truncate": False,
            "original_max_position_embeddings": 4096,
        },
        "max_position_embeddings": 163840,
    },
}

cases = []
for name, config in CASES.items():
    config = {"max_position_embeddings": 2048, **config}
    # The sizes that every description must have; frequencies do not depend on them.
    sizes = {"hidden_size": 64, "intermediate_size": 64, "vocab_size": 64, "num_hidden_layers": 1}
    sizes |= {"num_attention_heads": 2, "num_key_value_heads": 2, "model_type": "llama"}
    rope = LlamaRotaryEmbedding(LlamaConfig(**json.loads(json.dumps(sizes | config))))
    cases.append(
        {
            "name": name,
            "config": sizes | config,
            "inverse_frequencies": rope.inv_freq.tolist(),
            "attention_factor": rope.attention_scaling,
        }
    )
print(json.dumps(cases, separators=(",", ":")).replace("},{", "},\n{"))
