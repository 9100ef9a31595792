"""What DRS would delete before it launches a server: asked for by name, or refused (ADR 0015). The simulator deletes as AWS's pages say."""

from __future__ import annotations

from typing import Any

from lab import Fleet, Lab, wait_for, wave
from run import Run, Starter

KEEP = {"keepInstances": True}


def instance_of(lab: Lab, fleet: Fleet) -> str:
    """The one living recovery instance DRS lists of a fleet of one."""
    alive = [one for one in lab.recovery_instances(fleet).values() if one["ec2InstanceState"] == "RUNNING"]
    assert len(alive) == 1, alive
    return str(alive[0]["recoveryInstanceID"])


def state(lab: Lab, instance: str) -> str:
    return lab.instance_states([instance])[instance]


def forget(lab: Lab, instance: str) -> None:
    """Takes an instance out of DRS, as reprotecting people do; it runs on."""
    drs = lab.client("drs")
    drs.disconnect_recovery_instance(recoveryInstanceID=instance)
    drs.delete_recovery_instance(recoveryInstanceID=instance)


def test_no_drill_deletes_what_was_recovered(lab: Lab, start: Starter) -> None:
    """The quarterly drill after a real failover. There is no option for it."""
    fleet = lab.fleet()
    recovered = start(fleet, "RECOVERY")
    recovered.end("COMPLETED")
    instance = instance_of(lab, fleet)
    for options in ({}, {"replaceDrill": True}):
        cause = start(fleet, options=options).refused("Tidegate.PlanRefused")
        assert f"{fleet.ids[0]} has the recovery instance {instance} of execution {recovered.id}" in cause
        assert "reprotect" in cause and "leave the server out" in cause and "options." not in cause
    cause = start(fleet, options={"replaceRecovered": True}).refused("Tidegate.InvalidInput")
    assert "options.replaceRecovered: is for recoveries only" in cause
    assert len(lab.jobs(fleet)) == 1 and state(lab, instance) == "running"


def test_a_server_that_was_recovered_during_a_pause_is_not_drilled(lab: Lab, start: Starter) -> None:
    """A gate lies between Prepare and the wave: the look right before the call counts, and costs one server."""
    fleet = lab.fleet(2)
    run = start(lab.plan(wave(fleet, pauseBeforeWave=True, minLaunched=1)))
    run.gate()
    lab.client("drs").start_recovery(sourceServers=[{"sourceServerID": fleet.ids[0]}], isDrill=False)
    wait_for(lambda: lab.recovery_instances(fleet), "the operator's instance")
    wait_for(lambda: all(job["status"] == "COMPLETED" for job in lab.jobs(fleet)), "the operator's job to end")
    instance = instance_of(lab, fleet)
    run.answer({})
    run.end("PARTIAL")
    servers = run.servers()
    assert servers[fleet.ids[0]]["launchStatus"] == "FAILED" and instance in servers[fleet.ids[0]]["error"]
    assert servers[fleet.ids[1]]["launchStatus"] == "LAUNCHED"
    assert state(lab, instance) == "running"


def test_a_recovery_replaces_a_recovered_server_only_when_told_so(lab: Lab, start: Starter) -> None:
    fleet = lab.fleet()
    start(fleet, "RECOVERY").end("COMPLETED")
    first = instance_of(lab, fleet)
    cause = start(fleet, "RECOVERY").refused("Tidegate.PlanRefused")
    assert first in cause and "options.replaceRecovered" in cause and "would delete" in cause
    cause = start(fleet, "RECOVERY", options={"relaunchRecovered": True}).refused("Tidegate.InvalidInput")
    assert "is called replaceRecovered now" in cause
    record = start(fleet, "RECOVERY", options={"replaceRecovered": True}).end("COMPLETED")
    assert any(first in warning["message"] and "DRS deletes it" in warning["message"] for warning in record["warnings"])
    assert state(lab, first) == "terminated" and state(lab, instance_of(lab, fleet)) == "running"


def told(run: Run, by: Run, instance: str) -> None:
    """The run that loses an instance says by whom."""
    record = run.record()
    assert [(one["executionId"], one["instanceIds"]) for one in record["replacedBy"]] == [(by.id, [instance])]
    entry = next(one for one in record["timeline"] if one["event"] == "INSTANCES_REPLACED")
    assert by.id in entry["detail"] and instance in entry["detail"]


