"""The simulator launches through a real EC2 API: what DRS tells must be what EC2 holds."""

import os
import pathlib
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import boto3
import pytest
from conftest import SIMULATOR, finished, log_of, wait_until
from test_conformance import APP1, BATCH, DB1, DB2, recover

ACCOUNT = "111122223333"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def endpoint():
    """MiniStack on a free port. It is pinned beside boto3 in local/requirements.txt."""
    beside = pathlib.Path(sys.executable).parent / "ministack"
    program = str(beside) if beside.exists() else shutil.which("ministack")
    assert program, "ministack is not installed beside this Python: see local/requirements.txt"
    port = free_port()
    environment = {**os.environ, "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port)}
    process = subprocess.Popen([program], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"

    def healthy():
        assert process.poll() is None, "MiniStack ended"
        try:
            return urllib.request.urlopen(f"{url}/_ministack/health", timeout=1).status == 200
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    try:
        wait_until("MiniStack answers", healthy)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=20)


@pytest.fixture
def worlds(start, endpoint):
    """A simulator with the CRM estate in account 111122223333, its DRS client, and EC2 of the same account."""
    inventory = SIMULATOR / "inventory" / "crm.json"
    simulator = start("--instances", "ec2", "--ec2-endpoint", endpoint, "--inventory", inventory, "--account", ACCOUNT)
    ec2 = boto3.client(
        "ec2", region_name="us-west-2", endpoint_url=endpoint, aws_access_key_id=ACCOUNT, aws_secret_access_key="unchecked"
    )
    return simulator.client(account=ACCOUNT), ec2


def by_server(ec2, job_id):
    """The job's instances as EC2 tells them, by source server."""
    reservations = ec2.describe_instances()["Reservations"]
    instances = {}
    for instance in (instance for reservation in reservations for instance in reservation["Instances"]):
        tags = {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])}
        if tags.get("drs.amazonaws.com-job") == job_id:
            instances[tags["drs.amazonaws.com-source-server"]] = (instance, tags)
    return instances


def test_recovery_instances_are_instances_of_ec2(worlds):
    drs, ec2 = worlds
    job_id = recover(drs, DB1, DB2, BATCH)["jobID"]
    finished(drs, job_id)
    told = {
        item["eventData"]["sourceServerID"]: item["eventData"]["targetInstanceID"]
        for item in log_of(drs, job_id)
        if item["event"] == "LAUNCH_END"
    }
    held = by_server(ec2, job_id)
    assert {server: instance["InstanceId"] for server, (instance, _) in held.items()} == told
    instance, tags = held[DB1]
    assert instance["InstanceType"] == "r6i.2xlarge"
    assert tags["Name"] == "crm-db-01" and tags["application"] == "crm" and "AWSElasticDisasterRecoveryManaged" in tags
    stopped = lambda: by_server(ec2, job_id)[BATCH][0]["State"]["Name"] == "stopped"  # noqa: E731
    wait_until("the instance of launchDisposition STOPPED is stopped in EC2", stopped)
    listed = wait_until("instances listed", lambda: len(items := drs.describe_recovery_instances()["items"]) == 3 and items)
    database = next(item for item in listed if item["sourceServerID"] == DB1)
    ips = database["recoveryInstanceProperties"]["networkInterfaces"][0]["ips"]
    assert ips == [instance["PrivateIpAddress"]]

    drs.update_launch_configuration(sourceServerID=APP1, copyPrivateIp=True)
    copied = recover(drs, APP1)["jobID"]
    finished(drs, copied)
    assert by_server(ec2, copied)[APP1][0]["PrivateIpAddress"] == "10.20.2.21"


def test_the_launch_template_of_a_server_is_one_of_ec2(worlds):
    """Clients read and change it there: instance type, subnet, security groups."""
    drs, ec2 = worlds
    template = drs.get_launch_configuration(sourceServerID=DB1)["ec2LaunchTemplateID"]
    (version,) = ec2.describe_launch_template_versions(LaunchTemplateId=template, Versions=["$Latest"])["LaunchTemplateVersions"]
    assert version["LaunchTemplateData"]["InstanceType"] == "r6i.2xlarge"
    assert drs.get_launch_configuration(sourceServerID=DB1)["ec2LaunchTemplateID"] == template
    other = drs.update_launch_configuration(sourceServerID=DB2, copyTags=True)["ec2LaunchTemplateID"]
    assert other != template and ec2.describe_launch_templates(LaunchTemplateIds=[template, other])["LaunchTemplates"]


def test_termination_and_a_second_drill_reach_ec2(worlds):
    drs, ec2 = worlds
    first = recover(drs, DB1)["jobID"]
    finished(drs, first)
    second = recover(drs, DB1)["jobID"]
    finished(drs, second)
    state = lambda job_id: by_server(ec2, job_id)[DB1][0]["State"]["Name"]  # noqa: E731
    wait_until("the former drill is terminated in EC2", lambda: state(first) in ("shutting-down", "terminated"))
    assert state(second) == "running"
    listed = wait_until("instance listed", lambda: drs.describe_recovery_instances()["items"])
    job = drs.terminate_recovery_instances(recoveryInstanceIDs=[listed[0]["recoveryInstanceID"]])["job"]
    finished(drs, job["jobID"])
    wait_until("the drill is terminated in EC2", lambda: state(second) in ("shutting-down", "terminated"))


def test_an_ec2_that_cannot_be_reached_fails_the_launch_with_its_words(start):
    simulator = start(
        "--instances", "ec2", "--ec2-endpoint", f"http://127.0.0.1:{free_port()}", "--generate-servers", 1
    )
    drs = simulator.client()
    job = finished(drs, recover(drs, "s-00000000000000001")["jobID"])
    assert job["participatingServers"][0]["launchStatus"] == "FAILED"
    errors = [item["eventData"]["rawError"] for item in log_of(drs, job["jobID"]) if item["event"] == "LAUNCH_FAILED"]
    assert len(errors) == 1 and "RunInstances" in errors[0]


def test_a_caller_with_an_assumed_role_acts_in_the_account_of_the_role(start, endpoint):
    simulator = start("--instances", "ec2", "--ec2-endpoint", endpoint, "--inventory", SIMULATOR / "inventory" / "accounts.json")
    hub = {"aws_access_key_id": ACCOUNT, "aws_secret_access_key": "unchecked", "region_name": "us-west-2", "endpoint_url": endpoint}
    role = boto3.client("sts", **hub).assume_role(RoleArn="arn:aws:iam::444455556666:role/target", RoleSessionName="worker")
    drs = simulator.client(account=role["Credentials"]["AccessKeyId"])
    servers = drs.describe_source_servers()["items"]
    assert [server["sourceServerID"] for server in servers] == ["s-b1110000000000001"]
    job_id = recover(drs, "s-b1110000000000001")["jobID"]
    finished(drs, job_id)
    there = boto3.client("ec2", **{**hub, "aws_access_key_id": "444455556666"})
    assert list(by_server(there, job_id)) == ["s-b1110000000000001"]
    assert by_server(boto3.client("ec2", **hub), job_id) == {}
