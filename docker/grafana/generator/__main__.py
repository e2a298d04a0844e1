"""Writes every dashboard into the folder that is named."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from .api import API
from .overview import OVERVIEW
from .queues import QUEUES
from .workers import WORKERS

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for dashboard in (OVERVIEW, QUEUES, WORKERS, API):
        text = json.dumps(dashboard.to_json(), indent=2, ensure_ascii=False) + "\n"
        (folder / dashboard.file_name).write_text(text)
