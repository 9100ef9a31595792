# The shapes come from the contract's schemas; each run spoils one thing in a plan that is accepted.

run "the_plan_that_the_refusals_spoil_is_accepted" {
  command = plan
  variables {
    plans = { "a.json" = "{\"planId\": \"p\", \"planName\": \"P\", \"waves\": [{\"waveNumber\": 1, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}]}]}" }
  }

  assert {
    condition     = length(output.problems) == 0 && output.plans["p"].text != ""
    error_message = "A plan with what is required and nothing more."
  }
}

run "every_example_is_accepted" {
  command = plan
  variables {
    plans             = { for file in fileset("../../../statemachine/inputs/plans", "*.json") : file => file("../../../statemachine/inputs/plans/${file}") }
    protection_groups = { for file in fileset("../../../statemachine/inputs/protection-groups", "*.json") : file => file("../../../statemachine/inputs/protection-groups/${file}") }
  }

  assert {
    condition     = length(output.problems) == 0 && length(output.plans) == length(fileset("../../../statemachine/inputs/plans", "*.json"))
    error_message = "Every example can be used."
  }
}

run "a_plan_with_everything_is_accepted" {
  command = plan
  variables {
    plans             = { "full.json" = "{\"planId\": \"p\", \"planName\": \"P\", \"waves\": [{\"waveNumber\": 1, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"groupName\": \"n\", \"importance\": \"optional\", \"accountId\": \"444455556666\", \"sourceServerIds\": [\"s-00000000000000001\"], \"serverOptions\": {\"s-00000000000000001\": {\"importance\": \"critical\", \"recoverySnapshotId\": \"pit-00000000000000001\"}}}], \"pauseBeforeWave\": true, \"gateTimeoutSeconds\": 60, \"timeoutSeconds\": 60, \"waitAfterSeconds\": 1, \"onFailure\": \"gate\", \"minLaunched\": \"80%\"}, {\"waveNumber\": 2, \"waveName\": \"a\", \"groups\": [{\"protectionGroupId\": \"g\"}], \"minLaunched\": 1}], \"description\": \"d\"}" }
    protection_groups = { "g.json" = "{\"groupId\": \"g\", \"groupName\": \"G\", \"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}" }
    account_ids       = ["444455556666"]
    recovery_regions  = ["us-west-2"]
  }

  assert {
    condition     = output.plans["p"].name == "P" && length(output.problems) == 0
    error_message = "Every member the schema knows may be there."
  }
}

run "refuses_what_is_no_json" {
  command = plan
  variables {
    plans             = { "a.json" = "{" }
    protection_groups = {}
  }
  expect_failures = [var.plans]
}

run "refuses_a_list" {
  command = plan
  variables {
    plans             = { "a.json" = "[]" }
    protection_groups = {}
  }
  expect_failures = [var.plans]
}

run "refuses_a_group_that_is_no_json" {
  command = plan
  variables {
    plans             = {}
    protection_groups = { "a.json" = "no" }
  }
  expect_failures = [var.protection_groups]
}

run "refuses_an_unknown_member" {
  command = plan
  variables {
    plans             = { "a.json" = "{\"planId\": \"p\", \"planName\": \"P\", \"waves\": [{\"waveNumber\": 1, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"sourceServerIds\": [\"s-00000000000000001\"]}]}], \"wavs\": []}" }
    protection_groups = { "g.json" = "{\"groupId\": \"g\", \"groupName\": \"G\", \"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}" }
  }
  expect_failures = [terraform_data.checked]
}

run "refuses_a_missing_name" {
  command = plan
  variables {
    plans             = { "a.json" = "{\"planId\": \"p\", \"waves\": [{\"waveNumber\": 1, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"sourceServerIds\": [\"s-00000000000000001\"]}]}]}" }
    protection_groups = { "g.json" = "{\"groupId\": \"g\", \"groupName\": \"G\", \"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}" }
  }
  expect_failures = [terraform_data.checked]
}

