mock_provider "aws" {
  source = "../testing"
}

variables {
  activities = {
    start-wave-v1 = {
      name = "tidegate-x-start-wave-v1"
      arn  = "arn:aws:states:us-west-2:111122223333:activity:tidegate-x-start-wave-v1"
    }
    start-wave-v2 = {
      name = "tidegate-x-start-wave-v2"
      arn  = "arn:aws:states:us-west-2:111122223333:activity:tidegate-x-start-wave-v2"
    }
  }
}

override_resource {
  target = aws_sfn_activity.this["start-wave-v1"]
  values = { id = "arn:aws:states:us-west-2:111122223333:activity:tidegate-x-start-wave-v1" }
}

override_resource {
  target = aws_sfn_activity.this["start-wave-v2"]
  values = { id = "arn:aws:states:us-west-2:111122223333:activity:tidegate-x-start-wave-v2" }
}

# AC-7.7: two versions of an activity live side by side, each under its own address.
run "each_version_is_an_activity_of_its_own" {
  assert {
    condition     = { for key, activity in aws_sfn_activity.this : key => activity.name } == { start-wave-v1 = "tidegate-x-start-wave-v1", start-wave-v2 = "tidegate-x-start-wave-v2" }
    error_message = "Every activity of the contract is made under its full name, addressed by its contract name."
  }
  assert {
    condition     = output.arns["start-wave-v2"] == "arn:aws:states:us-west-2:111122223333:activity:tidegate-x-start-wave-v2"
    error_message = "ARNs are told by contract name."
  }
}

run "refuses_an_activity_made_elsewhere" {
  variables {
    activities = {
      poll-wave-v1 = {
        name = "tidegate-x-poll-wave-v1"
        arn  = "arn:aws:states:eu-west-1:111122223333:activity:tidegate-x-poll-wave-v1"
      }
    }
  }
  override_resource {
    target = aws_sfn_activity.this["poll-wave-v1"]
    values = { id = "arn:aws:states:us-west-2:111122223333:activity:tidegate-x-poll-wave-v1" }
  }
  expect_failures = [aws_sfn_activity.this["poll-wave-v1"]]
}

run "refuses_a_name_without_a_version" {
  command = plan
  variables {
    activities = { start-wave = { name = "x", arn = "arn:aws:states:us-west-2:111122223333:activity:x" } }
  }
  expect_failures = [var.activities]
}

run "refuses_no_activities" {
  command = plan
  variables {
    activities = {}
  }
  expect_failures = [var.activities]
}

run "refuses_a_full_name_that_is_too_long" {
  command = plan
  variables {
    activities = { start-wave-v1 = { name = join("", [for n in range(81) : "x"]), arn = "arn:aws:states:us-west-2:111122223333:activity:x" } }
  }
  expect_failures = [var.activities]
}

run "refuses_what_is_no_activity_arn" {
  command = plan
  variables {
    activities = { start-wave-v1 = { name = "x", arn = "x" } }
  }
  expect_failures = [var.activities]
}
