"""The infrastructure: built, found unchanged and torn down against a cloud on this machine; and what it may never be."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from botocore.exceptions import ClientError

from tests.s3_bench import s3_server
from tests.terraform_bench import TERRAFORM, TERRAGRUNT, Workspace, blocks, finished, hcl, providers

MODULES = sorted(path for path in (TERRAFORM / "modules").iterdir())
FOLDERS = [TERRAFORM, *MODULES]
ENVIRONMENTS = sorted(path.stem for path in (TERRAFORM / "environments").iterdir())
needs_terraform = pytest.mark.skipif(not shutil.which("terraform"), reason="terraform is not installed")


@pytest.fixture(scope="module")
def mirror() -> Path:
    found = providers()
    if found is None:
        pytest.skip("no folder with the AWS provider: name one in PDP_TERRAFORM_PLUGINS")
    return found


@needs_terraform
def test_it_is_formatted() -> None:
    done = subprocess.run(["terraform", "fmt", "-check", "-recursive"], cwd=TERRAFORM.parent, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout


@needs_terraform
def test_it_is_built_found_unchanged_and_torn_down(mirror: Path, tmp_path: Path) -> None:
    from scripts.event_stream.package import build

    code = tmp_path / "events.zip"
    build(code)
    with s3_server() as endpoint:
        given = {"aws_endpoint_url": endpoint, "lambda_zip": str(code), "region": "eu-central-1"}
        prod = Workspace(tmp_path, "prod", given)
        dev = Workspace(tmp_path, "dev", given | {"kms_key_arn": "arn:aws:kms:eu-central-1:123456789012:key/own"})
        for workspace in (prod, dev):
            assert workspace.run("init", f"-plugin-dir={mirror}")[0] == 0
        building, planning = prod.start("apply", "-auto-approve"), dev.start("plan")
        planned, built = finished(planning), finished(building)
        assert built[0] == 0, built[1]
        assert planned[0] == 0, planned[1]
        assert re.search(r"Plan: \d+ to add, 0 to change, 0 to destroy", planned[1])
        try:
            outputs = {name: said["value"] for name, said in json.loads(prod.run("output", "-json")[1]).items()}
            _look(endpoint, code, outputs)
            _rights_are_enough_and_no_more(endpoint, code, outputs)
            again = prod.run("plan", "-detailed-exitcode")
            assert (again[0], "No changes." in again[1]) == (0, True), again[1]
        finally:
            gone = prod.run("destroy", "-auto-approve", "-refresh=false")
        assert gone[0] == 0, gone[1]
        assert _client(endpoint, "s3").list_buckets()["Buckets"] == []
        assert _client(endpoint, "kinesis").list_streams()["StreamNames"] == []
        assert _client(endpoint, "lambda").list_functions()["Functions"] == []


@needs_terraform
def test_a_wrong_value_is_refused_before_anything_is_asked(mirror: Path, tmp_path: Path) -> None:
    wrong = {"project": "P", "environment": "Prod!", "cidr": "10.0.0.0/30", "zones": "9", "retention_hours": "1"}
    workspace = Workspace(tmp_path, "prod", wrong | {"lambda_zip": "none"})
    assert workspace.run("init", f"-plugin-dir={mirror}")[0] == 0
    _, said = workspace.run("console")
    assert set(re.findall(r'variable "(\w+)" \{', said)) == {*wrong, "lambda_layers"}, said


def _client(endpoint: str, service: str, who: Mapping[str, str] | None = None) -> Any:
    import boto3

    who = who or {"AccessKeyId": "emulator", "SecretAccessKey": "emulator"}
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name="eu-central-1",
        aws_access_key_id=who["AccessKeyId"],
        aws_secret_access_key=who["SecretAccessKey"],
        aws_session_token=who.get("SessionToken"),
    )


def _look(endpoint: str, code: Path, outputs: dict[str, Any]) -> None:
    """What stands there is what was promised."""
    s3, bucket = _client(endpoint, "s3"), outputs["s3_events_url"].split("/")[2]
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    rule = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    assert set(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values()) == {True}
    stream = _client(endpoint, "kinesis").describe_stream(StreamName=outputs["kinesis_stream"])["StreamDescription"]
    assert (stream["EncryptionType"], stream["RetentionPeriodHours"]) == ("KMS", 168)
    function = _client(endpoint, "lambda").get_function(FunctionName="pdp-prod-events")["Configuration"]
    assert function["CodeSha256"] == base64.b64encode(hashlib.sha256(code.read_bytes()).digest()).decode()
    assert function["Environment"]["Variables"]["EVENTS_BUCKET"] == bucket
    (feed,) = _client(endpoint, "lambda").list_event_source_mappings()["EventSourceMappings"]
    assert feed["EventSourceArn"] == stream["StreamARN"]
    assert feed["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert feed["DestinationConfig"]["OnFailure"]["Destination"].endswith("pdp-prod-events-dead-letters")
    network = _client(endpoint, "ec2")
    (place,) = network.describe_vpcs(Filters=[{"Name": "tag:Name", "Values": ["pdp-prod"]}])["Vpcs"]
    inside = [{"Name": "vpc-id", "Values": [place["VpcId"]]}]
    assert len(network.describe_subnets(Filters=inside)["Subnets"]) == 2
    routes = [route for table in network.describe_route_tables(Filters=inside)["RouteTables"] for route in table["Routes"]]
    assert not any(route.get("DestinationCidrBlock") == "0.0.0.0/0" for route in routes)
    groups = network.describe_security_groups(Filters=inside)["SecurityGroups"]
    assert not any(group["IpPermissions"] for group in groups)
    assert not any(way["IpRanges"] or way["Ipv6Ranges"] for group in groups for way in group["IpPermissionsEgress"])


def _rights_are_enough_and_no_more(endpoint: str, code: Path, outputs: dict[str, str]) -> None:
    """The real zip files events with the function's role, and the reader reads them, while the emulator judges every request."""
    from scripts.event_stream.function import Function

    iam, bucket = _client(endpoint, "iam"), outputs["s3_events_url"].split("/")[2]
    iam.create_user(UserName="reader")
    iam.attach_user_policy(UserName="reader", PolicyArn=outputs["reader_policy_arn"])
    reader = iam.create_access_key(UserName="reader")["AccessKey"]
    role = _client(endpoint, "sts").assume_role(
        RoleArn=iam.get_role(RoleName="pdp-prod-events")["Role"]["Arn"], RoleSessionName="function"
    )["Credentials"]
    env = {"EVENTS_BUCKET": bucket, "AWS_ENDPOINT_URL": endpoint, "AWS_DEFAULT_REGION": "eu-central-1"}
    env |= {"AWS_ACCESS_KEY_ID": role["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": role["SecretAccessKey"]}
    event = {
        "event_id": "e1",
        "source": "test",
        "metric": "heart_rate",
        "ts_utc": "2026-01-02T03:04:05Z",
        "value": 61,
        "unit": "/min",
    }
    request = {"version": "2.0", "requestContext": {"http": {"method": "POST"}}, "body": json.dumps([event, {"no": "event"}])}
    with _every_request_judged(endpoint), Function(code, env | {"AWS_SESSION_TOKEN": role["SessionToken"]}) as function:
        assert function.invoke(request)["statusCode"] == 200
        theirs, ours = _client(endpoint, "s3", role), _client(endpoint, "s3", reader)
        names = [
            o["Key"]
            for prefix in ("events/", "rejected/")
            for o in ours.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]
        ]
        assert [name.split("/")[0] for name in names] == ["events", "rejected"]
        assert ours.get_object(Bucket=bucket, Key=names[0])["Body"].read()[:4] == b"PAR1"
        for who, action, name in (
            (theirs, "get_object", names[0]),
            (theirs, "delete_object", names[0]),
            (theirs, "put_object", "elsewhere"),
            (ours, "put_object", names[0]),
            (ours, "delete_object", names[0]),
        ):
            with pytest.raises(ClientError, match="AccessDenied"):
                getattr(who, action)(Bucket=bucket, Key=name)
    kept = _client(endpoint, "s3").list_object_versions(Bucket=bucket)["Versions"]
    for each in kept:
        _client(endpoint, "s3").delete_object(Bucket=bucket, Key=each["Key"], VersionId=each["VersionId"])
    iam.delete_access_key(UserName="reader", AccessKeyId=reader["AccessKeyId"])
    iam.detach_user_policy(UserName="reader", PolicyArn=outputs["reader_policy_arn"])