run "refuses_an_id_with_spaces" {
  command = plan
  variables {
    plans             = { "a.json" = "{\"planId\": \"a b\", \"planName\": \"P\", \"waves\": [{\"waveNumber\": 1, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"sourceServerIds\": [\"s-00000000000000001\"]}]}]}" }
    protection_groups = { "g.json" = "{\"groupId\": \"g\", \"groupName\": \"G\", \"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}" }
  }
  expect_failures = [terraform_data.checked]
}

run "refuses_an_empty_name" {
  command = plan
  variables {
    plans             = { "a.json" = "{\"planId\": \"p\", \"planName\": \"\", \"waves\": [{\"waveNumber\": 1, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"sourceServerIds\": [\"s-00000000000000001\"]}]}]}" }
    protection_groups = { "g.json" = "{\"groupId\": \"g\", \"groupName\": \"G\", \"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}" }
  }
  expect_failures = [terraform_data.checked]
}

run "refuses_no_waves" {
  command = plan
  variables {
    plans             = { "a.json" = "{\"planId\": \"p\", \"planName\": \"P\", \"waves\": []}" }
    protection_groups = { "g.json" = "{\"groupId\": \"g\", \"groupName\": \"G\", \"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}" }
  }
  expect_failures = [terraform_data.checked]
}

run "refuses_waves_that_are_no_list" {
  command = plan
  variables {
    plans             = { "a.json" = "{\"planId\": \"p\", \"planName\": \"P\", \"waves\": \"all\"}" }
    protection_groups = { "g.json" = "{\"groupId\": \"g\", \"groupName\": \"G\", \"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}" }
  }
  expect_failures = [terraform_data.checked]
}

run "refuses_a_gap_in_the_numbers" {
  command = plan
  variables {
    plans             = { "a.json" = "{\"planId\": \"p\", \"planName\": \"P\", \"waves\": [{\"waveNumber\": 1, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}]}, {\"waveNumber\": 3, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}]}]}" }
    protection_groups = { "g.json" = "{\"groupId\": \"g\", \"groupName\": \"G\", \"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}" }
  }
  expect_failures = [terraform_data.checked]
}

run "refuses_an_unknown_member_of_a_wave" {
  command = plan
  variables {
    plans             = { "a.json" = "{\"planId\": \"p\", \"planName\": \"P\", \"waves\": [{\"waveNumber\": 1, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}], \"pauseBefore\": true}]}" }
    protection_groups = { "g.json" = "{\"groupId\": \"g\", \"groupName\": \"G\", \"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}" }
  }
  expect_failures = [terraform_data.checked]
}

run "refuses_a_pause_in_quotes" {
  command = plan
  variables {
    plans             = { "a.json" = "{\"planId\": \"p\", \"planName\": \"P\", \"waves\": [{\"waveNumber\": 1, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}], \"pauseBeforeWave\": \"yes\"}]}" }
    protection_groups = { "g.json" = "{\"groupId\": \"g\", \"groupName\": \"G\", \"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}" }
  }
  expect_failures = [terraform_data.checked]
}

run "refuses_a_timeout_over_a_day" {
  command = plan
  variables {
    plans             = { "a.json" = "{\"planId\": \"p\", \"planName\": \"P\", \"waves\": [{\"waveNumber\": 1, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}], \"timeoutSeconds\": 86401}]}" }
    protection_groups = { "g.json" = "{\"groupId\": \"g\", \"groupName\": \"G\", \"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}" }
  }
  expect_failures = [terraform_data.checked]
}

run "refuses_an_unknown_policy" {
  command = plan
  variables {
    plans             = { "a.json" = "{\"planId\": \"p\", \"planName\": \"P\", \"waves\": [{\"waveNumber\": 1, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}], \"onFailure\": \"retry\"}]}" }
    protection_groups = { "g.json" = "{\"groupId\": \"g\", \"groupName\": \"G\", \"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}" }
  }
  expect_failures = [terraform_data.checked]
}

run "refuses_a_wave_that_cannot_fail" {
  command = plan
  variables {
    plans             = { "a.json" = "{\"planId\": \"p\", \"planName\": \"P\", \"waves\": [{\"waveNumber\": 1, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}], \"minLaunched\": 0}]}" }
    protection_groups = { "g.json" = "{\"groupId\": \"g\", \"groupName\": \"G\", \"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}" }
  }
  expect_failures = [terraform_data.checked]
}

