mock_provider "aws" {
  source = "../testing"
}

variables {
  name           = "tidegate-x-recovery"
  definition     = "{\"StartAt\":\"Done\",\"States\":{\"Done\":{\"Type\":\"Succeed\"}}}"
  role_name      = "tidegate-x-recovery-machine"
  trust_policy   = "{\"Statement\":[]}"
  policies       = { states = "{\"Statement\":[]}", logs = "{\"Statement\":[]}" }
  log_group_name = "/aws/vendedlogs/states/tidegate-x-recovery"
}

run "a_machine_with_its_role_log_and_alias" {
  command = plan

  assert {
    condition     = aws_sfn_state_machine.this.type == "STANDARD" && aws_sfn_state_machine.this.publish && one(aws_sfn_state_machine.this.tracing_configuration).enabled
    error_message = "Standard, published, traced."
  }
  assert {
    condition     = aws_cloudwatch_log_group.this.retention_in_days == 30 && one(aws_sfn_state_machine.this.logging_configuration).level == "ALL"
    error_message = "Every event is logged for 30 days."
  }
  assert {
    condition     = one(aws_sfn_state_machine.this.logging_configuration).include_execution_data == false
    error_message = "Execution data holds task tokens and must never be logged."
  }
  assert {
    condition     = toset(keys(aws_iam_role_policy.this)) == toset(["states", "logs"])
    error_message = "The role has the policies given and no other."
  }
  assert {
    condition     = aws_sfn_alias.this.name == "live" && one(aws_sfn_alias.this.routing_configuration).weight == 100
    error_message = "One alias points at one version."
  }
}

run "the_alias_follows_the_published_version" {
  assert {
    condition     = one(aws_sfn_alias.this.routing_configuration).state_machine_version_arn == aws_sfn_state_machine.this.state_machine_version_arn
    error_message = "The alias points at the version this apply made."
  }
  assert {
    condition     = one(aws_sfn_state_machine.this.logging_configuration).log_destination == "${aws_cloudwatch_log_group.this.arn}:*"
    error_message = "Step Functions takes the group's ARN with :* at its end."
  }
}

run "tracing_can_be_off_or_unsaid" {
  command = plan
  variables {
    tracing_enabled = null
    log_level       = "ERROR"
  }

  assert {
    condition     = length(aws_sfn_state_machine.this.tracing_configuration) == 0
    error_message = "Null says nothing about tracing."
  }
  assert {
    condition     = one(aws_sfn_state_machine.this.logging_configuration).level == "ERROR"
    error_message = "The level follows its variable."
  }
}

run "refuses_a_name_with_spaces" {
  command = plan
  variables {
    name = "tidegate x"
  }
  expect_failures = [var.name]
}

run "refuses_a_definition_that_is_no_json" {
  command = plan
  variables {
    definition = "{"
  }
  expect_failures = [var.definition]
}

run "refuses_a_definition_that_is_no_asl" {
  command = plan
  variables {
    definition = "{}"
  }
  expect_failures = [var.definition]
}

run "refuses_a_placeholder_that_is_left" {
  command = plan
  variables {
    definition = "{\"StartAt\":\"$${X}\",\"States\":{}}"
  }
  expect_failures = [var.definition]
}

run "refuses_a_definition_over_one_mebibyte" {
  command = plan
  variables {
    definition = jsonencode({ StartAt = "A", States = {}, Comment = join("", [for n in range(1024) : join("", [for m in range(1024) : "x"])]) })
  }
  expect_failures = [var.definition]
}

run "refuses_a_role_name_that_is_too_long" {
  command = plan
  variables {
    role_name = join("", [for n in range(65) : "x"])
  }
  expect_failures = [var.role_name]
}

run "refuses_a_trust_policy_that_is_none" {
  command = plan
  variables {
    trust_policy = "{}"
  }
  expect_failures = [var.trust_policy]
}

run "refuses_no_policies" {
  command = plan
  variables {
    policies = {}
  }
  expect_failures = [var.policies]
}

run "refuses_an_alias_that_reads_as_a_version" {
  command = plan
  variables {
    alias_name = "1"
  }
  expect_failures = [var.alias_name]
}

run "refuses_a_log_group_elsewhere" {
  command = plan
  variables {
    log_group_name = "/tidegate"
  }
  expect_failures = [var.log_group_name]
}

run "refuses_an_unknown_level" {
  command = plan
  variables {
    log_level = "DEBUG"
  }
  expect_failures = [var.log_level]
}

run "refuses_a_retention_cloudwatch_does_not_know" {
  command = plan
  variables {
    log_retention_days = 31
  }
  expect_failures = [var.log_retention_days]
}

run "refuses_a_key_alias" {
  command = plan
  variables {
    kms_key_arn = "alias/x"
  }
  expect_failures = [var.kms_key_arn]
}
