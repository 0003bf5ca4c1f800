"""Asks GPTCache, for each pair of questions on stdin, whether it serves the answer to `a` for `b`.

Run by bench_answers.py in an environment that has GPTCache; the argument is the folder of all-MiniLM-L6-v2. A fresh
cache for each pair: sqlite, faiss, its own SearchDistanceEvaluation and its default threshold.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import gptcache.utils
import numpy as np
import onnxruntime
from tokenizers import Tokenizer


def refuse(*packages: object, **options: object) -> None:
    raise SystemExit(f"GPTCache wanted to install {packages or options}")


gptcache.utils.prompt_install = refuse  # it would call pip in the middle of a measurement

from gptcache import Cache, Config  # noqa: E402
from gptcache.adapter.api import get, put  # noqa: E402
from gptcache.manager import CacheBase, VectorBase, get_data_manager  # noqa: E402
from gptcache.processor.pre import get_prompt  # noqa: E402
from gptcache.similarity_evaluation import SearchDistanceEvaluation  # noqa: E402

FOLDER = Path(sys.argv[1])
TOKENIZER = Tokenizer.from_file(str(FOLDER / "tokenizer.json"))
TOKENIZER.no_padding()
SESSION = onnxruntime.InferenceSession(str(FOLDER / "onnx" / "model.onnx"), providers=["CPUExecutionProvider"])


def embed(text: str, **_: object) -> np.ndarray:
    ids = np.array([TOKENIZER.encode(text).ids], dtype=np.int64)
    inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    mean = SESSION.run(None, inputs)[0][0].mean(axis=0)
    return np.asarray(mean / np.linalg.norm(mean), dtype=np.float32)


def opened(folder: str) -> Cache:
    cache = Cache()
    manager = get_data_manager(
        CacheBase("sqlite", sql_url=f"sqlite:///{folder}/cache.db"),
        VectorBase("faiss", dimension=384, index_path=f"{folder}/index"),
    )
    cache.init(
        pre_embedding_func=get_prompt,
        embedding_func=embed,
        data_manager=manager,
        similarity_evaluation=SearchDistanceEvaluation(),
        config=Config(),
    )
    return cache


def main() -> None:
    for line in sys.stdin:
        pair = json.loads(line)
        with tempfile.TemporaryDirectory() as folder:
            cache = opened(folder)
            put(pair["a"], "the answer to a", cache_obj=cache)
            start = time.perf_counter()
            served = get(pair["b"], cache_obj=cache)
            spent = 1000 * (time.perf_counter() - start)
        print(json.dumps({"hit": served is not None, "milliseconds": spent}), flush=True)


if __name__ == "__main__":
    main()