run "refuses_a_share_over_all" {
  command = plan
  variables {
    plans             = { "a.json" = "{\"planId\": \"p\", \"planName\": \"P\", \"waves\": [{\"waveNumber\": 1, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}], \"minLaunched\": \"101%\"}]}" }
    protection_groups = { "g.json" = "{\"groupId\": \"g\", \"groupName\": \"G\", \"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}" }
  }
  expect_failures = [terraform_data.checked]
}

run "refuses_no_groups" {
  command = plan
  variables {
    plans             = { "a.json" = "{\"planId\": \"p\", \"planName\": \"P\", \"waves\": [{\"waveNumber\": 1, \"waveName\": \"a\", \"groups\": []}]}" }
    protection_groups = { "g.json" = "{\"groupId\": \"g\", \"groupName\": \"G\", \"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}" }
  }
  expect_failures = [terraform_data.checked]
}

run "refuses_a_group_without_servers" {
  command = plan
  variables {
    plans             = { "a.json" = "{\"planId\": \"p\", \"planName\": \"P\", \"waves\": [{\"waveNumber\": 1, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\"}]}]}" }
    protection_groups = { "g.json" = "{\"groupId\": \"g\", \"groupName\": \"G\", \"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}" }
  }
  expect_failures = [terraform_data.checked]
}

run "refuses_a_group_without_a_region" {
  command = plan
  variables {
    plans             = { "a.json" = "{\"planId\": \"p\", \"planName\": \"P\", \"waves\": [{\"waveNumber\": 1, \"waveName\": \"a\", \"groups\": [{\"tags\": {\"a\": \"b\"}}]}]}" }
    protection_groups = { "g.json" = "{\"groupId\": \"g\", \"groupName\": \"G\", \"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}" }
  }
  expect_failures = [terraform_data.checked]
}

run "refuses_a_group_with_two_kinds_of_members" {
  command = plan
  variables {
    plans             = { "a.json" = "{\"planId\": \"p\", \"planName\": \"P\", \"waves\": [{\"waveNumber\": 1, \"waveName\": \"a\", \"groups\": [{\"protectionGroupId\": \"g\", \"tags\": {\"a\": \"b\"}}]}]}" }
    protection_groups = { "g.json" = "{\"groupId\": \"g\", \"groupName\": \"G\", \"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}" }
  }
  expect_failures = [terraform_data.checked]
}

run "refuses_a_misspelt_member_of_a_group" {
  command = plan
  variables {
    plans             = { "a.json" = "{\"planId\": \"p\", \"planName\": \"P\", \"waves\": [{\"waveNumber\": 1, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}, \"sourceServers\": [\"s-00000000000000001\"]}]}]}" }
    protection_groups = { "g.json" = "{\"groupId\": \"g\", \"groupName\": \"G\", \"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}" }
  }
  expect_failures = [terraform_data.checked]
}

run "refuses_a_region_that_is_none" {
  command = plan
  variables {
    plans             = { "a.json" = "{\"planId\": \"p\", \"planName\": \"P\", \"waves\": [{\"waveNumber\": 1, \"waveName\": \"a\", \"groups\": [{\"region\": \"oregon\", \"tags\": {\"t\": \"d\"}}]}]}" }
    protection_groups = { "g.json" = "{\"groupId\": \"g\", \"groupName\": \"G\", \"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}" }
  }
  expect_failures = [terraform_data.checked]
}

run "refuses_a_server_id_that_is_none" {
  command = plan
  variables {
    plans             = { "a.json" = "{\"planId\": \"p\", \"planName\": \"P\", \"waves\": [{\"waveNumber\": 1, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}, \"sourceServerIds\": [\"i-1\"]}]}]}" }
    protection_groups = { "g.json" = "{\"groupId\": \"g\", \"groupName\": \"G\", \"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}" }
  }
  expect_failures = [terraform_data.checked]
}

run "refuses_a_server_twice" {
  command = plan
  variables {
    plans             = { "a.json" = "{\"planId\": \"p\", \"planName\": \"P\", \"waves\": [{\"waveNumber\": 1, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}, \"sourceServerIds\": [\"s-00000000000000001\"]}]}, {\"waveNumber\": 2, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}, \"sourceServerIds\": [\"s-00000000000000001\"]}]}]}" }
    protection_groups = { "g.json" = "{\"groupId\": \"g\", \"groupName\": \"G\", \"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}" }
  }
  expect_failures = [terraform_data.checked]
}

