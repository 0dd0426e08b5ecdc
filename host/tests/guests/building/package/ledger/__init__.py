# SPDX-License-Identifier: Apache-2.0
"""Accounts and what is posted to them."""

from .book import Book, Unbalanced

__all__ = ["Book", "Unbalanced"]
