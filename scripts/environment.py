"""requirements/*.txt -> .venv: every package by its hash, only what changed, one line a step. Called by setup.sh.

Standard library only: it runs before anything is installed.
"""

import fcntl
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements"
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOG = VENV / "install.log"
DONE = VENV / "installed.json"
BEGUN = VENV / "installing"  # there while a step is under way: pip takes half a package for a whole one
LAST_LINES = 15
PIP = [
    str(PYTHON),
    "-m",
    "pip",
    "install",
    "--quiet",
    "--no-input",
    "--disable-pip-version-check",
    "--no-warn-script-location",
]


def say(text: str) -> None:
    """One line for the person who waits."""
    print(f"tuwen: {text}", flush=True)


def take_turn() -> int:
    """Wait until no other set-up works on this folder; the lock lasts as long as this file stays open somewhere."""
    folder = os.open(ROOT, os.O_RDONLY)
    os.set_inheritable(folder, True)  # a pip that outlives its killed set-up keeps the next one waiting
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("another set-up of this folder is running; waiting for it")
        fcntl.flock(folder, fcntl.LOCK_EX)
    return folder


def logged(command: list[str]) -> bool:
    """Run a command with its output in the log; whether it worked."""
    with LOG.open("a") as log:
        print(f"\n$ {' '.join(command)}", file=log, flush=True)
        return subprocess.run(command, cwd=ROOT, stdout=log, stderr=log, close_fds=False, check=False).returncode == 0


def locked(*names: str) -> list[str]:
    """The pip command that installs these locks, every file checked against its hash."""
    return [
        *PIP,
        "--no-deps",
        "--require-hashes",
        *(part for name in names for part in ("-r", str(REQUIREMENTS / name))),
    ]


def install_torch() -> bool:
    """The CPU build where pip finds it (Linux only has one apart), else the default build with what it needs."""
    if sys.platform != "linux":
        return logged(locked("torch.txt"))
    if logged(locked("torch-cpu.txt")):
        return True
    say("pip finds no CPU build of torch; taking the default build with its CUDA libraries, some gigabytes")
    return logged(locked("torch.txt", "torch-cuda.txt"))


def install_project() -> bool:
    """The `tuwen` command and the packages of this folder, built with the locked setuptools."""
    return logged([*PIP, "--no-deps", "--no-build-isolation", "--editable", str(ROOT)])


# What is done, the files that bring it up again when they change, and how.
Step = tuple[str, list[Path], Callable[[], bool]]
RUNTIME_LOCK: Step = (
    "the packages of requirements/runtime.txt",
    [REQUIREMENTS / "runtime.txt"],
    lambda: logged(locked("runtime.txt")),
)
TORCH: Step = ("torch", sorted(REQUIREMENTS.glob("torch*.txt")), install_torch)
PROJECT: Step = ("tuwen itself", [ROOT / "pyproject.toml"], install_project)
DEV_LOCK: Step = (
    "the packages of requirements/dev.txt",
    [REQUIREMENTS / "dev.txt"],
    lambda: logged(locked("dev.txt")),
)
TRACES_LOCK: Step = (
    "the packages of requirements/traces.txt",
    [REQUIREMENTS / "traces.txt"],
    lambda: logged(locked("traces.txt")),
)
BENCH_LOCK: Step = (
    "the packages of requirements/bench.txt",
    [REQUIREMENTS / "bench.txt"],
    lambda: logged(locked("bench.txt")),
)
STEPS = {
    "packages": [RUNTIME_LOCK, TORCH],
    "runtime": [RUNTIME_LOCK, TORCH, PROJECT],
    "traces": [RUNTIME_LOCK, TORCH, PROJECT, TRACES_LOCK],
    "dev": [RUNTIME_LOCK, TORCH, PROJECT, DEV_LOCK],
    "bench": [RUNTIME_LOCK, TORCH, PROJECT, DEV_LOCK, BENCH_LOCK],
}


def venv_version() -> str | None:
    """The version of .venv's Python, None when there is none that runs."""
    try:
        answer = subprocess.run([PYTHON, "-c", "import pip, sys; print(sys.version)"], capture_output=True, text=True)
    except OSError:
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None


def make_venv() -> str:
    """Make .venv anew with the Python that runs this."""
    if BEGUN.exists():
        say("the last set-up was interrupted")
    say(f"making .venv with Python {sys.version.split()[0]}")
    answer = subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], capture_output=True, text=True)
    version = venv_version()
    if version is None:
        sys.exit(f"tuwen: .venv cannot be made:\n{answer.stdout}{answer.stderr}")
    return version


def digest(files: list[Path], version: str) -> str:
    """What a step was done with: the files' content, the Python, and this folder, whose path the scripts carry."""
    content = b"\0".join(file.read_bytes() for file in files)
    return hashlib.sha256(content + f"\0{version}\0{ROOT}".encode()).hexdigest()


def done_steps() -> dict[str, str]:
    """The digest of every finished step."""
    try:
        return dict(json.loads(DONE.read_text()))
    except (OSError, ValueError):
        return {}


def do(step: Step, version: str) -> None:
    """Do one step unless it is done."""
    name, files, install = step
    done, wanted = done_steps(), digest(files, version)
    if done.get(name) == wanted:
        return
    say(f"installing {name}")
    BEGUN.touch()
    worked = install()
    BEGUN.unlink()
    if not worked:
        tail = "\n".join(LOG.read_text(errors="replace").splitlines()[-LAST_LINES:])
        sys.exit(f"{tail}\ntuwen: {name} could not be installed; the whole log is {LOG}")
    unfinished = DONE.with_suffix(".new")
    unfinished.write_text(json.dumps(done | {name: wanted}, indent=1))
    unfinished.replace(DONE)


def main() -> None:
    """Do what is missing."""
    take_turn()
    version = None if BEGUN.exists() else venv_version()
    if version is None:
        version = make_venv()
    LOG.write_text("")
    for step in STEPS[sys.argv[1]]:
        do(step, version)


if __name__ == "__main__":
    main()