run "refuses_a_protection_group_nobody_knows" {
  command = plan
  variables {
    plans             = { "a.json" = "{\"planId\": \"p\", \"planName\": \"P\", \"waves\": [{\"waveNumber\": 1, \"waveName\": \"a\", \"groups\": [{\"protectionGroupId\": \"nowhere\"}]}]}" }
    protection_groups = { "g.json" = "{\"groupId\": \"g\", \"groupName\": \"G\", \"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}" }
  }
  expect_failures = [terraform_data.checked]
}

run "refuses_an_importance_that_is_none" {
  command = plan
  variables {
    plans             = { "a.json" = "{\"planId\": \"p\", \"planName\": \"P\", \"waves\": [{\"waveNumber\": 1, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}, \"serverOptions\": {\"s-00000000000000001\": {\"importance\": \"high\"}}}]}]}" }
    protection_groups = { "g.json" = "{\"groupId\": \"g\", \"groupName\": \"G\", \"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}" }
  }
  expect_failures = [terraform_data.checked]
}

run "refuses_a_snapshot_that_is_none" {
  command = plan
  variables {
    plans             = { "a.json" = "{\"planId\": \"p\", \"planName\": \"P\", \"waves\": [{\"waveNumber\": 1, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}, \"serverOptions\": {\"s-00000000000000001\": {\"recoverySnapshotId\": \"snap-1\"}}}]}]}" }
    protection_groups = { "g.json" = "{\"groupId\": \"g\", \"groupName\": \"G\", \"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}" }
  }
  expect_failures = [terraform_data.checked]
}

run "refuses_a_role_in_a_plan" {
  command = plan
  variables {
    plans             = { "a.json" = "{\"planId\": \"p\", \"planName\": \"P\", \"waves\": [{\"waveNumber\": 1, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}, \"accountRole\": {\"roleArn\": \"arn:aws:iam::444455556666:role/t\"}}]}]}" }
    protection_groups = { "g.json" = "{\"groupId\": \"g\", \"groupName\": \"G\", \"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}" }
  }
  expect_failures = [terraform_data.checked]
}

run "refuses_an_account_the_workers_do_not_get_to" {
  command = plan
  variables {
    plans       = { "a.json" = "{\"planId\": \"p\", \"planName\": \"P\", \"waves\": [{\"waveNumber\": 1, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}, \"accountId\": \"777788889999\"}]}]}" }
    account_ids = ["444455556666"]
  }
  expect_failures = [terraform_data.checked]
}

run "refuses_a_region_the_workers_do_not_recover_in" {
  command = plan
  variables {
    plans            = { "a.json" = "{\"planId\": \"p\", \"planName\": \"P\", \"waves\": [{\"waveNumber\": 1, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}]}]}" }
    recovery_regions = ["eu-west-1"]
  }
  expect_failures = [terraform_data.checked]
}

run "refuses_an_account_id_that_is_none" {
  command = plan
  variables {
    plans = { "a.json" = "{\"planId\": \"p\", \"planName\": \"P\", \"waves\": [{\"waveNumber\": 1, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}, \"accountId\": \"77\"}]}]}" }
  }
  expect_failures = [terraform_data.checked]
}

run "refuses_a_plan_of_too_many_places" {
  command = plan
  variables {
    plans = { "a.json" = jsonencode({ planId = "p", planName = "P", waves = [
      for wave in range(3) : { waveNumber = wave + 1, waveName = "w", groups = [
        for number in range(34) : { accountId = format("%012d", wave * 34 + number), region = "us-west-2", tags = { t = "d" } }
      ] }
    ] }) }
  }
  expect_failures = [terraform_data.checked]
}

