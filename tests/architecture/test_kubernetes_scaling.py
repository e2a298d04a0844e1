"""What the queues have to do decides how many workers there are: whose number is whose, and what Prometheus is asked."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.support.kubernetes import POOLS, manifests, named, of_kind
from tests.support.prometheus import PROMTOOL, promtool


def test_whoever_scales_leaves_the_number_to_the_scaler():
    made = manifests("with everything")
    scaled = [
        each["spec"]["scaleTargetRef"]["name"] for each in of_kind(made, "ScaledObject", "HorizontalPodAutoscaler")
    ]
    by_adapter = of_kind(manifests("scaled by the adapter"), "HorizontalPodAutoscaler", "ScaledObject")

    fixed = [each["metadata"]["name"] for each in of_kind(made, "Deployment") if "replicas" in each["spec"]]
    assert sorted(scaled) == ["dtq-api", "dtq-worker-default", "dtq-worker-mail"]
    assert fixed == ["dtq-scheduler"]
    assert sorted(each["spec"]["scaleTargetRef"]["name"] for each in by_adapter) == sorted(scaled)


SERIES = """
rule_files: []
tests:
  - input_series:
      - {{series: 'dtq_queue_depth{{namespace="tasks", pod="a", queue="mail"}}', values: '120'}}
      - {{series: 'dtq_queue_depth{{namespace="tasks", pod="b", queue="mail"}}', values: '120'}}
      - {{series: 'dtq_queue_depth{{namespace="tasks", pod="a", queue="text.messages"}}', values: '900'}}
      - {{series: 'dtq_queue_depth{{namespace="tasks", pod="a", queue="textXmessages"}}', values: '7000'}}
      - {{series: 'dtq_queue_depth{{namespace="other", pod="a", queue="mail"}}', values: '50000'}}
      - {{series: 'dtq_queue_paused{{namespace="tasks", pod="a", queue="mail"}}', values: '0'}}
      - {{series: 'dtq_queue_paused{{namespace="tasks", pod="a", queue="text.messages"}}', values: '1'}}
      - {{series: 'dtq_queue_paused{{namespace="tasks", pod="a", queue="textXmessages"}}', values: '0'}}
      - {{series: 'dtq_queue_processing{{namespace="tasks", pod="a", queue="mail"}}', values: '10'}}
      - {{series: 'dtq_queue_processing{{namespace="tasks", pod="b", queue="mail"}}', values: '10'}}
      - {{series: 'dtq_queue_processing{{namespace="tasks", pod="a", queue="text.messages"}}', values: '3'}}
      - {{series: 'dtq_queue_processing{{namespace="tasks", pod="a", queue="textXmessages"}}', values: '4'}}
    promql_expr_test:
      - {{expr: {mail}, eval_time: 0m, exp_samples: [{{labels: '{{}}', value: {of_mail}}}]}}
      - {{expr: {default}, eval_time: 0m, exp_samples: [{{labels: '{{}}', value: {of_all}}}]}}
"""


@pytest.mark.skipif(PROMTOOL is None, reason="this needs the Debian package prometheus")
def test_a_pool_is_scaled_by_what_its_queues_have_to_do(tmp_path: Path):
    made = manifests("with everything")
    asked = {
        pool: yaml.safe_dump(
            named(made, "ScaledObject", f"dtq-worker-{pool}")["spec"]["triggers"][0]["metadata"]["query"],
            default_style='"',
            width=10_000,
        ).strip()
        for pool in POOLS
    }
    series = tmp_path / "series.yml"
    series.write_text(SERIES.format(**asked, of_mail=120 + 10 + 3, of_all=120 + 7000 + 10 + 3 + 4))

    ran = promtool("test", "rules", str(series))

    assert (ran.returncode, ran.stderr) == (0, ""), ran.stdout
