"""`make sbom`: the installed packages -> a CycloneDX 1.6 document, each with version, licence and hashes of its lock.

    python -m scripts.sbom FILE

A package that no lock names is in it too, and told: its bytes were not checked when it was installed.
"""

from __future__ import annotations

import json
import re
import sys
from datetime import UTC, datetime
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any
from uuid import uuid4

ROOT = Path(__file__).resolve().parents[1]
OWN = "tuwen"


def locked_hashes() -> dict[tuple[str, str], set[str]]:
    """Normalised name and version -> the SHA-256 sums that the locks allow."""
    found: dict[tuple[str, str], set[str]] = {}
    for lock in sorted((ROOT / "requirements").glob("*.txt")):
        for block in re.split(r"\n(?=\S)", lock.read_text().strip()):
            pinned = re.match(r"([A-Za-z0-9._-]+)(?:\[.*?\])?==([^\s;\\]+)", block)
            if pinned:
                sums = set(re.findall(r"--hash=sha256:([0-9a-f]{64})", block))
                found.setdefault((normalised(pinned[1]), pinned[2]), set()).update(sums)
    return found


def normalised(name: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def component(one: Distribution, hashes: dict[tuple[str, str], set[str]]) -> dict[str, Any]:
    """A package as the document has it."""
    name, version = normalised(one.metadata["Name"]), one.version
    about: dict[str, Any] = {
        "type": "library",
        "bom-ref": f"{name}@{version}",
        "name": name,
        "version": version,
        "purl": f"pkg:pypi/{name}@{version}",
    }
    stated = [one.metadata[field] for field in ("License-Expression", "License") if field in one.metadata]
    licence = next(filter(None, stated), None)
    if licence and len(licence) < 200:  # some write the whole text there
        about["licenses"] = [{"license": {"name": licence.strip().splitlines()[0]}}]
    sums = hashes.get((name, version), set())
    about["properties"] = [{"name": "tuwen:locked", "value": str(bool(sums)).lower()}]
    about["hashes"] = [{"alg": "SHA-256", "content": one} for one in sorted(sums)]
    return about


def document() -> dict[str, Any]:
    """The packages of this environment."""
    hashes = locked_hashes()
    packages = {normalised(one.metadata["Name"]): one for one in distributions()}
    own = packages.pop(OWN, None)
    about = {"type": "application", "name": OWN, "version": own.version if own else "unknown"}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid4()}",
        "version": 1,
        "metadata": {"timestamp": datetime.now(UTC).isoformat(timespec="seconds"), "component": about},
        "components": [component(packages[name], hashes) for name in sorted(packages)],
    }


def main() -> int:
    """Write the document, and tell which packages no lock names."""
    made = document()
    file = Path(sys.argv[1] if len(sys.argv) > 1 else "sbom.json")
    file.write_text(json.dumps(made, indent=1) + "\n")
    loose = [one["bom-ref"] for one in made["components"] if not one["hashes"]]
    print(f"{file}: {len(made['components'])} packages; in no lock: {', '.join(loose) or 'none'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
