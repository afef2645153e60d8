"""`make audit`: every pinned package -> whether a known vulnerability is on record, and how many could be asked about.

Uses pip-audit in an environment of its own. A package that the service did not know, or a service that could not be
reached, is no good news: it ends with 1 unless every package was audited and none was found wanting.
"""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PLACE = ROOT / "var" / "audit"
LOCKS = ("runtime.txt", "torch.txt", "traces.txt", "dev.txt")
SECONDS = 300


@dataclass(frozen=True)
class Audit:
    """What the service said."""

    packages: int
    audited: int
    vulnerable: tuple[str, ...]

    def __str__(self) -> str:
        found = f": {', '.join(self.vulnerable)}" if self.vulnerable else ""
        return f"audited {self.audited} of {self.packages} packages, {len(self.vulnerable)} vulnerable{found}"

    @property
    def is_good(self) -> bool:
        """Nothing found, and everything asked."""
        return self.audited == self.packages > 0 and not self.vulnerable


def audited(report: str) -> Audit:
    """The JSON of pip-audit, counted."""
    packages = {one["name"]: one for one in json.loads(report)["dependencies"]}
    asked = {name: one for name, one in packages.items() if "skip_reason" not in one}
    return Audit(len(packages), len(asked), tuple(sorted(name for name, one in asked.items() if one["vulns"])))


def audit() -> Audit:
    """Ask about every package of the locks. Raises CalledProcessError where pip-audit cannot be installed."""
    program = PLACE / "bin" / "pip-audit"
    if not program.exists():
        venv.create(PLACE, with_pip=True)
        subprocess.run([PLACE / "bin" / "pip", "install", "--quiet", "pip-audit"], check=True)
    locks = [argument for lock in LOCKS for argument in ("-r", str(ROOT / "requirements" / lock))]
    command = [str(program), "--disable-pip", "--format=json", "--progress-spinner=off", *locks]
    return audited(subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False).stdout)


def main() -> int:
    """Say it, and end with 1 unless all is well."""
    found = audit()
    print(found)
    return 0 if found.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
