# The bus on which the machines announce pauses and failed clean-ups. A bus of its own, because rules cannot tell who sent an
# event: whoever may call PutEvents on a shared bus chooses source, resources and every word of it. Here its policy tells.

resource "aws_cloudwatch_event_bus" "this" {
  name        = var.name
  description = "What Tidegate's machines announce; nobody else may."
  tags        = var.tags
}

resource "aws_cloudwatch_event_bus_policy" "this" {
  event_bus_name = aws_cloudwatch_event_bus.this.name
  policy = templatefile("${path.module}/policies/bus.json.tftpl", {
    bus_arn           = aws_cloudwatch_event_bus.this.arn
    machine_role_arns = sort(var.machine_role_arns)
  })
}
