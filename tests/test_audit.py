"""What `make audit` says of what pip-audit reported."""

from __future__ import annotations

import json

from scripts.audit import audited

ASKED = {"name": "asked", "version": "1", "vulns": []}
WANTING = {"name": "wanting", "version": "1", "vulns": [{"id": "CVE-2030-1", "fix_versions": ["2"]}]}
SKIPPED = {"name": "skipped", "skip_reason": "Dependency not found on PyPI and could not be audited: skipped (1)"}


def report(*packages: dict[str, object]) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


def test_only_what_was_asked_about_counts_as_audited():
    found = audited(report(ASKED, SKIPPED))

    assert str(found) == "audited 1 of 2 packages, 0 vulnerable"
    assert not found.is_good


def test_an_audit_that_reached_nobody_is_not_good():
    assert not audited(report(SKIPPED)).is_good
    assert not audited(report()).is_good


def test_a_vulnerable_package_is_named():
    found = audited(report(ASKED, WANTING))

    assert str(found) == "audited 2 of 2 packages, 1 vulnerable: wanting"
    assert not found.is_good


def test_all_asked_and_none_wanting_is_good():
    assert audited(report(ASKED)).is_good
