# SPDX-License-Identifier: Apache-2.0
"""Runs CPython's own tests (`python3 -m test ARGS`) and tells of each case as it happens.

One line of JSON to stdout when a case begins and one for each thing that is said of it; what the
tests themselves print goes to stderr. So of a run that hangs or dies all is known up to there, and
in which case it was.
"""

import json
import os
import runpy
import sys

from test.support import testresult

told = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)


def tell(test, result, why=""):
    # A subtest counts for its case. What has no id is a module or class that was set up.
    test = getattr(test, "test_case", test)
    told.write(json.dumps({"case": test.id(), "result": result, "why": why}) + "\n")


def shown(error):
    kind, value, _ = error
    first = str(value).strip().partition("\n")[0]
    return f"{kind.__name__}: {first}"


class Result(testresult.RegressionTestResult):
    def startTest(self, test):
        tell(test, "begun")
        super().startTest(test)

    def addSuccess(self, test):
        tell(test, "ok")
        super().addSuccess(test)

    def addSkip(self, test, reason):
        tell(test, "skipped", reason)
        super().addSkip(test, reason)

    def addError(self, test, err):
        tell(test, "failed", shown(err))
        super().addError(test, err)

    def addFailure(self, test, err):
        tell(test, "failed", shown(err))
        super().addFailure(test, err)

    def addSubTest(self, test, subtest, err):
        if err is not None:
            tell(test, "failed", shown(err))
        super().addSubTest(test, subtest, err)

    def addExpectedFailure(self, test, err):
        tell(test, "ok", "an expected failure")
        super().addExpectedFailure(test, err)

    def addUnexpectedSuccess(self, test):
        tell(test, "failed", "an unexpected success")
        super().addUnexpectedSuccess(test)


testresult.RegressionTestResult = Result
sys.argv[0] = "test"
runpy.run_module("test", run_name="__main__", alter_sys=False)