@contextmanager
def _every_request_judged(endpoint: str) -> Iterator[None]:
    """The emulator asks the policies whether somebody may; else it lets everybody do everything."""

    def after(requests: str) -> None:
        with urlopen(Request(f"{endpoint}/moto-api/reset-auth", requests.encode(), {"Content-Type": "text/plain"})) as answer:
            assert answer.status == 200

    after("0")
    try:
        yield
    finally:
        after("inf")


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_variable_and_output_says_what_it_is(folder: Path) -> None:
    for (name,), said in blocks(folder, "variable"):
        assert said.get("description"), name
        assert said.get("type"), name
    for (name,), said in blocks(folder, "output"):
        assert said.get("description"), name


def test_every_module_is_given_what_it_asks_for_and_nothing_else() -> None:
    used = dict(blocks(TERRAFORM, "module"))
    assert {name for (name,) in used} == {path.name for path in MODULES}
    for (name,), given in used.items():
        asked = {asked for (asked,), _ in blocks(TERRAFORM / "modules" / name, "variable")}
        assert set(given) - {"source"} == asked, name


def test_environments_and_their_terragrunt_files_go_together_and_name_variables_that_exist() -> None:
    known = {name: said for (name,), said in blocks(TERRAFORM, "variable")}
    root = hcl(TERRAGRUNT / "root.hcl")
    assert sorted(path.parent.name for path in TERRAGRUNT.glob("*/terragrunt.hcl")) == ENVIRONMENTS == ["dev", "prod"]
    for environment in ENVIRONMENTS:
        said = hcl(TERRAFORM / f"environments/{environment}.tfvars")
        assert said["environment"] == environment
        assert set(said) <= set(known)
        assert {name for name, variable in known.items() if "default" not in variable} <= {*said, *root["inputs"]}
        assert hcl(TERRAGRUNT / environment / "terragrunt.hcl")["include"]
    assert set(root["inputs"]) <= set(known)


