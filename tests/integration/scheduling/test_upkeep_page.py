"""docs/UPKEEP.md names every duty, every setting of upkeep with its default, every metric and every warning."""

from __future__ import annotations

import re

from django.test import Client

from dtq_site.foundation.options import declarations
from scheduling.management.commands.runscheduler import WARNINGS
from scheduling.options import SchedulingOptions
from scheduling.runtime.scheduler import DUTIES
from tests.support.sources import ROOT

PAGE = (ROOT / "docs/UPKEEP.md").read_text()
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("| ")]
SETTINGS = {variable: each for each in declarations(SchedulingOptions) for variable in each.variables}


def test_every_duty_has_its_row_in_their_order():
    names = [row[0] for row in ROWS]
    first = names.index("duty") + 2

    assert names[first : first + len(DUTIES)] == [duty.name for duty in DUTIES]


def test_every_setting_is_there_and_no_other():
    of_upkeep = {variable for variable in SETTINGS if variable != "DTQ_LEADER_LEASE" and "LIMIT" not in variable}

    assert set(re.findall(r"`(DTQ_\w+)`", PAGE)) == of_upkeep


def test_periods_of_retention_are_those_by_default():
    said = {row[2].strip("`"): row[1] for row in ROWS if len(row) == 3 and row[2].endswith("_RETENTION`")}
    days = {"a day": 1, "14 days": 14, "30 days": 30, "90 days": 90, "a year": 365}

    assert {variable: days[text] for variable, text in said.items()} == {
        variable: each.default.days for variable, each in SETTINGS.items() if variable.endswith("_RETENTION")
    }


def test_every_metric_of_duties_is_there(committed_db: None):
    exposed = set(re.findall(r"^(dtq_duty_\w+)\{", Client().get("/metrics").content.decode(), re.MULTILINE))

    created = {name for name in exposed if name.endswith("_created")}
    assert set(re.findall(r"`(dtq_duty_\w+)`", PAGE)) == exposed - created


def test_every_warning_about_upkeep_is_there():
    about_upkeep = {name for name in WARNINGS if name.partition(".")[0] in ("duty", "queue", "workers")}

    assert about_upkeep <= set(re.findall(r"`([a-z]+\.[a-z]+)`", PAGE))
