/** What is counted of authorization webhooks: each round trip, and what was decided without a sound answer. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLog } from "#shared/client/log.ts";
import type { WebhookEntry } from "../../master/apiserver/authz/authorization-configuration.ts";
import { compileMatchConditions } from "../../master/apiserver/authz/match-conditions.ts";
import { WebhookAuthorizer } from "../../master/apiserver/authz/webhook-authorizer.ts";
import {
  matchConditionErrors,
  matchConditionExclusions,
  webhookDurations,
  webhookEvaluations,
  webhookFailOpens,
} from "../../master/apiserver/authz/webhook-metrics.ts";
import { collect } from "../../master/apiserver/resources/validation/field.ts";
import { type ReviewWebhook, startReviewWebhook } from "../support/review-webhook.ts";

const folder = mkdtempSync(join(tmpdir(), "bramble-authorization-counts-"));
let webhook: ReviewWebhook;

beforeAll(async () => {
  webhook = await startReviewWebhook(join(folder, "webhook.kubeconfig"));
});
afterAll(async () => {
  await webhook.stop();
  rmSync(folder, { recursive: true });
});

/** Each test has a name of its own: what others count is not looked at. */
function authorizer(name: string, more: Partial<WebhookEntry> = {}, expression?: string): WebhookAuthorizer {
  let conditions: WebhookEntry["conditions"] = [];
  collect((field) => {
    conditions = compileMatchConditions(expression === undefined ? [] : [{ expression }], field);
  });
  const usual = {
    type: "Webhook",
    timeout_ms: 30_000,
    authorizedTtl_ms: 0,
    unauthorizedTtl_ms: 0,
    version: "v1",
  } as const;
  const entry: WebhookEntry = {
    ...usual,
    name,
    kubeconfig: webhook.kubeconfig,
    onFailure: "no-opinion",
    conditions,
    ...more,
  };
  return new WebhookAuthorizer(entry, silentLog);
}

const asking = {
  user: { name: "anna", groups: [] },
  verb: "get",
  isResourceRequest: false,
  path: "/version",
  group: "",
  version: "",
  resource: "",
};

test("round trips by what came of them, and what was let pass for it", async () => {
  let refusals = 0;
  webhook.reply = () => (refusals++ === 0 ? 500 : { allowed: true });
  expect((await authorizer("again").authorize(asking)).outcome).toBe("allow");
  webhook.reply = () => 403;
  expect((await authorizer("open").authorize(asking)).outcome).toBe("no-opinion");
  expect((await authorizer("shut", { onFailure: "deny" }).authorize(asking)).outcome).toBe("deny");
  webhook.reply = () => "silence";
  expect((await authorizer("late", { timeout_ms: 50 }).authorize(asking)).outcome).toBe("no-opinion");
  const evaluations = [
    ["again", "error"],
    ["again", "success"],
    ["open", "error"],
    ["shut", "error"],
    ["late", "timeout"],
  ];
  expect(evaluations.map((labels) => webhookEvaluations.of(labels).count)).toEqual([1, 1, 1, 1, 1]);
  expect(evaluations.map((labels) => webhookDurations.of(labels).count)).toEqual([1, 1, 1, 1, 1]);
  const open = [
    ["open", "error"],
    ["shut", "error"],
    ["late", "timeout"],
    ["again", "error"],
  ];
  expect(open.map((labels) => webhookFailOpens.of(labels).count)).toEqual([1, 0, 1, 0]);
});

test("requests that a webhook is not asked of, and those of which that cannot be told", async () => {
  await authorizer("excluded", {}, "request.user != 'anna'").authorize(asking);
  await authorizer("unsure", {}, "request.extra['a'][0] == 'b'").authorize(asking);
  const counts = (name: string) =>
    [matchConditionExclusions, matchConditionErrors].map((table) => table.of(["Webhook", name]).count);
  expect([counts("excluded"), counts("unsure")]).toEqual([
    [1, 0],
    [0, 1],
  ]);
});
