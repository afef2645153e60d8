"""requirements/*.in -> requirements/*.txt: every package pinned, every file named by its SHA-256 (`make lock`).

torch stands in locks of its own, because Linux has two builds of it: the CPU build (`torch-cpu.txt`, wherever pip is
told to find it) needs nothing more; the registry's default build (`torch.txt`) needs the CUDA libraries of
`torch-cuda.txt` even on a machine without a GPU.
"""

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

REQUIREMENTS = Path(__file__).parent.parent / "requirements"
TORCH = "torch==2.13.0"
# PyTorch's own CPU build, for CPython 3.11 on Linux x86-64; pip must be asked for it by its full version.
TORCH_CPU_BUILD = "sha256:6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b"
CUDA_PREFIXES = ("nvidia-", "cuda-", "triton")


def resolve(source: Path, *, beside: Sequence[Path] = ()) -> dict[str, list[str]]:
    """Resolve `source` for every platform; the pinned blocks (requirement line + hashes) by package name.

    The pins of the locks `beside` it are kept.
    """
    constraint = REQUIREMENTS / ".torch-constraint.tmp"
    constraint.write_text(TORCH + "\n")
    command = ["uv", "pip", "compile", str(source), "-c", str(constraint), "--python-version", "3.11", "--universal"]
    command += [word for lock in beside for word in ("-c", str(lock))]
    command += ["--generate-hashes", "--no-header", "--no-annotate", "--no-emit-index-url", "--quiet"]
    try:
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    except subprocess.CalledProcessError as failure:
        sys.exit(f"lock: uv could not resolve {source.name}:\n{failure.stderr}")
    finally:
        constraint.unlink()
    blocks: dict[str, list[str]] = {}
    for block in re.split(r"\n(?=[a-z0-9])", output.strip()):
        blocks.setdefault(re.split(r"[=\[ ]", block)[0], []).append(block)
    return blocks


def write(name: str, blocks: list[str]) -> None:
    """Write one lock file."""
    (REQUIREMENTS / name).write_text("\n".join(blocks) + "\n")
    print(f"requirements/{name}: {len(blocks)} pins")


def main() -> None:
    """Write the locks: runtime, what tests and traces add, torch's two builds, and the CUDA libraries of one."""
    runtime, everything = resolve(REQUIREMENTS / "runtime.in"), resolve(REQUIREMENTS / "dev.in")
    traces = resolve(REQUIREMENTS / "traces.in")
    heavy = {name for name in everything if name == "torch" or name.startswith(CUDA_PREFIXES)}
    write("runtime.txt", [b for name in everything if name in runtime and name not in heavy for b in everything[name]])
    write("dev.txt", [b for name in everything if name not in runtime for b in everything[name]])
    write("traces.txt", [b for name in everything if name in traces and name not in runtime for b in everything[name]])
    bench = resolve(REQUIREMENTS / "bench.in", beside=[REQUIREMENTS / "runtime.txt", REQUIREMENTS / "dev.txt"])
    write("bench.txt", [b for name in bench if name not in everything for b in bench[name]])
    write("torch.txt", everything["torch"])
    write("torch-cpu.txt", [f"{TORCH}+cpu --hash={TORCH_CPU_BUILD}"])
    write("torch-cuda.txt", [b for name in sorted(heavy - {"torch"}) for b in everything[name]])


if __name__ == "__main__":
    main()
