# SPDX-License-Identifier: Apache-2.0
"""A book of accounts, kept in a file of JSON."""

import json
import os
import tempfile
from pathlib import Path

from tally import total


class Unbalanced(ValueError):
    """What is posted does not add up to nothing."""


class Book:
    """Accounts by name, each a list of amounts."""

    def __init__(self, path):
        self.path = Path(path)
        self.accounts = {}
        if self.path.exists():
            self.accounts = json.loads(self.path.read_text())

    def post(self, **amounts):
        if total(amounts.values()) != 0:
            raise Unbalanced(str(amounts))
        for name, amount in amounts.items():
            self.accounts.setdefault(name, []).append(amount)

    def balance(self, name):
        return total(self.accounts.get(name, []))

    def save(self):
        """Writes it whole or not at all."""
        handle, temporary = tempfile.mkstemp(dir=self.path.parent)
        with os.fdopen(handle, "w") as file:
            json.dump(self.accounts, file)
        os.replace(temporary, self.path)
