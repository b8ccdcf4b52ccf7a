"""Runs a part of a test file's cases: part.py FILE K N takes every N-th one, from the K-th on (1 to N). Files of which most
is waiting are run in parts, side by side."""

import importlib.util
import sys
import unittest
from pathlib import Path


def cases(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from cases(test)
        else:
            yield test


file, part, parts = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
sys.path.insert(0, str(file.parent))
spec = importlib.util.spec_from_file_location(file.stem, file)
module = sys.modules[file.stem] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
mine = list(cases(unittest.defaultTestLoader.loadTestsFromModule(module)))[part - 1::parts]
if not mine:
    sys.exit(f"{file} has no cases for part {part} of {parts}")
sys.exit(not unittest.TextTestRunner(verbosity=2).run(unittest.TestSuite(mine)).wasSuccessful())
