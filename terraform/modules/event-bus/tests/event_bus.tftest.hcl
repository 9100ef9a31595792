mock_provider "aws" {
  override_during = plan

  mock_resource "aws_cloudwatch_event_bus" {
    defaults = { arn = "arn:aws:events:us-west-2:111122223333:event-bus/tidegate-test" }
  }
}

variables {
  name = "tidegate-test"
  machine_role_arns = [
    "arn:aws:iam::111122223333:role/tidegate-test-recovery-machine",
    "arn:aws:iam::111122223333:role/tidegate-test-reconcile-machine",
  ]
}

run "nobody_but_the_machines_may_put_events" {
  command = plan

  assert {
    condition = jsondecode(output.policy).Statement == [{
      Sid       = "OnlyTheMachinesSpeakHere"
      Effect    = "Deny"
      Principal = "*"
      Action    = "events:PutEvents"
      Resource  = "arn:aws:events:us-west-2:111122223333:event-bus/tidegate-test"
      Condition = { StringNotEquals = { "aws:PrincipalArn" = [
        "arn:aws:iam::111122223333:role/tidegate-test-reconcile-machine",
        "arn:aws:iam::111122223333:role/tidegate-test-recovery-machine",
      ] } }
    }]
    error_message = output.policy
  }
}

run "a_bus_on_which_nobody_may_speak_is_refused" {
  command = plan
  variables { machine_role_arns = [] }
  expect_failures = [var.machine_role_arns]
}

run "a_wildcard_among_the_speakers_is_refused" {
  command = plan
  variables { machine_role_arns = ["arn:aws:iam::111122223333:role/tidegate-*"] }
  expect_failures = [var.machine_role_arns]
}

run "a_name_of_a_partner_is_refused" {
  command = plan
  variables { name = "aws.partner/example.com/1" }
  expect_failures = [var.name]
}
