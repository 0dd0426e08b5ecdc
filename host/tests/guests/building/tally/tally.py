# SPDX-License-Identifier: Apache-2.0
"""What amounts come to."""


def total(amounts):
    return sum(amounts)
