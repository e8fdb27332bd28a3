"""Small inputs that a fuzzer can begin with, written to seeds/: python seeds.py"""

import gzip
import hashlib
import io
import json
import struct
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent


def put(parser, name, data):
    path = ROOT / "seeds" / parser / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())


def safetensors(tensors, metadata=None):
    """{name: (dtype, shape, bytes)} as a safetensors file."""
    header, data = {}, b""
    if metadata:
        header["__metadata__"] = metadata
    for name, (dtype, shape, content) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def floats(*shape):
    count = 1
    for size in shape:
        count *= size
    return ("F32", list(shape), struct.pack(f"<{count}f", *[0.01 * (at % 7 - 3) for at in range(count)]))


put(
    "experiment",
    "all.toml",
    """name = "all"
seeds = [1, 2]
[dataset]
name = "synthetic"
users = 100
items = 50
[retriever]
kind = "lru"
dropout = 0.2
[evaluation]
cutoffs = [5, 10]
candidates = 20
averaging = "users"
[backbone]
name = "embedded:tiny"
quantization = "nf4"
[ranker]
learning_rate = 1e-4
lora_targets = ["q_proj", "v_proj"]
select_by = "ndcg@10"
""",
)
for name in ["quickstart", "quickstart-tiny", "games-llama-2-7b", "ml-100k-lrurec-reference"]:
    put("experiment", f"{name}.toml", (ROOT / f"../experiments/{name}.toml").read_bytes())
for path in sorted((ROOT / "../baselines").glob("*.toml")):
    put("baselines", path.name, path.read_bytes())
