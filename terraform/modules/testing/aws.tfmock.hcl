mock_data "aws_caller_identity" {
  defaults = { account_id = "111122223333" }
}

mock_data "aws_partition" {
  defaults = { partition = "aws", dns_suffix = "amazonaws.com" }
}

mock_data "aws_subnet" {
  defaults = { vpc_id = "vpc-0123456789abcdef0", availability_zone = "us-west-2a" }
}

mock_resource "aws_iam_role" {
  defaults = { arn = "arn:aws:iam::111122223333:role/mocked" }
}

mock_resource "aws_iam_policy" {
  defaults = { arn = "arn:aws:iam::111122223333:policy/mocked" }
}

mock_resource "aws_cloudwatch_log_group" {
  defaults = { arn = "arn:aws:logs:us-west-2:111122223333:log-group:mocked" }
}

mock_resource "aws_sfn_activity" {
  defaults = { id = "arn:aws:states:us-west-2:111122223333:activity:mocked" }
}

mock_resource "aws_sfn_state_machine" {
  defaults = {
    arn                       = "arn:aws:states:us-west-2:111122223333:stateMachine:mocked"
    state_machine_version_arn = "arn:aws:states:us-west-2:111122223333:stateMachine:mocked:1"
  }
}

mock_resource "aws_sfn_alias" {
  defaults = { arn = "arn:aws:states:us-west-2:111122223333:stateMachine:mocked:live" }
}

mock_resource "aws_dynamodb_table" {
  defaults = { arn = "arn:aws:dynamodb:us-west-2:111122223333:table/mocked" }
}

mock_resource "aws_ecs_task_definition" {
  defaults = { arn = "arn:aws:ecs:us-west-2:111122223333:task-definition/mocked:1" }
}

mock_resource "aws_ecs_cluster" {
  defaults = { id = "arn:aws:ecs:us-west-2:111122223333:cluster/mocked", arn = "arn:aws:ecs:us-west-2:111122223333:cluster/mocked" }
}

mock_resource "aws_security_group" {
  defaults = { id = "sg-0123456789abcdef0" }
}

mock_resource "aws_appautoscaling_policy" {
  defaults = { arn = "arn:aws:autoscaling:us-west-2:111122223333:scalingPolicy:mocked" }
}

mock_resource "aws_kms_key" {
  defaults = { arn = "arn:aws:kms:us-west-2:111122223333:key/0a1b2c3d" }
}

mock_resource "aws_sns_topic" {
  defaults = { arn = "arn:aws:sns:us-west-2:111122223333:mocked" }
}

mock_resource "aws_sqs_queue" {
  defaults = { arn = "arn:aws:sqs:us-west-2:111122223333:mocked", id = "https://sqs.us-west-2.amazonaws.com/111122223333/mocked" }
}

mock_resource "aws_cloudwatch_event_rule" {
  defaults = { arn = "arn:aws:events:us-west-2:111122223333:rule/mocked" }
}
