"""Faults and shipped scenarios: each must look to a client as the real failure does."""

import json
import urllib.error

import botocore.exceptions
import pytest
from conftest import SIMULATOR, finished, job_of, log_of, wait_until
from test_conformance import APP1, DB1, DB2, WEB1, everything, recover, refused

APP2 = "s-3c2a1000000000022"


def test_one_server_of_a_job_fails(scenario):
    drs = scenario("one-server-fails").client()
    job = finished(drs, recover(drs, APP1, APP2)["jobID"])
    assert {s["sourceServerID"]: s["launchStatus"] for s in job["participatingServers"]} == {APP1: "LAUNCHED", APP2: "FAILED"}
    failed = [item["eventData"] for item in log_of(drs, job["jobID"]) if item["event"] == "LAUNCH_FAILED"]
    assert [data["sourceServerID"] for data in failed] == [APP2] and "InsufficientInstanceCapacity" in failed[0]["rawError"]
    results = {s["sourceServerID"]: s["lastLaunchResult"] for s in everything(drs, "describe_source_servers")[0]}
    assert (results[APP1], results[APP2], results[DB1]) == ("SUCCEEDED", "FAILED", "NOT_STARTED")


def test_a_missing_permission_is_silent(scenario):
    drs = scenario("missing-permission").client()
    job = finished(drs, recover(drs, APP1)["jobID"])
    assert job["participatingServers"][0]["launchStatus"] == "FAILED"
    log = wait_until("JOB_END", lambda: (log := log_of(drs, job["jobID"]))[-1]["event"] == "JOB_END" and log)
    assert [item["event"] for item in log] == ["JOB_START", "SNAPSHOT_START", "SNAPSHOT_END", "JOB_END"]
    assert all("rawError" not in item["eventData"] for item in log)


def test_a_stuck_server_holds_its_job(scenario):
    simulator = scenario("never-launches")
    drs = simulator.client()
    job_id = recover(drs, APP1, APP2)["jobID"]
    other = lambda: job_of(drs, job_id)["participatingServers"][1]["launchStatus"] == "LAUNCHED"  # noqa: E731
    wait_until("the other server LAUNCHED", other)
    job = job_of(drs, job_id)
    assert job["status"] == "STARTED" and job["participatingServers"][0]["launchStatus"] == "PENDING"
    assert refused(lambda: recover(drs, APP1))["Error"]["Code"] == "ConflictException"


def test_an_action_fails_after_the_launch(scenario):
    drs = scenario("post-launch-fails").client()
    job_id = recover(drs, WEB1, drill=False)["jobID"]
    assert finished(drs, job_id)["participatingServers"][0]["launchStatus"] == "LAUNCHED"
    runs = lambda: job_of(drs, job_id)["participatingServers"][0]["launchActionsStatus"]["runs"]  # noqa: E731
    ended = wait_until("actions over", lambda: all(r["status"] != "IN_PROGRESS" for r in runs()) and runs())
    assert [(r["action"]["name"], r["status"]) for r in ended] == [("HTTP response", "FAILED"), ("CloudWatch agent", "SUCCEEDED")]
    assert "503" in ended[0]["failureReason"]
    server = drs.describe_source_servers(filters={"sourceServerIDs": [WEB1]})["items"][0]
    assert server["lastLaunchResult"] == "FAILED"


def test_slow_actions_outlive_their_job(start):
    simulator = start("--inventory", SIMULATOR / "inventory" / "crm.json", speed=1200)
    simulator.control("POST", "faults", {"fault": "slowPostLaunch", "factor": 1000})
    drs = simulator.client()
    job_id = recover(drs, DB1, drill=False)["jobID"]
    server = finished(drs, job_id)["participatingServers"][0]
    assert server["launchStatus"] == "LAUNCHED"
    assert [run["status"] for run in server["launchActionsStatus"]["runs"]] == ["IN_PROGRESS"]


