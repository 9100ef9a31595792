// Asks iam-simulate about many requests at once: JSON in, JSON out. `node evaluate.mjs <folder with node_modules>`.
//
// In:  { policies: { <set>: [{ name, policy }] }, requests: [{ set, principal, account, action, resource, keys, resourcePolicy?,
//        endpoint?, without?: { policy, sid, action } }] }. `without` takes one action out of one statement first.
// Out: one { result, allowedBy: [[policy, sid]], deniedBy, ignored: [key], error } per request. `ignored` are condition keys
//      that the action or resource does not have: no statement was held against them.

import { createRequire } from "node:module";
import { text } from "node:stream/consumers";
import { pathToFileURL } from "node:url";

const from = createRequire(`${process.argv[2]}/evaluate.cjs`);
const { runSimulation } = await import(pathToFileURL(from.resolve("@cloud-copilot/iam-simulate")));

const { policies, requests } = JSON.parse(await text(process.stdin));
const listed = (value) => (Array.isArray(value) ? value : [value]);

function cut(set, { policy, sid, action }) {
  return set.map((one) => {
    if (one.name !== policy) return one;
    const statements = listed(one.policy.Statement).flatMap((statement) => {
      if (statement.Sid !== sid) return [statement];
      const left = listed(statement.Action).filter((name) => name !== action);
      return left.length === 0 ? [] : [{ ...statement, Action: left }];
    });
    return { name: one.name, policy: { ...one.policy, Statement: statements } };
  }).filter((one) => listed(one.policy.Statement).length > 0);
}

const named = (statements) => statements.map((one) => [one.policyId ?? "", one.statement.sid()]);

async function ask(request) {
  const set = policies[request.set] ?? [];
  const answer = await runSimulation(
    {
      request: {
        principal: request.principal,
        action: request.action,
        resource: { resource: request.resource, accountId: request.account },
        contextVariables: request.keys,
      },
      identityPolicies: request.without ? cut(set, request.without) : set,
      serviceControlPolicies: [],
      resourceControlPolicies: [],
      resourcePolicy: request.resourcePolicy,
      vpcEndpointPolicies: request.endpoint && [{ name: "endpoint", policy: request.endpoint }],
    },
    {},
  );
  if (answer.resultType === "error") return { result: "Error", allowedBy: [], deniedBy: [], ignored: [], error: answer.errors };
  const results = answer.resultType === "single" ? [answer.result] : answer.results;
  const of = (kind, side) => results.flatMap((one) => named(one.analysis[side]?.[kind] ?? []));
  return {
    result: answer.overallResult,
    allowedBy: of("allowStatements", "identityAnalysis"),
    deniedBy: [...of("denyStatements", "identityAnalysis"), ...of("denyStatements", "resourceAnalysis")],
    ignored: [...new Set(results.flatMap((one) => one.ignoredContextKeys ?? []))],
  };
}

const answers = [];
for (const request of requests) answers.push(await ask(request));
process.stdout.write(JSON.stringify(answers));
