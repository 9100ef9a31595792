"""What a reader finds: in the record, in the wave items, in the events (US-6, FR-3, FR-6, S000, S002 2.x)."""

from __future__ import annotations

import json
from typing import Any

from lab import Lab, wait_for, wave
from observer import ENRICHED
from run import Starter


def test_servers_are_described_as_ec2_and_drs_describe_them(lab: Lab, start: Starter) -> None:
    """FR-2.1, FR-2.6..2.9, FR-3.1..3.5, FR-3.8, AC-3A.1..3A.6, US-3A, T1.1..1.5, T2.4, T2.12..2.15, T5.2, T5.5, T5.10,
    S000, c-26b: every field holds what the service itself says now, under its camelCase name."""
    fleet = lab.fleet(3, recommendedInstanceType="r6i.2xlarge")
    run = start(lab.plan(fleet), options={"keepInstances": True})
    run.end("COMPLETED")
    listed = {one["sourceServerID"]: one for one in lab.recovery_instances(fleet).values()}
    (job,) = lab.jobs(fleet)
    ids = [one["ec2InstanceID"] for one in listed.values()]
    reservations = lab.client("ec2").describe_instances(InstanceIds=ids)["Reservations"]
    in_ec2 = {one["InstanceId"]: one for reservation in reservations for one in reservation["Instances"]}
    for number, (id, server) in enumerate(sorted(run.servers().items())):
        recovery, instance = listed[id], in_ec2[listed[id]["ec2InstanceID"]]
        assert (
            server["instanceId"] == server["ec2InstanceId"] == server["recoveredInstanceId"] == instance["InstanceId"]
        )
        assert (
            server["recoveryInstanceId"] == recovery["recoveryInstanceID"] and server["recoveryJobId"] == job["jobID"]
        )
        assert (server["instanceType"], server["privateIp"]) == (instance["InstanceType"], instance["PrivateIpAddress"])
        assert server["launchTime"][:19] == instance["LaunchTime"].strftime("%Y-%m-%dT%H:%M:%S")
        assert server["pointInTime"][:19] == recovery["pointInTimeSnapshotDateTime"][:19]
        assert server["hostname"].endswith(f"-{number}") and server["serverName"].startswith("server-")
        assert (server["launchStatus"], server["instanceState"], server["isDrill"]) == ("LAUNCHED", "running", True)
        assert server["pollAttempts"] >= 1 and server["lastPolledTime"] and server["launchedTime"]
        history = [one["status"] for one in server["transitionHistory"]]
        assert history[0] == "PENDING" and history[-1] == "LAUNCHED" and len(history) == len(set(history))
        assert all(one["at"] for one in server["transitionHistory"])


def test_waves_and_record_hold_what_a_status_view_draws(lab: Lab, start: Starter) -> None:
    """AC-6.1..6.5, AC-3A.7, FR-6.1..6.5, TC-1.4, TC-3.2, TC-3.3, S002 2.1, 2.3, T5.9, NFR-1.2."""
    run = start(lab.plan(lab.fleet(2), lab.fleet()), initiatedBy="ana@example.com")
    record = run.end("COMPLETED")
    for number, item in enumerate(run.waves(), start=1):
        assert item["waveKey"] == f"{number:04d}" and item["waveName"] == f"wave {number}"
        assert item["counts"]["ready"] == item["counts"]["total"] and item["counts"]["active"] == 0
        (job,) = item["jobs"]
        assert job["status"] == "COMPLETED" and job["jobId"].startswith("drsjob-")
        assert job["participatingServers"] == item["counts"]["total"] and job["startTime"] <= job["endTime"]
        assert item["startTime"] <= item["lastPolledTime"] <= item["endTime"] and item["pollAttempts"] >= 2
    assert record["executionArn"] == run.arn and record["executionId"] == run.id
    assert (record["executionType"], record["mode"], record["expectedDuration"]) == ("DRILL", "RUN", 2400)
    assert record["startTime"] < record["endTime"] == record["completedTime"] and record["durationSeconds"] >= 1
    assert [one["waveName"] for one in record["waves"]] == ["wave 1", "wave 2"]
    report = record["report"]
    assert (report["launched"], report["failed"], report["servers"]) == (3, 0, 3) and report["rtoSeconds"] >= 1
    lists = {"status": record["status"], "planId": record["planId"]}
    for index, key in (("StatusIndex", "status"), ("planIdIndex", "planId")):
        answer = lab.dynamodb.query(
            TableName=lab.tables["executionHistory"],
            IndexName=index,
            KeyConditionExpression="#k = :v",
            ExpressionAttributeNames={"#k": key},
            ExpressionAttributeValues={":v": {"S": lists[key]}},
        )
        assert run.id in [item["executionId"]["S"] for item in answer["Items"]], f"T2.3, T2.9, T2.10: {index}"


