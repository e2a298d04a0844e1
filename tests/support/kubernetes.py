"""The Helm chart and the plain manifests as data, and the schemas of Kubernetes that judge them.

The chart is rendered by Helm's own library, in a process of its own: it brings the runtime of Go along, which has signals and
threads of its own. So does `python -m tests.support.kubernetes`, which reads values for each rendering and writes manifests.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

import kubernetes_validate
import yaml

from tests.support.sources import ROOT

CHART = ROOT / "docker/helm/dtq"
PLAIN = ROOT / "docker/k8s"
CUSTOM = {"ScaledObject", "ServiceMonitor", "PrometheusRule"}
"""The kinds that a cluster has by operators, and not by itself."""

Manifest = dict[str, Any]

# It reads megabytes anew for each manifest.
kubernetes_validate.utils.schema_contents = cache(kubernetes_validate.utils.schema_contents)

POOLS = {"default": {}, "mail": {"queues": ["mail", "text.messages"], "processes": 2, "gracePeriodSeconds": 120}}
EVERYTHING = {
    "imagePullSecrets": [{"name": "registry"}],
    "certificates": {"configMap": "authorities"},
    "api": {"autoscaling": {"enabled": True}},
    "workers": POOLS,
    "workerDefaults": {"autoscaling": {"enabled": True}},
    "ingress": {"enabled": True},
    "monitoring": {"enabled": True, "labels": {"release": "prometheus"}},
    "networkPolicy": {
        "database": {"port": 3307, "to": [{"ipBlock": {"cidr": "10.1.0.0/16"}}]},
        "egress": [{"ports": [{"port": 4318}]}],
    },
    "nodeSelector": {"kubernetes.io/arch": "amd64"},
    "tolerations": [{"key": "tasks", "operator": "Exists"}],
}
VARIANTS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "with everything": EVERYTHING,
    "scaled by the adapter": {**EVERYTHING, "autoscaling": {"by": "hpa"}},
    "with nothing that is optional": {"networkPolicy": {"enabled": False}, "migrate": {"enabled": False}},
}
"""Values that leave out and put in whatever the chart has as an option."""


def manifests(variant: str) -> list[Manifest]:
    """What the chart makes of one of the VARIANTS."""
    return dict(zip(VARIANTS, rendered(*VARIANTS.values()), strict=True))[variant]


def rendered(*variants: Mapping[str, Any]) -> list[list[Manifest]]:
    """The manifests of the chart with each of these values, as a release `dtq` in the namespace `tasks`."""
    answers = _asked({"render": list(variants)})
    assert all("refused" not in answer for answer in answers), answers
    return [list(manifests_of(answer["rendered"].values())) for answer in answers]


def refusals(*variants: Mapping[str, Any]) -> list[str]:
    """Why Helm takes none of these values; empty for those that it takes."""
    return [answer.get("refused", "") for answer in _asked({"render": list(variants)})]


def lint(values: Mapping[str, Any]) -> Manifest:
    """What `helm lint --strict` says of the chart with these values."""
    (answer,) = _asked({"lint": [values]})
    return answer


def manifests_of(texts: Iterable[str]) -> Iterator[Manifest]:
    """Each manifest in these texts of YAML."""
    for text in texts:
        yield from (each for each in yaml.safe_load_all(text) if each)


def of_kind(manifests: Iterable[Manifest], *kinds: str) -> list[Manifest]:
    """Those of these kinds."""
    return [each for each in manifests if each["kind"] in kinds]


def named(manifests: Iterable[Manifest], kind: str, name: str) -> Manifest:
    """The one of this kind and name."""
    (found,) = (each for each in of_kind(manifests, kind) if each["metadata"]["name"] == name)
    return found


def pods(manifests: Iterable[Manifest]) -> dict[str, Manifest]:
    """The templates of pods by the name of what makes them."""
    makers = of_kind(manifests, "Deployment", "Job")
    return {each["metadata"]["name"]: each["spec"]["template"] for each in makers}


def containers(manifests: Iterable[Manifest]) -> dict[str, Manifest]:
    """The container of each pod by the name of what makes it."""
    found = {}
    for name, pod in pods(manifests).items():
        (found[name],) = pod["spec"]["containers"]
    return found


def selects(selector: Manifest, labels: Mapping[str, str]) -> bool:
    """Whether a selector means an object with these labels."""
    exact = selector.get("matchLabels", {}).items()
    within = selector.get("matchExpressions", [])
    assert all(each["operator"] == "In" for each in within)
    return all(labels.get(key) == value for key, value in exact) and all(
        labels.get(each["key"]) in each["values"] for each in within
    )


@cache
def _asked_as_text(question: str) -> str:
    command = [sys.executable, "-m", "tests.support.kubernetes"]
    ran = subprocess.run(command, input=question, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def _asked(question: Mapping[str, Any]) -> list[Manifest]:
    return list(json.loads(_asked_as_text(json.dumps(question))))


def _answer(question: Mapping[str, Any]) -> Iterator[Manifest]:
    import helm_python as helm

    for values in question.get("lint", []):
        yield helm.lint(CHART, values, strict=True)
    with helm.Chart.load(CHART) as chart:
        for values in question.get("render", []):
            try:
                chart.validate_schema(values)
                texts = chart.render(values, name="dtq", namespace="tasks")
            except helm.HelmError as error:
                yield {"refused": str(error)}
            else:
                yield {"rendered": {path: text for path, text in texts.items() if path.endswith(".yaml")}}


if __name__ == "__main__":
    print(json.dumps(list(_answer(json.load(sys.stdin)))))