run "refuses_a_run_longer_than_the_machine" {
  command = plan
  variables {
    plans             = { "a.json" = "{\"planId\": \"p\", \"planName\": \"P\", \"waves\": [{\"waveNumber\": 1, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}], \"timeoutSeconds\": 86400}, {\"waveNumber\": 2, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}], \"timeoutSeconds\": 86400}, {\"waveNumber\": 3, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}], \"timeoutSeconds\": 86400}, {\"waveNumber\": 4, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}], \"timeoutSeconds\": 86400}, {\"waveNumber\": 5, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}], \"timeoutSeconds\": 86400}, {\"waveNumber\": 6, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}], \"timeoutSeconds\": 86400}, {\"waveNumber\": 7, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}], \"timeoutSeconds\": 86400}, {\"waveNumber\": 8, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}], \"timeoutSeconds\": 86400}, {\"waveNumber\": 9, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}], \"timeoutSeconds\": 86400}, {\"waveNumber\": 10, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}], \"timeoutSeconds\": 86400}, {\"waveNumber\": 11, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}], \"timeoutSeconds\": 86400}, {\"waveNumber\": 12, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}], \"timeoutSeconds\": 86400}, {\"waveNumber\": 13, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}], \"timeoutSeconds\": 86400}, {\"waveNumber\": 14, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}], \"timeoutSeconds\": 86400}, {\"waveNumber\": 15, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}], \"timeoutSeconds\": 86400}, {\"waveNumber\": 16, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}], \"timeoutSeconds\": 86400}, {\"waveNumber\": 17, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}], \"timeoutSeconds\": 86400}, {\"waveNumber\": 18, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}], \"timeoutSeconds\": 86400}, {\"waveNumber\": 19, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}], \"timeoutSeconds\": 86400}, {\"waveNumber\": 20, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}], \"timeoutSeconds\": 86400}, {\"waveNumber\": 21, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}], \"timeoutSeconds\": 86400}, {\"waveNumber\": 22, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}], \"timeoutSeconds\": 86400}, {\"waveNumber\": 23, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}], \"timeoutSeconds\": 86400}, {\"waveNumber\": 24, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}], \"timeoutSeconds\": 86400}, {\"waveNumber\": 25, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}], \"timeoutSeconds\": 86400}, {\"waveNumber\": 26, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}], \"timeoutSeconds\": 86400}, {\"waveNumber\": 27, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}], \"timeoutSeconds\": 86400}, {\"waveNumber\": 28, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}], \"timeoutSeconds\": 86400}, {\"waveNumber\": 29, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}], \"timeoutSeconds\": 86400}, {\"waveNumber\": 30, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}], \"timeoutSeconds\": 86400}, {\"waveNumber\": 31, \"waveName\": \"a\", \"groups\": [{\"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}], \"timeoutSeconds\": 86400}]}" }
    protection_groups = { "g.json" = "{\"groupId\": \"g\", \"groupName\": \"G\", \"region\": \"us-west-2\", \"tags\": {\"t\": \"d\"}}" }
  }
  expect_failures = [terraform_data.checked]
}

run "refuses_a_protection_group_without_servers" {
  command = plan
  variables {
    plans             = {}
    protection_groups = { "g.json" = "{\"groupId\": \"g\", \"groupName\": \"G\", \"region\": \"us-west-2\"}" }
  }
  expect_failures = [terraform_data.checked]
}

run "refuses_a_protection_group_without_a_region" {
  command = plan
  variables {
    plans             = {}
    protection_groups = { "g.json" = "{\"groupId\": \"g\", \"groupName\": \"G\", \"tags\": {\"a\": \"b\"}}" }
  }
  expect_failures = [terraform_data.checked]
}

run "refuses_a_plan_larger_than_an_item" {
  command = plan
  variables {
    plans = { "a.json" = jsonencode({ planId = "p", planName = "P", description = join("", [for n in range(1000) : join("", [for m in range(410) : "x"])]), waves = [{ waveNumber = 1, waveName = "a", groups = [{ region = "us-west-2", tags = { a = "b" } }] }] }) }
  }
  expect_failures = [terraform_data.checked]
}

run "refuses_one_id_in_two_files" {
  command = plan
  variables {
    plans = { "a.json" = file("../../../statemachine/inputs/plans/crm.json"), "b.json" = file("../../../statemachine/inputs/plans/crm.json") }
  }
  expect_failures = [terraform_data.checked]
}
