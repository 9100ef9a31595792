# What is wrong with the documents, as sentences. Shapes come from the JSON schemas of the contract, so that a rule is
# written once; the rules that no schema can say follow below, as workers/core/src/plan_check.rs has them. The worker checks
# everything again at the start of each run: this is the early refusal, not the last one.

locals {
  contract       = "${path.module}/../../../statemachine"
  plan_schema    = jsondecode(file("${local.contract}/contract/schemas/plan.schema.json"))
  group_schema   = jsondecode(file("${local.contract}/contract/schemas/protection-group.schema.json"))
  longest_run    = jsondecode(file("${local.contract}/recovery.asl.json")).TimeoutSeconds
  definitions    = local.plan_schema["$defs"]
  item_limit     = 400 * 1024
  most_targets   = jsondecode(file("${local.contract}/contract/contract.json")).mostTargets
  plan_documents = { for file, text in var.plans : file => jsondecode(text) }
  group_documents = {
    for file, text in var.protection_groups : file => jsondecode(text)
  }

  # Where a member that ought to be a list is something else, the shape check says so; here it counts as empty.
  waves = flatten([
    for file, plan in local.plan_documents : [
      for index, wave in try(tolist(plan.waves), [for wave in plan.waves : wave], []) : {
        file  = file
        at    = "${file}: waves[${index}]"
        index = index
        value = wave
      }
    ]
  ])
  groups = flatten([
    for wave in local.waves : [
      for index, group in try([for group in wave.value.groups : group], []) : {
        file  = wave.file
        at    = "${wave.at}.groups[${index}]"
        value = group
      }
    ]
  ])
  # Everything that names an account or a Region.
  places = concat(
    [for group in local.groups : { at = "${group.at}.", value = group.value }],
    [for file, group in local.group_documents : { at = "${file}: ", value = group }],
  )

  # Every object with the schema it must have.
  objects = concat(
    [for file, plan in local.plan_documents : { at = "${file}:", value = plan, schema = local.plan_schema }],
    [for file, group in local.group_documents : { at = "${file}:", value = group, schema = local.group_schema }],
    [for wave in local.waves : { at = wave.at, value = wave.value, schema = local.definitions.Wave }],
    # The schema of a group allows unknown members only where it says nothing; a misspelt one would silently do nothing.
    [for group in local.groups : { at = group.at, value = group.value, schema = local.definitions.Group }],
    flatten([
      for group in local.groups : [
        for server, options in try({ for server, options in group.value.serverOptions : server => options }, {}) :
        { at = "${group.at}.serverOptions.${server}", value = options, schema = local.definitions.ServerOptions }
      ]
    ]),
  )

  # Every member that is there, with what its schema says. `json` tells the type: HCL takes 5 for "5" and back.
  members = flatten([
    for object in local.objects : [
      for name, value in try({ for name, value in object.value : name => value }, {}) : {
        at     = "${object.at} ${name}"
        value  = value
        json   = jsonencode(value)
        type   = try([object.schema.properties[name].type[0]], [object.schema.properties[name].type], ["any"])[0]
        schema = object.schema.properties[name]
        enum = try(
          local.definitions[basename(object.schema.properties[name]["$ref"])].enum,
          local.definitions[basename(object.schema.properties[name].anyOf[0]["$ref"])].enum,
          [],
        )
      } if contains(keys(object.schema.properties), name) && value != null
    ]
  ])

  first_of_type = { string = "\"", integer = "0123456789-", boolean = "tf", array = "[", object = "{" }

  shape_problems = concat(
    [for object in local.objects : "${object.at} is not an object" if !can(keys(object.value))],
    flatten([
      for object in local.objects : [
        for name in try(keys(object.value), []) : "${object.at} ${name} is not known; known are ${join(", ", keys(object.schema.properties))}"
        if !contains(keys(object.schema.properties), name) && name != "accountRole"
      ]
    ]),
    flatten([
      for object in local.objects : [
        for name in try(object.schema.required, []) : "${object.at} ${name} is missing" if try(object.value[name], null) == null
      ]
    ]),
    [
      for member in local.members : "${member.at} must be of type ${member.type}"
      if contains(keys(local.first_of_type), member.type) && !strcontains(lookup(local.first_of_type, member.type, ""), substr(member.json, 0, 1))
    ],
    [
      for member in local.members : "${member.at} is ${member.json}, which does not match ${member.schema.pattern}"
      if can(member.schema.pattern) && startswith(member.json, "\"") && !can(regex(replace(member.schema.pattern, "\\p{DI}", ""), member.value))
    ],
    flatten([
      for member in local.members : [
        for item in try([for item in member.value : item], []) : "${member.at} has ${jsonencode(item)}, which does not match ${member.schema.items.pattern}"
        if !can(regex(replace(member.schema.items.pattern, "\\p{DI}", ""), item))
      ] if can(member.schema.items.pattern)
    ]),
    [
      for member in local.members : "${member.at} must be between ${member.schema.minimum} and ${member.schema.maximum}"
      if can(member.schema.maximum) && can(tonumber(member.value)) && (try(tonumber(member.value), 0) < try(member.schema.minimum, 0) || try(tonumber(member.value), 0) > try(member.schema.maximum, 0))
    ],
    [
      for member in local.members : "${member.at} must have ${member.schema.minLength} to ${member.schema.maxLength} characters"
      if can(member.schema.maxLength) && startswith(member.json, "\"") && (try(length(member.value), 0) < try(member.schema.minLength, 0) || try(length(member.value), 0) > try(member.schema.maxLength, 0))
    ],
    [
      for member in local.members : "${member.at} must have ${member.schema.minItems} to ${member.schema.maxItems} entries"
      if can(member.schema.maxItems) && startswith(member.json, "[") && (try(length(member.value), 0) < try(member.schema.minItems, 0) || try(length(member.value), 0) > try(member.schema.maxItems, 0))
    ],
    [
      for member in local.members : "${member.at} must be one of ${join(", ", member.enum)}"
      if length(member.enum) > 0 && !contains(member.enum, try(tostring(member.value), ""))
    ],
  )

  plan_ids  = [for file, plan in local.plan_documents : try(plan.planId, file)]
  group_ids = [for file, group in local.group_documents : try(group.groupId, file)]

  servers = flatten([
    for group in local.groups : [for server in try([for server in group.value.sourceServerIds : server], []) : { file = group.file, id = server }]
  ])

  rule_problems = concat(
    [for id in distinct(local.plan_ids) : "the planId ${id} is in more than one file" if length([for other in local.plan_ids : other if other == id]) > 1],
    [for id in distinct(local.group_ids) : "the groupId ${id} is in more than one file" if length([for other in local.group_ids : other if other == id]) > 1],
    [
      for wave in local.waves : "${wave.at}.waveNumber is ${try(wave.value.waveNumber, "missing")}, expected ${wave.index + 1}: number the waves 1, 2, 3 ... in the order they run"
      if try(wave.value.waveNumber, 0) != wave.index + 1
    ],
    [
      for wave in local.waves : "${wave.at}.minLaunched must be a count of at least 1 or a share such as \"80%\""
      if try(wave.value.minLaunched, null) != null && !can(regex("^([1-9][0-9]*|\"(100|[0-9]{1,2})%\")$", jsonencode(wave.value.minLaunched)))
    ],
    [
      for group in local.groups : "${group.at} has no servers: give sourceServerIds, tags or protectionGroupId"
      if try(group.value.protectionGroupId, null) == null && try(length(group.value.sourceServerIds), 0) + try(length(group.value.tags), 0) == 0
    ],
    [
      for group in local.groups : "${group.at} has protectionGroupId and members, a region or an accountId of its own"
      if try(group.value.protectionGroupId, null) != null && (
        try(length(group.value.sourceServerIds), 0) + try(length(group.value.tags), 0) > 0 || try(group.value.region, null) != null || try(group.value.accountId, null) != null
      )
    ],
    [
      for group in local.groups : "${group.at}.region is missing: name the recovery Region, such as us-west-2"
      if try(group.value.protectionGroupId, null) == null && try(group.value.region, null) == null
    ],
    [
      for group in local.groups : "${group.at}.protectionGroupId is ${group.value.protectionGroupId}, which no protection group has"
      if try(group.value.protectionGroupId, null) != null && !contains(local.group_ids, try(group.value.protectionGroupId, ""))
    ],
    [
      for file, group in local.group_documents : "${file}: has no servers: give sourceServerIds or tags"
      if try(length(group.sourceServerIds), 0) + try(length(group.tags), 0) == 0
    ],
    distinct([
      for server in local.servers : "${server.file}: ${server.id} is in the plan more than once"
      if length([for other in local.servers : other if other.file == server.file && other.id == server.id]) > 1
    ]),
    [
      for place in local.places : "${place.at}accountRole is no plan's to name any more: the deployment has one role for each account (target_accounts); name the account instead, as accountId"
      if can(place.value.accountRole)
    ],
    [
      for place in local.places : "${place.at}accountId is ${place.value.accountId}, which the workers do not get to: add it with its role to target_accounts"
      if var.account_ids != null && can(tostring(place.value.accountId)) && try(place.value.accountId, null) != null && !contains(coalesce(var.account_ids, []), try(tostring(place.value.accountId), ""))
    ],
    [
      for place in local.places : "${place.at}region is ${place.value.region}, which is none of the deployment's recovery Regions: add it to recovery_regions"
      if var.recovery_regions != null && can(tostring(place.value.region)) && try(place.value.region, null) != null && !contains(coalesce(var.recovery_regions, []), try(tostring(place.value.region), ""))
    ],
    [
      for file in keys(local.plan_documents) : "${file}: leads to more than ${local.most_targets} places (account and Region): split it into several plans"
      if length(distinct([for group in local.groups : "${try(group.value.accountId, "")}/${group.value.region}" if group.file == file && try(group.value.region, null) != null])) > local.most_targets
    ],
    [
      for file, plan in local.plan_documents : "${file}: timeouts, gates and waits add up to more than the machine's ${local.longest_run} s"
      if try(sum([
        for wave in local.waves : (
          try(tonumber(wave.value.timeoutSeconds), local.definitions.Wave.properties.timeoutSeconds.default)
          + try(tonumber(wave.value.waitAfterSeconds), 0)
          + (try(wave.value.pauseBeforeWave, false) ? try(tonumber(wave.value.gateTimeoutSeconds), local.definitions.Wave.properties.gateTimeoutSeconds.default) : 0)
        ) if wave.file == file
      ]), 0) > local.longest_run
    ],
    [
      for file, text in merge(var.plans, var.protection_groups) : "${file} is larger than an item may be (400 KB)"
      # Base64 counts bytes, length() counts characters. A kilobyte is left for the other attributes.
      if length(base64encode(text)) * 3 / 4 > local.item_limit - 1024
    ],
  )

  problems = concat(local.shape_problems, local.rule_problems)
}
