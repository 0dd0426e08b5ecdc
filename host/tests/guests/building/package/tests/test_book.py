# SPDX-License-Identifier: Apache-2.0
import subprocess
import sys

import pytest

from ledger import Book, Unbalanced


@pytest.fixture
def book(tmp_path):
    return Book(tmp_path / "book.json")


def test_what_is_posted_is_the_balance(book):
    book.post(cash=-3, bread=3)
    book.post(cash=-2, milk=2)
    assert (book.balance("cash"), book.balance("rent")) == (-5, 0)


def test_what_does_not_add_up_is_refused(book):
    with pytest.raises(Unbalanced):
        book.post(cash=-3, bread=2)
    assert book.accounts == {}


def test_a_saved_book_is_read_again_and_replaced_whole(book):
    for _ in range(3):
        book.post(cash=-1, bread=1)
        book.save()
    assert Book(book.path).balance("bread") == 3
    assert [path.name for path in book.path.parent.iterdir()] == ["book.json"]


def test_the_command_prints_balances(book):
    book.post(cash=-3, bread=3)
    book.save()
    for command in (["ledger"], [sys.executable, "-c", "import ledger.command as c; c.main()"]):
        done = subprocess.run([*command, book.path], capture_output=True, text=True, check=True)
        assert done.stdout == "bread 3\ncash -3\n"