def test_an_accepted_job_whose_answer_is_lost_can_be_found(crm):
    crm.control("POST", "faults", {"fault": "dropAfterEffect", "operation": "StartRecovery", "count": 1})
    drs = crm.client()
    with pytest.raises(botocore.exceptions.ConnectionClosedError):
        recover(drs, DB1, tags={"intent": "1"})
    assert [job["tags"] for job in drs.describe_jobs()["items"]] == [{"intent": "1"}]
    crm.control("POST", "faults", {"fault": "errorAfterEffect", "operation": "StartRecovery", "count": 1})
    assert refused(lambda: recover(drs, DB2))["Error"]["Code"] == "InternalServerException"
    assert len(drs.describe_jobs()["items"]) == 2
    entries = crm.control("GET", "journal?operation=StartRecovery")["entries"]
    assert [(e["effect"], e["answered"], e["status"]) for e in entries] == [(True, False, 202), (True, True, 500)]


def test_a_call_dropped_before_its_effect_has_none(crm):
    crm.control("POST", "faults", [{"fault": "dropBeforeEffect", "operation": "StartRecovery", "sourceServerId": DB1}])
    drs = crm.client()
    with pytest.raises(botocore.exceptions.ConnectionClosedError):
        recover(drs, DB1)
    assert drs.describe_jobs()["items"] == []
    recover(drs, DB2)