def test_a_drill_replaces_another_runs_drill_only_when_told_so(lab: Lab, start: Starter) -> None:
    fleet = lab.fleet()
    kept = start(fleet, options=KEEP)
    kept.end("COMPLETED")
    instance = instance_of(lab, fleet)
    cause = start(fleet).refused("Tidegate.PlanRefused")
    assert f"the drill instance {instance} of execution {kept.id}" in cause and "options.replaceDrill" in cause
    assert state(lab, instance) == "running"
    second = start(fleet, options={"replaceDrill": True})
    record = second.end("COMPLETED")
    assert any(kept.id in warning["message"] for warning in record["warnings"])
    told(kept, second, instance)
    assert state(lab, instance) == "terminated"


def test_a_held_drill_that_lost_its_instances_ends_well_and_leaves_the_recovery_alone(lab: Lab, start: Starter) -> None:
    """A disaster during a rehearsal: the recovery goes on, the rehearsal's late cleanup touches nothing of it and says what it lost."""
    fleet = lab.fleet()
    held = start(fleet, options={"holdSeconds": 25})
    held.wait_status("COMPLETED")
    instance = instance_of(lab, fleet)
    recovery = start(fleet, "RECOVERY")
    record = recovery.end("COMPLETED")
    warning = next(one for one in record["warnings"] if instance in one["message"])
    assert held.id in warning["message"], "the run whose instances go is named"
    held.end("COMPLETED")
    told(held, recovery, instance)
    cleanup = held.record()["cleanup"]
    assert (cleanup["status"], cleanup["instances"]) == ("COMPLETED", 0)
    assert [(one["instanceId"], one["by"]) for one in cleanup["replaced"]] == [(instance, recovery.id)]
    assert state(lab, instance_of(lab, fleet)) == "running" and not lab.journal("TerminateRecoveryInstances", fleet)


def test_an_instance_that_drs_lists_no_more_is_found_by_its_tags(lab: Lab, start: Starter) -> None:
    """Deleted in DRS it still serves production, and the next launch would delete it."""
    fleet = lab.fleet()
    start(fleet, "RECOVERY").end("COMPLETED")
    instance = instance_of(lab, fleet)
    forget(lab, instance)
    assert not lab.recovery_instances(fleet)
    for kind in ("DRILL", "RECOVERY"):
        cause = start(fleet, kind).refused("Tidegate.PlanRefused")
        assert instance in cause and "although DRS lists it no more" in cause
    assert state(lab, instance) == "running" and len(lab.jobs(fleet)) == 1


def test_what_ec2_has_terminated_refuses_nothing(lab: Lab, start: Starter) -> None:
    fleet = lab.fleet()
    start(fleet, "RECOVERY").end("COMPLETED")
    instance = instance_of(lab, fleet)
    lab.client("ec2").terminate_instances(InstanceIds=[instance])
    lab.control("POST", "ec2-terminated", {"instanceId": instance})
    assert lab.recovery_instances(fleet)[instance]["ec2InstanceState"] == "TERMINATED", "its record stays"
    start(fleet, "RECOVERY").end("COMPLETED")


def dead_one(lab: Lab, fleet: Fleet) -> str:
    instance = sorted(lab.recovery_instances(fleet))[0]
    lab.client("ec2").terminate_instances(InstanceIds=[instance])
    return instance


def test_one_dead_instance_keeps_no_cleanup_from_the_others(lab: Lab, start: Starter) -> None:
    """A cost tool has terminated one of four during the hold; DRS calls it running and refuses any call that names it."""
    fleet = lab.fleet(4)
    run = start(fleet, options={"holdSeconds": 60})
    run.wait_status("COMPLETED")
    dead = dead_one(lab, fleet)
    run.end("COMPLETED")
    record: dict[str, Any] = run.record()
    assert (record["cleanup"]["status"], record["cleanup"]["instances"]) == ("COMPLETED", 3)
    assert dead not in str(lab.journal("TerminateRecoveryInstances")[-1]["request"])


def test_a_cleanup_that_finds_an_instance_alive_without_drs_fails_and_names_it(lab: Lab, start: Starter) -> None:
    """DRS has forgotten the instance, EC2 runs it: "terminated" would be a lie."""
    fleet = lab.fleet(2)
    run = start(fleet, options={"holdSeconds": 60})
    run.wait_status("COMPLETED")
    stranded = sorted(lab.recovery_instances(fleet))[0]
    forget(lab, stranded)
    run.wait_until(lambda record: record.get("cleanup", {}).get("status") == "FAILED", "the cleanup to fail", 240.0)
    run.end("COMPLETED")
    cleanup = run.record()["cleanup"]
    assert stranded in cleanup["error"] and "DRS lists it no more" in cleanup["error"]
    rows = {one["instanceId"]: one.get("instanceState") for one in run.servers().values()}
    assert rows[stranded] != "terminated" and state(lab, stranded) == "running"
