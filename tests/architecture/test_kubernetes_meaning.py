"""What the chart says is so: its parts find each other, settings and commands are ours, and no pod may do more than it must."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path, PurePosixPath
from secrets import token_hex
from typing import Any

import pytest
import yaml
from django.core.management import load_command_class

from dtq_site import configuration, health
from dtq_site.api.options import ApiOptions
from dtq_site.foundation.options import declarations
from dtq_site.serving import GRACE_SECONDS
from tests.support.kubernetes import (
    CHART,
    EVERYTHING,
    POOLS,
    Manifest,
    containers,
    manifests,
    named,
    of_kind,
    pods,
    rendered,
    selects,
)
from tests.support.sources import ROOT

COMMANDS = {"serve": "dtq_site", "runworker": "workers", "runscheduler": "scheduling", "migrate": "django.core"}
DOCKERFILE = (ROOT / "docker/Dockerfile").read_text()
SECRETS = PurePosixPath("/run/secrets/dtq")


@pytest.fixture(scope="module")
def made() -> list[Manifest]:
    return manifests("with everything")


def labels(manifest: Manifest) -> dict[str, str]:
    return dict(manifest["metadata"]["labels"])


def environment(container: Manifest) -> dict[str, Any]:
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container["env"]}


def port_of(container: Manifest) -> int:
    command = container["command"]
    return int(command[command.index("--port") + 1])


def test_the_parts_are_there(made: list[Manifest]):
    counted = Counter(each["kind"] for each in made)

    assert set(pods(made)) == {"dtq-api", "dtq-scheduler", "dtq-migrate", "dtq-worker-default", "dtq-worker-mail"}
    assert named(manifests("as it is"), "Deployment", "dtq-scheduler")["spec"]["replicas"] == 2
    assert counted == {
        "Deployment": 4,
        "Job": 1,
        "PodDisruptionBudget": 4,
        "NetworkPolicy": 3,
        "ScaledObject": 2,
        "Service": 1,
        "HorizontalPodAutoscaler": 1,
        "ServiceAccount": 1,
        "Ingress": 1,
        "ServiceMonitor": 1,
        "PrometheusRule": 1,
    }


def test_each_selector_means_the_pods_of_one_part(made: list[Manifest]):
    templates = {name: labels(pod) for name, pod in pods(made).items()}
    for each in of_kind(made, "Deployment", "PodDisruptionBudget"):
        meant = [name for name, of_pod in templates.items() if selects(each["spec"]["selector"], of_pod)]
        assert meant == [each["metadata"]["name"]]
    for name, pod in pods(made).items():
        for spread in pod["spec"].get("topologySpreadConstraints", []):
            assert [other for other in templates if selects(spread["labelSelector"], templates[other])] == [name]
    (service,) = of_kind(made, "Service")
    assert [name for name in templates if selects({"matchLabels": service["spec"]["selector"]}, templates[name])] == [
        "dtq-api"
    ]
    (monitor,) = of_kind(made, "ServiceMonitor")
    assert selects(monitor["spec"]["selector"], labels(service))


def test_every_variable_is_a_declared_setting_once(made: list[Manifest]):
    secret = {
        name
        for _, cls in configuration.SECTIONS
        for declaration in declarations(cls)
        for name in declaration.variables
        if declaration.secret
    }
    for container in containers(made).values():
        names = [each["name"] for each in container["env"]]
        files = {name.removesuffix("_FILE") for name in names if name.endswith("_FILE")}

        assert max(Counter(names).values()) == 1
        assert files <= secret
        assert not secret & set(names)
        assert set(names) - {f"{name}_FILE" for name in files} - {"POD_IP"} <= set(configuration.variables())


def test_every_secret_is_a_listed_key_in_a_file_that_is_mounted(made: list[Manifest]):
    listed = yaml.safe_load((CHART / "values.yaml").read_text())["secret"]
    for name, pod in pods(made).items():
        (volume,) = (each["secret"] for each in pod["spec"]["volumes"] if each["name"] == "secrets")
        there = {str(SECRETS / item["path"]): item["key"] for item in volume["items"]}
        asked = {value for key, value in environment(containers(made)[name]).items() if key.endswith("_FILE")}

        assert volume["secretName"] == listed["name"]
        assert sorted(there.values()) == sorted(listed["keys"])
        assert asked == set(there)
    (monitor,) = of_kind(made, "ServiceMonitor")
    token = monitor["spec"]["endpoints"][0]["authorization"]["credentials"]
    assert token["name"] == listed["name"] and token["key"] in listed["keys"]


def test_production_starts_with_these_settings_and_warns_of_none_of_them(tmp_path: Path):
    secrets = {
        "DATABASE_URL": "mysql://dtq:password@database.internal:3306/dtq",
        "DTQ_METRICS_TOKEN": token_hex(),
        "EMAIL_URL": "smtp+tls://user:password@mail.internal:587",
        "JWT_SECRET": token_hex(),
        "REDIS_URL": "rediss://:password@redis.internal:6379/0",
    }
    for name, value in secrets.items():
        (tmp_path / name).write_text(value)
    (made,) = rendered({"secret": {"keys": list(secrets)}})
    given = environment(containers(made)["dtq-api"]) | {"POD_IP": "10.1.2.3", "DTQ_DATA_FOLDER": str(tmp_path)}
    given = {name: value.replace("$(POD_IP)", given["POD_IP"]) for name, value in given.items()}
    given = {name: value.replace(str(SECRETS), str(tmp_path)) for name, value in given.items()}

    checked = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy"], cwd=ROOT, env=given, capture_output=True, text=True
    )

    assert checked.returncode == 0, checked.stderr
    assert re.findall(r"\((\w+\.[WE]\d+)\)", checked.stderr) == ["dtq.W011"]  # the image has its static files


def test_every_command_takes_its_options(made: list[Manifest]):
    for container in containers(made).values():
        python, manage, name, *options = container["command"]
        parser = load_command_class(COMMANDS[name], name).create_parser("manage.py", name)

        assert (python, manage) == ("python", "manage.py")
        parser.parse_args(options)


def test_pools_serve_their_queues_with_their_processes(made: list[Manifest]):
    command = containers(made)["dtq-worker-mail"]["command"]

    assert f"--queues={','.join(POOLS['mail']['queues'])}" in command
    assert f"--processes={POOLS['mail']['processes']}" in command
    assert "--queues=" in containers(made)["dtq-worker-default"]["command"]


def test_ports_lead_to_the_api(made: list[Manifest]):
    api = containers(made)["dtq-api"]
    (port,) = api["ports"]
    (service,) = of_kind(made, "Service")
    (monitor,) = of_kind(made, "ServiceMonitor")
    backend = of_kind(made, "Ingress")[0]["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
    (rule,) = named(made, "NetworkPolicy", "dtq-api")["spec"]["ingress"]

    assert port["containerPort"] == port_of(api) == rule["ports"][0]["port"]
    assert [each["targetPort"] for each in service["spec"]["ports"]] == [port["name"]]
    assert [each["name"] for each in service["spec"]["ports"]] == [backend["port"]["name"]]
    assert backend["name"] == service["metadata"]["name"]
    assert monitor["spec"]["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"]
    assert [port["name"] for name, each in containers(made).items() for port in each.get("ports", [])] == ["http"]


def test_probes_ask_what_is_answered(made: list[Manifest]):
    probes = ("startupProbe", "livenessProbe", "readinessProbe")
    for name, container in containers(made).items():
        asked = {probe: container[probe] for probe in probes if probe in container}
        if name == "dtq-api":
            assert {each["httpGet"]["path"] for each in asked.values()} == {"/health/live", "/health/ready"}
            assert all(each["httpGet"]["path"] in health.PROBES for each in asked.values())
            assert all(each["timeoutSeconds"] > health.ANSWER_SECONDS for each in asked.values())
        elif name == "dtq-migrate":
            assert asked == {}
        else:
            (file,) = {probe["exec"]["command"][-1] for probe in asked.values()}
            assert f"--health-file={file}" in container["command"]
            assert str(PurePosixPath(file).parent) in {mount["mountPath"] for mount in container["volumeMounts"]}


def test_everybody_has_the_time_to_end(made: list[Manifest]):
    api = pods(made)["dtq-api"]["spec"]
    pause = containers(made)["dtq-api"]["lifecycle"]["preStop"]["sleep"]["seconds"]
    for pool in POOLS:
        worker = pods(made)[f"dtq-worker-{pool}"]["spec"]
        grace = environment(worker["containers"][0])["DTQ_GRACE_PERIOD"]
        assert worker["terminationGracePeriodSeconds"] >= int(grace.removesuffix("s")) + 15

    assert environment(containers(made)["dtq-worker-mail"])["DTQ_GRACE_PERIOD"] == "120s"
    assert api["terminationGracePeriodSeconds"] > pause + GRACE_SECONDS


def test_no_pod_may_do_more_than_it_must(made: list[Manifest]):
    uid = int(re.search(r"^USER (\d+):\1$", DOCKERFILE, re.MULTILINE)[1])
    for name, pod in pods(made).items():
        spec, container = pod["spec"], containers(made)[name]
        own = container["securityContext"]

        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert {spec["securityContext"][key] for key in ("runAsUser", "runAsGroup", "fsGroup")} == {uid}
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert own == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
        assert not any("hostPath" in volume for volume in spec["volumes"])
        assert {"cpu", "memory"} == set(container["resources"]["requests"])
        assert "memory" in container["resources"]["limits"]
    assert of_kind(made, "ServiceAccount")[0]["automountServiceAccountToken"] is False
    assert not of_kind(made, "Secret", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")


def test_what_can_be_written_is_what_the_image_needs(made: list[Manifest]):
    (data,) = re.findall(r"DTQ_DATA_FOLDER=(/var/\S+)", DOCKERFILE)
    for name, container in containers(made).items():
        empty = {each["name"] for each in pods(made)[name]["spec"]["volumes"] if "emptyDir" in each}
        mounts = container["volumeMounts"]

        assert {each["mountPath"] for each in mounts if each["name"] in empty} == {"/tmp", data}
        assert all(each.get("readOnly") for each in mounts if each["name"] not in empty)
        assert environment(container)["DTQ_DATA_FOLDER"] == data


def test_nobody_speaks_to_anybody_but_as_the_policies_say(made: list[Manifest]):
    templates = {name: labels(pod) for name, pod in pods(made).items()}
    policies = {each["metadata"]["name"]: each["spec"] for each in of_kind(made, "NetworkPolicy")}
    meant = {
        name: {pod for pod, of_pod in templates.items() if selects(policy["podSelector"], of_pod)}
        for name, policy in policies.items()
    }

    assert meant == {
        "dtq": set(templates),
        "dtq-api": {"dtq-api"},
        "dtq-workers": {"dtq-worker-default", "dtq-worker-mail"},
    }
    assert sorted(policies["dtq"]["policyTypes"]) == ["Egress", "Ingress"]
    assert "ingress" not in policies["dtq"]
    assert [[port["port"] for port in rule["ports"]] for rule in policies["dtq"]["egress"]] == [
        [53, 53],
        [3307],
        [6379],
        [4318],
    ]
    assert policies["dtq"]["egress"][1]["to"] == EVERYTHING["networkPolicy"]["database"]["to"]
    (web,) = policies["dtq-workers"]["egress"]
    assert "10.0.0.0/8" in web["to"][0]["ipBlock"]["except"]


def test_the_migration_needs_nothing_that_comes_after_it(made: list[Manifest]):
    (job,) = of_kind(made, "Job")

    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert "serviceAccountName" not in job["spec"]["template"]["spec"]
    assert not of_kind(made, "ConfigMap")


def test_the_rules_are_those_of_prometheus(made: list[Manifest]):
    (rule,) = of_kind(made, "PrometheusRule")
    (monitor,) = of_kind(made, "ServiceMonitor")
    (service,) = of_kind(made, "Service")
    files = sorted((ROOT / "docker/prometheus/rules").glob("*.yml"))

    assert rule["spec"]["groups"] == [group for file in files for group in yaml.safe_load(file.read_text())["groups"]]
    assert labels(service)[monitor["spec"]["jobLabel"]] == "dtq"
    assert labels(rule)["release"] == labels(monitor)["release"] == "prometheus"


def test_the_ingress_lets_through_what_the_api_takes(made: list[Manifest]):
    (ingress,) = of_kind(made, "Ingress")
    annotations = ingress["metadata"]["annotations"]
    sizes = {"nginx.ingress.kubernetes.io/proxy-body-size": f"{ApiOptions().max_request_bytes // 2**20}m"}

    assert annotations.items() >= sizes.items()
    assert [rule["host"] for rule in ingress["spec"]["rules"]] == ingress["spec"]["tls"][0]["hosts"]
