mock_provider "aws" {
  override_during = plan

  mock_resource "aws_security_group" {
    defaults = { id = "sg-0123456789abcdef0" }
  }
}

variables {
  name_prefix               = "tidegate-test"
  region                    = "eu-west-1"
  account_id                = "111122223333"
  vpc_id                    = "vpc-0123456789abcdef0"
  subnet_ids                = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
  route_table_ids           = ["rtb-0123456789abcdef0"]
  client_security_group_ids = ["sg-0123456789abcdef1"]
}

run "everything_a_worker_calls_is_reached" {
  command = plan

  # The services behind the contract's actions, by the names of their endpoints.
  assert {
    condition = length(setsubtract(
      toset([for action in concat(flatten([for activity in jsondecode(file("../../../statemachine/contract/contract.json")).activities : activity.awsActions]), ["states:GetActivityTask", "logs:PutLogEvents", "ecr.api:BatchGetImage", "ecr.dkr:pull", "s3:GetObject"]) : split(":", action)[0]]),
      concat(keys(aws_vpc_endpoint.interface), keys(aws_vpc_endpoint.gateway)),
    )) == 0
    error_message = "a worker without a NAT gateway could not reach a service that it calls"
  }

  assert {
    condition = alltrue([for service, endpoint in aws_vpc_endpoint.interface :
      endpoint.private_dns_enabled && endpoint.vpc_endpoint_type == "Interface" && endpoint.service_name == "com.amazonaws.eu-west-1.${service}" && length(endpoint.subnet_ids) == 2
    ])
    error_message = "the SDK's own names must lead to the endpoints"
  }

  assert {
    condition     = toset([for endpoint in values(aws_vpc_endpoint.gateway) : endpoint.service_name]) == toset(["com.amazonaws.eu-west-1.dynamodb", "com.amazonaws.eu-west-1.s3"])
    error_message = "tables and image layers go through gateways"
  }
}

run "nobody_else_comes_through" {
  command = plan
  variables { target_account_ids = ["444455556666"] }

  assert {
    condition = alltrue([for service, endpoint in aws_vpc_endpoint.interface :
      toset(jsondecode(endpoint.policy).Statement[0].Condition.StringEquals["aws:PrincipalAccount"]) == (contains(["drs", "ec2"], service) ? toset(["111122223333", "444455556666"]) : toset(["111122223333"]))
    ])
    error_message = "target accounts' credentials are used for drs and ec2 only"
  }

  assert {
    condition     = jsondecode(aws_vpc_endpoint.gateway["dynamodb"].policy).Statement[0].Resource == "arn:aws:dynamodb:eu-west-1:111122223333:table/tidegate-test-*"
    error_message = "only this deployment's tables"
  }

  assert {
    condition     = jsondecode(aws_vpc_endpoint.gateway["s3"].policy).Statement[0].Action == "s3:GetObject" && jsondecode(aws_vpc_endpoint.gateway["s3"].policy).Statement[0].Resource == "arn:aws:s3:::prod-eu-west-1-starport-layer-bucket/*"
    error_message = "only ECR's layers"
  }

  assert {
    condition     = alltrue([for rule in aws_vpc_security_group_ingress_rule.https : rule.from_port == 443 && rule.to_port == 443 && rule.ip_protocol == "tcp" && rule.cidr_ipv4 == null])
    error_message = "HTTPS from the workers' group, from no address"
  }
}

run "what_the_vpc_has_is_left_out" {
  command = plan
  variables {
    interface_services = ["states", "drs"]
    gateway_services   = []
  }

  assert {
    condition     = toset(keys(aws_vpc_endpoint.interface)) == toset(["states", "drs"]) && length(aws_vpc_endpoint.gateway) == 0
    error_message = "only what is asked for"
  }
}

run "bad_name_prefix_is_refused" {
  command = plan
  variables { name_prefix = "tidegate test" }
  expect_failures = [var.name_prefix]
}

run "china_is_refused" {
  command = plan
  variables { region = "cn-north-1" }
  expect_failures = [var.region]
}

run "govcloud_has_arns_of_its_own" {
  command = plan
  variables { region = "us-gov-west-1" }

  assert {
    condition     = jsondecode(aws_vpc_endpoint.gateway["dynamodb"].policy).Statement[0].Resource == "arn:aws-us-gov:dynamodb:us-gov-west-1:111122223333:table/tidegate-test-*"
    error_message = "the partition is part of every ARN"
  }
}

run "bad_account_is_refused" {
  command = plan
  variables { account_id = "1111-2222-3333" }
  expect_failures = [var.account_id]
}

run "bad_target_account_is_refused" {
  command = plan
  variables { target_account_ids = ["44445555666"] }
  expect_failures = [var.target_account_ids]
}

run "bad_vpc_is_refused" {
  command = plan
  variables { vpc_id = "main" }
  expect_failures = [var.vpc_id]
}

run "one_zone_is_refused" {
  command = plan
  variables { subnet_ids = ["subnet-0123456789abcdef0"] }
  expect_failures = [var.subnet_ids]
}

run "no_route_table_is_refused" {
  command = plan
  variables { route_table_ids = [] }
  expect_failures = [var.route_table_ids]
}

run "no_client_is_refused" {
  command = plan
  variables { client_security_group_ids = [] }
  expect_failures = [var.client_security_group_ids]
}

run "unknown_interface_service_is_refused" {
  command = plan
  variables { interface_services = ["states", "dynamodb"] }
  expect_failures = [var.interface_services]
}

run "unknown_gateway_service_is_refused" {
  command = plan
  variables { gateway_services = ["states"] }
  expect_failures = [var.gateway_services]
}
