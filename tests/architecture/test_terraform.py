"""The Terraform examples are sound as far as can be seen without a cloud: their syntax, their names, and what DTQ relies on.

`terraform plan` needs the providers and an account, which there are not here.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import hcl2
import pytest

from tests.support.servers import system_program
from tests.support.sources import ROOT

FOLDER = ROOT / "docker/terraform"
CLOUDS = ("aws", "gcp")
TERRAFORM = system_program("terraform")
OPTIONS = hcl2.SerializationOptions(with_comments=False, strip_string_quotes=True, explicit_blocks=False)

each_cloud = pytest.mark.parametrize("cloud", CLOUDS)


def text(cloud: str) -> str:
    return "\n".join(path.read_text() for path in sorted((FOLDER / cloud).glob("*.tf")))


def parsed(path: Path) -> dict[str, Any]:
    with path.open() as file:
        return dict(hcl2.load(file, serialization_options=OPTIONS))


def blocks(cloud: str, kind: str) -> dict[str, Any]:
    """The blocks of a kind by their labels, joined by dots."""
    found: dict[str, Any] = {}
    for path in sorted((FOLDER / cloud).glob("*.tf")):
        for block in parsed(path).get(kind, []):
            for label, body in block.items():
                inner = body.items() if kind == "resource" else [("", body)]
                found |= {f"{label}.{name}".rstrip("."): each for name, each in inner}
    return found


@each_cloud
def test_each_file_can_be_read(cloud: str):
    files = sorted((FOLDER / cloud).glob("*.tf"))

    assert [path.name for path in files] == ["database.tf", "outputs.tf", "redis.tf", "variables.tf", "versions.tf"]
    assert all(parsed(path) for path in files)
    assert len(blocks(cloud, "resource")) >= 4


@pytest.mark.skipif(TERRAFORM is None, reason="this needs terraform")
def test_terraform_reads_them_and_would_write_them_so():
    command = [TERRAFORM, "fmt", "-check", "-diff", "-recursive", str(FOLDER)]

    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert (ran.returncode, ran.stdout) == (0, ""), ran.stderr


@each_cloud
def test_every_variable_is_declared_described_and_used(cloud: str):
    declared = blocks(cloud, "variable")
    given = parsed(FOLDER / cloud / "example.tfvars")

    assert set(re.findall(r"\bvar\.(\w+)", text(cloud))) == set(declared)
    assert all(each["description"] and each["type"] for each in declared.values())
    assert set(given) <= set(declared)
    needed = {name for name, each in declared.items() if "default" not in each}
    assert needed - set(given) == {name for name, each in declared.items() if each.get("sensitive")}


@each_cloud
def test_every_reference_leads_to_a_resource(cloud: str):
    prefix = {"aws": "aws", "gcp": "google"}[cloud]
    referred = set(re.findall(rf"(?<![\w\"-])({prefix}_\w+\.\w+)\.", text(cloud)))

    assert referred
    assert referred <= set(blocks(cloud, "resource"))


@each_cloud
def test_what_is_secret_is_said_to_be(cloud: str):
    secret = re.compile("password|token|auth_string")
    values = {**blocks(cloud, "variable"), **blocks(cloud, "output")}

    assert {name for name, each in values.items() if each.get("sensitive")} == {
        name for name in values if secret.search(name)
    }


def test_on_aws_the_servers_are_private_encrypted_doubled_and_kept():
    resources = blocks("aws", "resource")
    database, redis = resources["aws_db_instance.database"], resources["aws_elasticache_replication_group.redis"]

    assert database["publicly_accessible"] is False
    assert database["storage_encrypted"] is database["multi_az"] is database["deletion_protection"] is True
    assert database["manage_master_user_password"] is True
    assert database["backup_retention_period"] == "${var.backup_days}"
    assert redis["transit_encryption_enabled"] is redis["at_rest_encryption_enabled"] is True
    assert redis["automatic_failover_enabled"] is redis["multi_az_enabled"] is True
    assert "auth_token" in redis
    assert "cidr_ipv4" not in text("aws")


def test_on_google_cloud_the_servers_are_private_encrypted_doubled_and_kept():
    resources = blocks("gcp", "resource")
    (settings,) = resources["google_sql_database_instance.database"]["settings"]
    (network,), (backup,) = settings["ip_configuration"], settings["backup_configuration"]
    redis = resources["google_redis_instance.redis"]

    assert network["ipv4_enabled"] is False
    assert (network["ssl_mode"], network["server_ca_mode"]) == ("ENCRYPTED_ONLY", "GOOGLE_MANAGED_CAS_CA")
    assert settings["availability_type"] == "REGIONAL"
    assert backup["enabled"] is backup["binary_log_enabled"] is True
    assert resources["google_sql_database_instance.database"]["deletion_protection"] is True
    assert (redis["transit_encryption_mode"], redis["auth_enabled"]) == ("SERVER_AUTHENTICATION", True)
    assert (redis["tier"], redis["connect_mode"]) == ("STANDARD_HA", "PRIVATE_SERVICE_ACCESS")


@each_cloud
def test_the_servers_are_as_the_code_wants_them(cloud: str):
    said = " ".join(text(cloud).split())

    assert re.search(r'maxmemory-policy"? (= "noeviction"|value = "noeviction")', said)
    assert re.search(r'(tx|transaction)_isolation = "READ-COMMITTED"', said)
    assert 'character_set_server = "utf8mb4"' in said
    assert re.search(r'time_zone = "(UTC|\+00:00)"', said)
    assert int(re.search(r'max_allowed_packet = "(\d+)"', said)[1]) >= 16 * 2**20
