"""No room for a generation: the old one serves on, and the message says what to do."""

import subprocess
import sys
from pathlib import Path

import pytest

from app.candidates.generation import GenerationFolder
from tests.candidates.test_generation import write

ROOT = Path(__file__).parents[2]
# A process that may write no file larger than the limit, as on a disk with that much room.
SCRIPT = """
import resource, sys
from pathlib import Path
from app.candidates.generation import GenerationFolder
from app.errors import Unavailable
from tests.candidates.test_generation import write
from tests.candidates.worlds import contents
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
try:
    write(GenerationFolder(Path(sys.argv[1])), contents(posts=3000))
except Unavailable as error:
    print(error.message)
"""


@pytest.mark.parametrize("limit", [100, 20_000, 60_000, 90_000])
def test_a_generation_that_does_not_fit_leaves_the_old_one_serving(tmp_path, limit):
    folder = GenerationFolder(tmp_path / "generations")
    good = write(folder)
    folder.promote(good)

    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "generations"), str(limit)]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert "free space in" in told
    assert folder.ids() == [good]
    assert folder.current() == good
    assert not list((tmp_path / "generations").glob(".building-*"))
    folder.load(good)
