# One activity per versioned contract name. The key is the name: adding start-wave-v2 adds a resource and touches no other,
# so that executions in flight keep the activities their definition names. An activity has nothing that could be updated;
# every change of one is a replacement, and losing one strands the executions that wait for it.

resource "aws_sfn_activity" "this" {
  for_each = var.activities

  name = each.value.name

  lifecycle {
    # The definitions and policies are rendered from computed ARNs, so that a plan shows them. A provider that points at
    # another account or Region would make activities that nobody calls.
    postcondition {
      condition     = self.id == each.value.arn
      error_message = "The activity was made as ${self.id}, but the state machine calls ${each.value.arn}: provider and module disagree about account or Region."
    }
  }
}