put("csv", "header", "user,item,rating,timestamp\na,x,5,10\na,y,3.5,11\nb,x,1,9\nb,y,2,12\n")
put("csv", "plain", "1,2,5.0,1e9\n1,3,4.0,1000000001\n2,2,3.0,5\n")
put("csv", "quoted", 'user,item\n"a, b","x ""y"""\nc,d\n')
put("titles", "titles", 'item,title\n1,One\n2,"Two, or more"\n3,\n')
put("recbole", "both", "user_id:token\titem_id:token\trating:float\ttimestamp:float\na\tx\t5\t1\nb\tx\t4\t2\n\n---\nitem_id:token\tmovie_title:token_seq\nx\tA title\n")
put("movielens", "both", "userId,movieId,rating,timestamp\n1,1,4.0,964982703\n1,3,4.0,964981247\n\n---\nmovieId,title,genres\n1,Toy Story (1995),Adventure\n3,\"Seven (a.k.a. Se7en) (1995), The\",Crime\n")
put(
    "meta",
    "both",
    "u,B1,5.0,1\nu,B2,5.0,2\n\n---\n"
    "{'asin': 'B1', 'title': \"It's\", 'price': 1.5, 'related': {'also_bought': ['B2', u'B3']}, 'salesRank': {'Beauty': 12}}\n"
    "{'asin': 'B2', 'title': 'T\\xe9a \\u2014 \\'x\\'', 'categories': [['a', 'b'], []], 'imUrl': None, 'ok': True, 'n': -1e-3}\n"
    '{"asin": "B3", "title": "json"}\n',
)
put("gzip", "one.gz", gzip.compress(b"{'asin': 'B1', 'title': 'One'}\n{'asin': 'B2', 'title': 'Two'}\n", mtime=0))
put("gzip", "two.gz", gzip.compress(b"{'asin': 'B1', 'title': 'One'}\n", mtime=0) + gzip.compress(b"{'asin': 'B2'}\n", mtime=0))
put("trec", "run", "0 Q0 2 1 0.5 x\n0 Q0 1 2 0.25 x\n1 Q0 3 1 -1e3 x\n")
put("lists", "scores.csv", "user,item,score\n0,1,3\n0,5,2\n1,2,1e-3\n")
put("lists", "ranks.csv", "user,item,rank\n0,1,1\n0,5,2\n1,2,1\n")
MODEL = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4, "intermediate_size": 4, "num_hidden_layers": 1,
    "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 2, "vocab_size": 5, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
    "max_position_embeddings": 16, "tie_word_embeddings": True, "hidden_act": "silu",
}
put("config", "llama.json", json.dumps(MODEL))
scaling = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
put("config", "llama3.json", json.dumps({**MODEL, "rope_scaling": scaling, "tie_word_embeddings": False}))
put("config", "qwen2.json", json.dumps({**MODEL, "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "use_sliding_window": False}))
layer = "model.layers.0."
put(
    "weights",
    "tiny.safetensors",
    safetensors(
        {
            "model.embed_tokens.weight": floats(5, 4),
            "model.norm.weight": floats(4),
            layer + "input_layernorm.weight": floats(4),
            layer + "post_attention_layernorm.weight": floats(4),
            layer + "self_attn.q_proj.weight": floats(4, 4),
            layer + "self_attn.k_proj.weight": floats(2, 4),
            layer + "self_attn.v_proj.weight": floats(2, 4),
            layer + "self_attn.o_proj.weight": floats(4, 4),
            layer + "mlp.gate_proj.weight": floats(4, 4),
            layer + "mlp.up_proj.weight": floats(4, 4),
            layer + "mlp.down_proj.weight": floats(4, 4),
        },
        {"format": "pt"},
    ),
)
put(
    "tokenizer",
    "bytes.json",
    json.dumps(
        {
            "version": "1.0", "truncation": None, "padding": None, "normalizer": None, "post_processor": None,
            "added_tokens": [{"id": 0, "content": "<s>", "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}],
            "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
            "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
            "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
                      "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                      "vocab": {"<s>": 0, "T": 1, "h": 2, "e": 3, "Th": 4}, "merges": [["T", "h"]]},
        }
    ),
)
lora = {"base_model_name_or_path": "x", "peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 1, "lora_alpha": 2, "lora_dropout": 0.1,
        "target_modules": ["q_proj"], "bias": "none", "inference_mode": True}
prefix = "base_model.model.model.layers.0.self_attn.q_proj."
put(
    "adapter",
    "lora",
    json.dumps(lora).encode() + b"\n\n---\n"
    + safetensors({prefix + "lora_A.weight": floats(1, 4), prefix + "lora_B.weight": floats(4, 1)}),
)
put(
    "manifest",
    "retrieval.json",
    json.dumps(
        {
            "version": 1, "stage": "retrieval", "key": "0" * 64, "experiments": ["a"], "retriever": "lru", "seed": 1,
            "dataset": {"name": "beauty", "users": 2, "items": 3, "interactions": 6, "mean_length": 3.0, "density": 1.0, "split_fingerprint": "ab"},
            "code": {"version": "0.1.0", "stage_version": 1}, "machine": {"platform": "linux x86_64", "threads": 1, "cpu_features": ""},
            "times": {"started": "2026-01-01T00:00:00Z", "finished": "2026-01-01T00:00:01Z", "wall_seconds": {"train": 1.0}},
            "files": {"retrieval.safetensors": {"bytes": 1, "sha256": "00"}},
        }
    ),
)
words = lambda *values: struct.pack(f"<{len(values)}I", *values)
put(
    "store",
    "retrieval.safetensors",
    safetensors(
        {
            f"{part}.{name}": tensor
            for part in ("test", "validation")
            for name, tensor in {
                "candidates": ("U32", [2, 2], words(1, 2, 2, 3)), "ranks": ("U32", [2], words(1, 3)),
                "scores": floats(2, 2), "targets": ("U32", [2], words(1, 1)),
            }.items()
        }
    ),
)
put("results", "results.json", (ROOT / "../reports/quickstart-tiny/results.json").read_bytes())
put(
    "claim",
    "claim",
    json.dumps(
        {
            "version": 2, "token": "a" * 32, "host": "node1", "pid": 7, "machine": "0" * 16, "boot": None, "namespace": None,
            "process_start": 1, "since": "2026-01-01T00:00:00Z", "lease_ms": 60000,
        }
    )[:-1]
    + " ",
)
put(
    "checkpoint",
    "train.safetensors",
    safetensors(
        {"weights": floats(2)},
        {"bench": json.dumps({"format": 2, "key": "0", "part": "train", "resumed": 0, "seconds": 1.0, "words": "{}", "sha256": "0"})},
    ),
)
for path in (ROOT / "../tests/it/slurm/fixtures").iterdir():
    put("queue", path.name, path.read_bytes())
resources = {"cpus": 2, "memory_mib": 512, "minutes": 15, "gpus": 0}
task = {"index": 0, "experiment": "a", "file": "a.toml", "seed": 42, "key": "0" * 64}
put(
    "submission",
    "submission.json",
    json.dumps(
        {
            "version": 1, "name": "a", "created": "2026-01-01T00:00:00Z", "bench": "0.1.0", "program": "/bin/bench", "directory": "/d",
            "folders": {"data": "/d/data", "runs": "/d/runs", "reports": "/d/reports"}, "files": ["a.toml"], "overrides": [],
            "wishes": {"partition": "cpu", "requeue": True, "cpus": 2}, "report": "43",
            "batches": [
                {"name": "retrieval-0", "step": "retrieval", "resources": resources, "after": [], "job": "42", "tasks": [task]},
                {"name": "ranking-0", "step": "ranking", "resources": resources, "after": [{"same": 0}], "job": "43", "tasks": [task]},
            ],
        }
    ),
)
archive = io.BytesIO()
with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
    content = b'{"schema": "bench.bundle/1", "experiments": [], "left_out": {}}'
    out.writestr("bundle.json", content)
    out.writestr("SHA256SUMS", f"{hashlib.sha256(content).hexdigest()}  bundle.json\n")
put("bundle", "one.zip", archive.getvalue())
