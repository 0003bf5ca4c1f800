"""The exact cache: what was asked word for word before is not asked again. Calls of models, pages, web searches.

What is not covered: questions that mean the same in other words; that is the room `answers`.
"""

from __future__ import annotations
