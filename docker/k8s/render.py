"""Writes the plain manifests beside it from the chart, so that both say the same: `python docker/k8s/render.py [FOLDER]`.

What only Helm reads is left out. `base` is the chart as it is; the other folders are components, which an overlay takes or
leaves, from the chart with the values of `components.yaml`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import helm_python as helm
import yaml

HERE = Path(__file__).resolve().parent
CHART = HERE.parent / "helm/dtq"
NAME = NAMESPACE = "dtq"
COMPONENTS = ("autoscaling", "ingress", "monitoring")
OF_HELM = ("helm.sh/", "app.kubernetes.io/managed-by")
HEADER = "# Written by docker/k8s/render.py from docker/helm/dtq; change the chart.\n"

Manifest = dict[str, Any]


def rendered(values: Manifest) -> dict[str, list[Manifest]]:
    """The manifests of the chart with these values, by the name of their template."""
    with helm.Chart.load(CHART) as chart:
        texts = chart.render(values, name=NAME, namespace=NAMESPACE)
    files = {path.rpartition("/")[2]: text for path, text in texts.items() if path.endswith(".yaml")}
    return {name: [each for each in yaml.safe_load_all(text) if each] for name, text in files.items()}


def plain(manifest: Manifest) -> Manifest:
    """The same without what only Helm reads."""
    metadata = manifest["metadata"]
    for kind in ("labels", "annotations"):
        kept = {key: value for key, value in metadata.get(kind, {}).items() if not key.startswith(OF_HELM)}
        metadata.pop(kind, None)
        if kept:
            metadata[kind] = kept
    return manifest


def write(folder: Path) -> None:
    """Write all manifests into `folder`."""
    extended = rendered(yaml.safe_load((HERE / "components.yaml").read_text()))
    files = {f"base/{name}": manifests for name, manifests in rendered({}).items() if manifests}
    files |= {f"{component}/{component}.yaml": extended[f"{component}.yaml"] for component in COMPONENTS}
    for name, manifests in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        texts = [yaml.safe_dump(plain(each), sort_keys=False, width=120) for each in manifests]
        path.write_text(HEADER + "---\n".join(texts))


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