def test_nobody_may_do_everything_or_do_it_everywhere() -> None:
    seen = 0
    for folder in FOLDERS:
        for (kind, name), said in blocks(folder, "data"):
            if kind != "aws_iam_policy_document":
                continue
            for statement in said.get("statement", []):
                allowed = statement.get("effect", "Allow") == "Allow"
                assert "not_actions" not in statement
                assert not allowed or not any("*" in action for action in statement["actions"]), name
                if allowed and "*" in statement.get("resources", []):
                    assert statement["sid"] == "JoinNetwork"  # EC2 knows no narrower resource; the code itself is denied them
                seen += 1
    assert seen >= 10


def test_whatever_holds_events_is_encrypted_and_closed() -> None:
    found = {(kind, name): said for folder in FOLDERS for (kind, name), said in blocks(folder, "resource")}
    kinds = {kind for kind, _ in found}
    buckets = {name for kind, name in found if kind == "aws_s3_bucket"}
    for kind in (
        "public_access_block",
        "server_side_encryption_configuration",
        "versioning",
        "lifecycle_configuration",
        "policy",
    ):
        assert {name for found_kind, name in found if found_kind == f"aws_s3_bucket_{kind}"} == buckets, kind
    assert not kinds & {"aws_internet_gateway", "aws_nat_gateway", "aws_vpc_security_group_ingress_rule", "aws_iam_access_key"}
    for (kind, _), said in found.items():
        if kind == "aws_kinesis_stream":
            assert said["encryption_type"] == "KMS"
        if kind == "aws_lambda_function_url":
            assert said["authorization_type"] == "AWS_IAM"
        if kind == "aws_cloudwatch_log_group":
            assert "retention_in_days" in said


def test_no_secret_and_no_account_is_written_down() -> None:
    for path in sorted(TERRAFORM.parent.rglob("*")):
        if path.suffix in {".tf", ".tfvars", ".hcl"}:
            text = path.read_text()
            assert not re.search(r"AKIA[0-9A-Z]{12,}|\b\d{12}\b|password", text), path.name
            assert set(re.findall(r'(?:access|secret)_key\s*=\s*local\.emulated \? "(\w+)"', text)) <= {"emulator"}, path.name
