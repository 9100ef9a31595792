"""Starts the built simulator on a free port and gives tests boto3 clients whose every answer is checked."""

import json
import pathlib
import subprocess
import sys
import time
import urllib.error
import urllib.request

import boto3
import botocore.config
import botocore.session
import pytest
from drs_shapes import problems

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from local import binaries

SIMULATOR = ROOT / "simulator"
MODEL = botocore.session.get_session().get_service_model("drs")


def binary():
    path = binaries.folder() / "tidegate-simulator"
    if not path.exists():
        pytest.fail(f"{path.name} is not built: cargo build -p tidegate-simulator", pytrace=False)
    return path


class Simulator:
    """A running simulator. `answers` are all answers of the DRS API so far, each already checked."""

    def __init__(self, *arguments, speed=6000):
        instances = [] if "--instances" in arguments else ["--instances", "memory"]
        command = [binary(), *instances, "--speed", str(speed), *map(str, arguments)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        assert line, f"the simulator ended with {self.process.wait()} before it listened"
        self.url = json.loads(line)["listening"]
        self.answers = []

    def client(self, region="us-west-2", account="000000000000", retries=0, read_timeout=10):
        client = boto3.client(
            "drs",
            region_name=region,
            endpoint_url=self.url,
            aws_access_key_id=account,
            aws_secret_access_key="unchecked",
            config=botocore.config.Config(retries={"total_max_attempts": retries + 1}, read_timeout=read_timeout),
        )
        client.meta.events.register("before-parse.drs", self._check)
        return client

    def _check(self, operation_model, response_dict, **_):
        """The raw answer against the model: status, headers, body."""
        status, headers, text = response_dict["status_code"], response_dict["headers"], response_dict["body"]
        body = json.loads(text) if text else {}
        self.answers.append((operation_model.name, status, body))
        if status < 300:
            assert status == operation_model.http["responseCode"], f"{operation_model.name} answered {status}"
            if operation_model.output_shape:
                found = problems(operation_model.output_shape, body)
            else:
                found = [f"{operation_model.name} has a body: {body}"] if body else []
        else:
            name = headers["x-amzn-errortype"]
            shape = MODEL.shape_for(name)
            assert status == shape.metadata["error"]["httpStatusCode"], f"{name} came with {status}"
            found = problems(shape, body)
        assert not found, f"{operation_model.name}: " + "; ".join(found)

    def control(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(f"{self.url}/_simulator/{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def stop(self):
        self.process.terminate()
        try:
            return self.process.wait(timeout=10)
        finally:
            self.process.stdout.close()


def wait_until(what, condition, seconds=30):
    """The first truthy value of `condition`; fails, saying `what`, when there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.01)


def job_of(client, job_id):
    return client.describe_jobs(filters={"jobIDs": [job_id]})["items"][0]


def finished(client, job_id):
    """The job, once it is COMPLETED."""
    condition = lambda: (job := job_of(client, job_id))["status"] == "COMPLETED" and job  # noqa: E731
    return wait_until(f"job {job_id} COMPLETED", condition)


def log_of(client, job_id):
    pages = client.get_paginator("describe_job_log_items").paginate(jobID=job_id)
    return [item for page in pages for item in page["items"]]


@pytest.fixture
def start():
    """Starts simulators and stops them after the test."""
    running = []

    def begin(*arguments, **options):
        running.append(Simulator(*arguments, **options))
        return running[-1]

    yield begin
    for simulator in running:
        if simulator.process.poll() is None:
            assert simulator.stop() == 0


@pytest.fixture
def crm(start):
    """A simulator with the CRM estate."""
    return start("--inventory", SIMULATOR / "inventory" / "crm.json", "--page-size", 3)


@pytest.fixture
def slow_crm(start):
    """The same at the speed of AWS: a job that is started stays unfinished however long a test takes."""
    return start("--inventory", SIMULATOR / "inventory" / "crm.json", "--page-size", 3, speed=1)


@pytest.fixture
def scenario(start):
    """A simulator with the CRM estate in one of the shipped scenarios."""

    def begin(name, **options):
        inventory, file = SIMULATOR / "inventory" / "crm.json", SIMULATOR / "scenarios" / f"{name}.json"
        return start("--inventory", inventory, "--scenario", file, **options)

    return begin
