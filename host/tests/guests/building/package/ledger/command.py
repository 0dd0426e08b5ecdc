# SPDX-License-Identifier: Apache-2.0
"""`ledger FILE`: the balances of a book."""

import sys

from .book import Book


def main():
    book = Book(sys.argv[1])
    for name in sorted(book.accounts):
        print(name, book.balance(name))