def test_throttling_says_how_long_and_boto_gets_through(crm):
    crm.control("POST", "faults", {"fault": "throttle", "operation": "DescribeJobs", "count": 2, "retryAfterSeconds": 3})
    response = refused(crm.client().describe_jobs)
    assert response["Error"]["Code"] == "ThrottlingException"
    assert response["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "3"
    assert crm.client(retries=2).describe_jobs()["items"] == []
    assert crm.control("GET", "faults")["faults"][0]["fired"] == 2


def test_more_calls_than_the_request_rate_are_throttled_with_nobody_scripting_it(start):
    simulator = start("--inventory", SIMULATOR / "inventory" / "crm.json", speed=1)
    drs = simulator.client()
    refusals = []
    for _ in range(100):
        try:
            drs.get_launch_configuration(sourceServerID=DB1)
        except botocore.exceptions.ClientError as error:
            refusals.append(error.response)
    assert 20 <= len(refusals) <= 50, "a burst of 50 and what came back meanwhile were served"
    assert {refusal["Error"]["Code"] for refusal in refusals} == {"ThrottlingException"}
    assert {refusal["ResponseMetadata"]["HTTPHeaders"]["retry-after"] for refusal in refusals} == {"1"}
    assert drs.describe_jobs()["items"] == [], "another operation has its own rate"
    assert simulator.control("GET", "calls")["operations"]["GetLaunchConfiguration"]["errors"] == len(refusals)


def test_a_scenario_says_the_rate_of_an_operation(crm):
    crm.control("POST", "scenario", {"requestRates": {"operations": {"DescribeJobs": {"perSecond": 0.00001, "burst": 1}}}})
    drs = crm.client()
    drs.describe_jobs()
    response = refused(drs.describe_jobs)
    assert response["Error"]["Code"] == "ThrottlingException"
    assert 0 < int(response["ResponseMetadata"]["HTTPHeaders"]["retry-after"]) <= 100_000 / 6_000 + 1
    drs.describe_source_servers()
    with pytest.raises(urllib.error.HTTPError):
        crm.control("POST", "scenario", {"requestRates": {"operations": {"DescribeJob": {"perSecond": 1, "burst": 1}}}})
    with pytest.raises(urllib.error.HTTPError):
        crm.control("POST", "scenario", {"requestRates": {"reads": {"perSecond": 0, "burst": 1}}})


def test_denied_failing_and_slow_calls(crm):
    drs = crm.client()
    crm.control("POST", "faults", {"fault": "accessDenied", "operation": "DescribeJobs", "count": 1})
    crm.control("POST", "faults", {"fault": "serverError", "operation": "DescribeSourceServers", "count": 1})
    crm.control("POST", "faults", {"fault": "uninitialized", "operation": "DescribeRecoveryInstances", "count": 1})
    crm.control("POST", "faults", {"fault": "slowAnswer", "operation": "ListRecoveryPlans", "seconds": 30})
    assert refused(drs.describe_jobs)["Error"]["Code"] == "AccessDeniedException"
    assert refused(drs.describe_source_servers)["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert refused(drs.describe_recovery_instances)["Error"]["Code"] == "UninitializedAccountException"
    with pytest.raises(botocore.exceptions.ReadTimeoutError):
        crm.client(read_timeout=0.2).list_recovery_plans()
    crm.control("DELETE", "faults")
    assert drs.list_recovery_plans()["recoveryPlans"] == []


def test_an_instance_may_be_listed_late_and_its_id_never_shown(start):
    simulator = start("--generate-servers", 1, speed=1200)
    simulator.control("POST", "faults", [{"fault": "losesRecoveryInstanceId"}, {"fault": "listLag", "seconds": 86400}])
    drs = simulator.client()
    job_id = recover(drs, "s-00000000000000001")["jobID"]
    shown = []

    def over():
        job = job_of(drs, job_id)
        shown.append("recoveryInstanceID" in job["participatingServers"][0])
        return job["status"] == "COMPLETED"

    wait_until("job COMPLETED", over)
    assert not any(shown) and drs.describe_recovery_instances()["items"] == []
    targets = [item["eventData"].get("targetInstanceID") for item in log_of(drs, job_id) if item["event"] == "LAUNCH_END"]
    assert len(targets) == 1 and targets[0].startswith("i-"), "the log still tells it"


def test_reads_are_told_from_calls_that_change_something(slow_crm):
    crm = slow_crm
    drs = crm.client()
    everything(drs, "describe_source_servers")
    drs.get_launch_configuration(sourceServerID=DB1)
    calls = crm.control("GET", "calls")
    assert (calls["total"], calls["mutating"], calls["mutatingEffects"]) == (4, 0, 0)
    recover(drs, DB1)
    refused(lambda: recover(drs, DB1))
    calls = crm.control("GET", "calls")
    assert (calls["mutating"], calls["mutatingEffects"]) == (2, 1)
    assert calls["operations"]["StartRecovery"] == {"calls": 2, "effects": 1, "errors": 1}
    entries = crm.control("GET", "journal?mutating=true")["entries"]
    assert entries[0]["request"]["sourceServers"] == [{"sourceServerID": DB1}] and entries[0]["account"] == "000000000000"
    assert entries[1]["error"] == "ConflictException"
    crm.control("DELETE", "journal")
    assert crm.control("GET", "calls")["total"] == 0


def test_reset_and_servers_at_run_time(crm):
    drs = crm.client()
    recover(drs, DB1)
    added = {"region": "us-west-2", "servers": [{"sourceServerId": "s-000000000000000aa", "hostname": "late"}]}
    assert crm.control("POST", "servers", added) == {"added": 1}
    assert len(everything(drs, "describe_source_servers")[0]) == 8
    first = drs.describe_jobs()["items"][0]["jobID"]
    crm.control("POST", "faults", {"fault": "throttle"})
    crm.control("POST", "reset")
    assert drs.describe_jobs()["items"] == [] and len(everything(drs, "describe_source_servers")[0]) == 7
    assert recover(drs, DB1)["jobID"] != first, "a client that follows the job it had does not meet another"


def test_every_shipped_file_is_accepted(start):
    inventories = sorted((SIMULATOR / "inventory").glob("*.json"))
    simulator = start(*[part for file in inventories for part in ("--inventory", file)])
    scenarios = sorted((SIMULATOR / "scenarios").glob("*.json"))
    assert len(inventories) >= 3 and len(scenarios) >= 5
    for file in scenarios:
        simulator.control("POST", "scenario", json.loads(file.read_text()))
        assert simulator.control("GET", "faults")["faults"], file.name


def test_the_same_seed_gives_the_same_ids_within_a_life(start):
    def job(seed, *life):
        return recover(start("--generate-servers", 1, "--seed", seed, *life).client(), "s-00000000000000001")["jobID"]

    assert job(5) == job(5)
    assert len({job(5), job(6), job(5, "--life", 1), job(5, "--life", 2)}) == 4
