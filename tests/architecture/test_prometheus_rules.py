"""What docker/prometheus ships is sound: promtool accepts it, and every alert is tested, graded, explained and on a page."""

from __future__ import annotations

import re

import pytest

from tests.support.prometheus import CONFIGURATION, PROMTOOL, ROOT, promtool

FOLDER = CONFIGURATION.parent
ALERTS = (FOLDER / "rules/alerts.yml").read_text()
TESTS = "".join(path.read_text() for path in sorted((FOLDER / "tests").glob("*.yml")))
NAMES = re.findall(r"- alert: (\w+)", ALERTS)

needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="this needs the Debian package prometheus")


@needs_promtool
def test_promtool_accepts_configuration_and_rules():
    checked = promtool("check", "config", "prometheus.yml")

    assert (checked.returncode, checked.stderr) == (0, "")
    assert "SUCCESS: 2 rule files found" in checked.stdout


@needs_promtool
def test_the_unit_tests_of_the_rules_pass():
    files = sorted(str(path.relative_to(FOLDER)) for path in (FOLDER / "tests").glob("*.yml"))

    ran = promtool("test", "rules", *files)

    assert (ran.returncode, ran.stderr) == (0, ""), ran.stdout
    assert ran.stdout.count("SUCCESS") == len(files) == 4


def test_every_alert_is_tested_firing_and_silent():
    tested = re.findall(r'- name: "?(\w+) (fires|is silent)', TESTS)

    assert sorted(tested) == sorted((name, how) for name in NAMES for how in ("fires", "is silent"))


def test_every_alert_is_graded_and_says_what_to_do():
    for name, alert in zip(NAMES, ALERTS.split("- alert: ")[1:], strict=True):
        assert re.search(r"labels: \{severity: (critical|warning|info)\}", alert), name
        assert all(f"{annotation}: " in alert for annotation in ("summary", "description", "runbook")), name


def test_every_alert_has_its_section_on_the_page():
    page = (ROOT / "docs/MONITORING.md").read_text()
    sections = {heading.lower() for heading in re.findall(r"^#+ (\w+)$", page, re.MULTILINE)}
    linked = re.findall(r"runbook: docs/MONITORING\.md#(\w+)", ALERTS)

    assert linked == [name.lower() for name in NAMES]
    assert set(linked) == {section for section in sections if section.startswith("dtq")}


def test_the_page_says_how_urgent_an_alert_is_and_how_long_it_waits():
    page = (ROOT / "docs/MONITORING.md").read_text()
    for name, alert in zip(NAMES, ALERTS.split("- alert: ")[1:], strict=True):
        severity, minutes = re.findall(r"severity: (\w+)", alert)[0], re.findall(r"for: (\d+)m", alert)
        wait = "".join(f" after {count} minute{'' if count == '1' else 's'}" for count in minutes)
        assert f"### {name}\n\n*{severity}{wait}*\n" in page
