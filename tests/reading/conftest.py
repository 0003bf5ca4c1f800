"""The folders and the opener of tests/support/knowledge.py."""

from tests.support.knowledge import folder, opened, without_embedder

__all__ = ["folder", "opened", "without_embedder"]
