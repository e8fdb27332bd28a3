"""The kernels as PTX for any NVIDIA device from compute capability 8.0 on, written to retriever.ptx.gz and ranker.ptx.gz:

    pip install nvidia-cuda-nvrtc-cu12==12.0.140
    python src/cuda/kernels/compile.py

NVRTC 12.0 writes PTX 8.0, which drivers from 525 on take. The program needs no NVRTC: the files are part of it, and a test holds the hash in the
first line of each against the sources. No device is needed here.
"""

import ctypes
import gzip
import hashlib
import importlib.util
from pathlib import Path

PARTS = {
    "retriever": ["common.cuh", "rows.cu", "scan.cu", "product.cu", "cross_entropy.cu", "adamw.cu", "catalogue.cu"],
    "ranker": ["common.cuh", "layers.cu", "lora.cu", "quant.cu", "matmul.cu", "attention.cu"],
}
OPTIONS = ["--gpu-architecture=compute_80", "--fmad=false", "--std=c++17"]

folder = Path(__file__).parent
package = Path(importlib.util.find_spec("nvidia.cuda_nvrtc").submodule_search_locations[0])
nvrtc = ctypes.CDLL(str(package / "lib" / "libnvrtc.so.12"))


def text(program, size_of, get):
    size = ctypes.c_size_t()
    size_of(program, ctypes.byref(size))
    buffer = ctypes.create_string_buffer(size.value)
    get(program, buffer)
    return buffer.value


def compile(name, files):
    source = b"".join((folder / file).read_bytes() for file in files)
    program = ctypes.c_void_p()
    assert nvrtc.nvrtcCreateProgram(ctypes.byref(program), source, b"bench.cu", 0, None, None) == 0
    options = (ctypes.c_char_p * len(OPTIONS))(*(option.encode() for option in OPTIONS))
    failed = nvrtc.nvrtcCompileProgram(program, len(OPTIONS), options)
    print(text(program, nvrtc.nvrtcGetProgramLogSize, nvrtc.nvrtcGetProgramLog).decode(), end="")
    assert not failed, "NVRTC refused the kernels"
    ptx = text(program, nvrtc.nvrtcGetPTXSize, nvrtc.nvrtcGetPTX)
    head = f"// sources: {hashlib.sha256(source).hexdigest()}\n".encode()
    packed = gzip.compress(head + ptx, compresslevel=9, mtime=0)
    (folder / f"{name}.ptx.gz").write_bytes(packed)
    print(f"{name}: {len(ptx)} bytes of PTX, {len(packed)} packed")


for name, files in PARTS.items():
    compile(name, files)