def test_completed_is_written_after_the_details(lab: Lab, start: Starter) -> None:
    """S000 (ordering), AC-2.3, c-01c: in no version of a wave item that says COMPLETED did a launched server
    lack anything, and the log has the enrichment before the settling."""
    run = start(lab.plan(lab.fleet(5)))
    run.end("COMPLETED")
    settled = next(item for item in run.watch.items["0001"] if item["status"] == "COMPLETED")
    stored = [
        shard
        for shard in run.watch.items["0001#01"]
        if all(all(one.get(field) for field in ENRICHED) for one in shard["serverStatuses"])
    ]
    assert stored and settled["endTime"] >= max(one["launchedTime"] for one in stored[0]["serverStatuses"])
    mine = [line for line in lab.worker_log() if line.get("span", {}).get("execution_id") == run.id]
    messages = [line["message"].split(":")[0] for line in mine]
    assert messages.index("EnrichmentApplied") < messages.index("WaveSettled") < messages.index("ExecutionFinalized")
    finalized = next(line for line in mine if line["message"] == "ExecutionFinalized")
    assert finalized["waves"] == "1 COMPLETED", "NFR-3.2: the final status with every wave's"


def test_people_are_told_of_gates_and_never_given_a_token(lab: Lab, start: Starter) -> None:
    """US-5, c-41, c-42: EventBridge carries who, what and why; the token stays in the record."""
    sqs, events = lab.client("sqs"), lab.client("events")
    name = f"gates-{lab.number()}"
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    bus = lab.stack.options.prefix
    events.put_rule(Name=name, EventBusName=bus, EventPattern=json.dumps({"source": ["tidegate"]}))
    events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": "queue", "Arn": arn}])
    failing = lab.fleet()
    lab.fault({"fault": "launchFails", "sourceServerId": failing.ids[0]})
    run = start(lab.plan(wave(lab.fleet(), pauseBeforeWave=True), wave(failing, onFailure="gate")))
    tokens = [run.answer({})]
    tokens.append(run.answer("abort", other_than=tokens[0]))
    run.end("FAILED", error="Tidegate.RecoveryFailed")

    told: list[dict[str, Any]] = []

    def all_told() -> bool:
        for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
            told.append(json.loads(message["Body"]))
        return len(told) >= 2

    wait_for(all_told, "two events")
    events.remove_targets(Rule=name, EventBusName=bus, Ids=["queue"])
    events.delete_rule(Name=name, EventBusName=bus)
    seen = [(one["detail-type"], one["detail"]["executionId"], one["detail"]["waveNumber"]) for one in told]
    assert seen == [("Tidegate Execution Paused", run.id, 1), ("Tidegate Decision Needed", run.id, 2)]
    assert not any(token in json.dumps(told) for token in tokens)


def test_one_wave_reaches_into_two_regions(lab: Lab, start: Starter) -> None:
    """c-25: groups launch in parallel, each in its own Region, each with a job of its own."""
    west, east = lab.fleet(2), lab.fleet(1, region="us-east-2")
    run = start(lab.plan(wave(west, east)))
    record = run.end("COMPLETED")
    assert {(one["region"], one["participatingServers"]) for one in run.waves()[0]["jobs"]} == {
        ("us-west-2", 2),
        ("us-east-2", 1),
    }
    assert record["cleanup"]["instances"] == 3 and not lab.recovery_instances(west) and not lab.recovery_instances(east)
