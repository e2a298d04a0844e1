"""The third-party files that the console loads are the ones that the manifest names, and call nobody."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

FOLDER = Path(__file__).parents[3] / "dtq_site" / "static" / "dtq" / "graphiql"
MANIFEST = json.loads((FOLDER / "manifest.json").read_text())


def test_every_file_is_in_the_manifest_with_its_hash():
    listed = {each["file"]: each["sha256"] for each in MANIFEST["files"]}
    there = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in FOLDER.iterdir()
        if path.suffix in (".js", ".css")
    }

    assert there == listed


def test_every_package_has_its_licence():
    licences = (FOLDER / "LICENSES.txt").read_text()

    for each in MANIFEST["files"]:
        assert f"\n{each['package']} {each['version']}\n" in licences


def test_no_file_refers_to_a_source_map_or_to_a_font_elsewhere():
    for each in MANIFEST["files"]:
        text = (FOLDER / each["file"]).read_text()
        assert "sourceMappingURL" not in text
        assert "@import" not in text
        assert "@font-face" not in text
