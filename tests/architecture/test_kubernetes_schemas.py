"""What docker/helm and docker/k8s ship is what Kubernetes takes: Helm's own library renders it, the API's schemas judge it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from dtq_site.foundation.version import VERSION
from tests.support import kubernetes, node_packages
from tests.support.kubernetes import CHART, CUSTOM, PLAIN, VARIANTS, Manifest, manifests, of_kind
from tests.support.servers import system_program

KUBECTL = system_program("kubectl")
KUBERNETES = ("1.30", kubernetes_validate.latest_version())
"""The oldest that the chart is for, and the newest that there are schemas of."""

each_variant = pytest.mark.parametrize("variant", VARIANTS)


@each_variant
def test_helm_finds_nothing_to_say_but_that_there_is_no_icon(variant: str):
    report = kubernetes.lint(VARIANTS[variant])

    assert report["errors"] == []
    assert [message["error"] for message in report["messages"]] == ["icon is recommended"]


@pytest.mark.parametrize("version", KUBERNETES)
def test_kubernetes_knows_every_field(version: str):
    different = {json.dumps(each) for variant in VARIANTS for each in manifests(variant)}
    own = [each for each in map(json.loads, sorted(different)) if each["kind"] not in CUSTOM]

    for each in own:
        kubernetes_validate.validate(each, version, strict=True)
    assert {each["kind"] for each in own} >= {"Deployment", "Job", "Ingress", "HorizontalPodAutoscaler"}


def test_the_schemas_refuse_a_field_that_there_is_not():
    (deployment, *_) = of_kind(manifests("as it is"), "Deployment")
    deployment["spec"]["template"]["spec"]["containers"][0]["image_"] = "x"

    with pytest.raises(kubernetes_validate.ValidationError, match="image_"):
        kubernetes_validate.validate(deployment, KUBERNETES[-1], strict=True)


def test_the_operators_know_what_is_theirs():
    missing = node_packages.missing_packages()
    if missing:
        pytest.skip(f"this needs the Debian packages {', '.join(missing)}")
    ours = of_kind(manifests("with everything"), *CUSTOM)
    broken = [{**each, "spec": {**each["spec"], "triggers": 1, "endpoints": 1, "groups": 1}} for each in ours]

    judged = judged_by_operators(ours + broken)

    assert {each["kind"] for each in ours} == CUSTOM
    assert judged[: len(ours)] == [""] * len(ours)
    assert all(judged[len(ours) :])


def judged_by_operators(custom: list[Manifest]) -> list[str]:
    """What the schemas of KEDA and of the Prometheus Operator say against each; nothing if it is right."""
    script = node_packages.CONFORMANCE / "custom_resources.mjs"
    command = [str(system_program("node")), script, node_packages.ensure()]
    ran = subprocess.run(command, input=json.dumps(custom), capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    return list(json.loads(ran.stdout))


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a misspelt value": ({"replica": 3}, "replica"),
    "a number as a setting": ({"settings": {"WORKER_CONCURRENCY": 5}}, "WORKER_CONCURRENCY"),
    "what the chart sets itself": ({"settings": {"DTQ_ENV": "development"}}, "DTQ_ENV"),
    "an address as a host": ({"hosts": ["https://dtq.example.com"]}, "hosts/0"),
    "no host": ({"hosts": []}, "hosts"),
    "no scheduler": ({"scheduler": {"replicas": 0}}, "scheduler/replicas"),
    "a pool that no label can name": ({"workers": {"Mail!": {}}}, "Mail!"),
    "a queue that there cannot be": ({"workers": {"mail": {"queues": ["a b"]}}}, "queues/0"),
    "another way to scale": ({"autoscaling": {"by": "hand"}}, "autoscaling/by"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_values_that_cannot_be_are_refused_by_name(name: str):
    refusal = dict(zip(REFUSED, kubernetes.refusals(*(values for values, _ in REFUSED.values())), strict=True))[name]

    assert REFUSED[name][1] in refusal.replace("'/", "'").replace(".", "/")


def test_the_chart_is_of_this_version():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())

    assert chart["appVersion"] == VERSION.partition(".dev")[0]


def test_the_plain_manifests_are_those_of_the_chart(tmp_path: Path):
    subprocess.run([sys.executable, "-B", PLAIN / "render.py", tmp_path], check=True, capture_output=True)

    written = {str(path.relative_to(tmp_path)): path.read_text() for path in tmp_path.rglob("*.yaml")}
    listed = {
        f"{kustomization.parent.relative_to(PLAIN)}/{name}"
        for kustomization in PLAIN.glob("*/kustomization.yaml")
        for name in yaml.safe_load(kustomization.read_text())["resources"]
    }
    assert written == {name: (PLAIN / name).read_text() for name in written}, "run `python docker/k8s/render.py`"
    assert set(written) == listed


def kubectl(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([KUBECTL, *arguments], capture_output=True, text=True, timeout=60)


@pytest.mark.skipif(KUBECTL is None, reason="this needs kubectl 1.24 or later")
def test_the_example_of_an_overlay_reaches_every_pod():
    if "Kustomize Version" not in kubectl("version", "--client").stdout:
        pytest.skip("this needs kubectl 1.24 or later: the one that is here knows no components")

    built = kubectl("kustomize", str(PLAIN / "overlays/example"))

    assert (built.returncode, built.stderr) == (0, "")
    made = list(kubernetes.manifests_of([built.stdout]))
    for each in made:
        if each["kind"] not in CUSTOM:
            kubernetes_validate.validate(each, KUBERNETES[-1], strict=True)
    for container in kubernetes.containers(made).values():
        hosts = [each["value"] for each in container["env"] if each["name"] == "DTQ_ALLOWED_HOSTS"]
        assert container["image"] == f"registry.example.com/dtq:{VERSION.partition('.dev')[0]}"
        assert hosts == ["tasks.example.org,$(POD_IP)"]
    assert {each["metadata"].get("namespace", "dtq") for each in made} == {"dtq"}
    assert [each["metadata"]["name"] for each in of_kind(made, "Deployment") if "replicas" not in each["spec"]] == [
        each["spec"]["scaleTargetRef"]["name"] for each in of_kind(made, "ScaledObject")
    ]
