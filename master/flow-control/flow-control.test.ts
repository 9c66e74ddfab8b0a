import { afterEach, beforeEach, expect, test } from "bun:test";
import { flowSchemas, priorityLevelConfigurations } from "#shared/api/resources.ts";
import type { FlowSchema } from "#shared/api/types/flowcontrol-v1.generated.ts";
import { updateLatest } from "#shared/client/testing/update-latest.ts";
import { eventually } from "../controllers/testing/eventually.ts";
import { Harness } from "../controllers/testing/harness.ts";
import type { RecordingClient } from "../controllers/testing/recording-client.ts";
import { flowControlConfiguration } from "./flow-control.ts";

let harness: Harness<RecordingClient>;
beforeEach(async () => {
  harness = await Harness.onApiServer();
  await harness.run(flowControlConfiguration);
  await eventually(async () => (await harness.client.list(flowSchemas)).items.length === 11, "flow schemas");
  await eventually(async () => (await harness.client.list(priorityLevelConfigurations)).items.length === 8, "levels");
});
afterEach(() => harness.stop());

const danglingOf = async (name: string): Promise<string | undefined> =>
  (await harness.client.get(flowSchemas, { name })).status?.conditions?.find(({ type }) => type === "Dangling")?.status;

const own: FlowSchema = {
  apiVersion: "flowcontrol.apiserver.k8s.io/v1",
  kind: "FlowSchema",
  metadata: { name: "mine" },
  spec: { priorityLevelConfiguration: { name: "mine" }, matchingPrecedence: 700, rules: [] },
};

test("what is deleted comes back, and what may not be changed is set right", async () => {
  const { client } = harness;
  await client.delete(flowSchemas, { name: "probes" });
  await client.delete(priorityLevelConfigurations, { name: "system" });
  await eventually(async () => (await client.list(flowSchemas)).items.length === 11);
  await eventually(async () => (await client.list(priorityLevelConfigurations)).items.length === 8);
  const key = { name: "global-default" };
  await updateLatest(client, flowSchemas, key, ({ spec, ...schema }) => ({
    ...schema,
    spec: { ...spec, matchingPrecedence: 1234 },
  }));
  await eventually(async () => (await client.get(flowSchemas, key)).spec.matchingPrecedence === 9900, "set right");
});

test("what people took over stays as they want it", async () => {
  const { client } = harness;
  const key = { name: "global-default" };
  const theirs = { "apf.kubernetes.io/autoupdate-spec": "false" };
  await updateLatest(client, flowSchemas, key, ({ metadata, spec, ...schema }) => ({
    ...schema,
    metadata: { ...metadata, annotations: { ...metadata.annotations, ...theirs } },
    spec: { ...spec, matchingPrecedence: 1234 },
  }));
  // A later object that needed work shows that this one has been looked at.
  await client.create(flowSchemas, own);
  await eventually(async () => (await danglingOf("mine")) === "True", "the other seen");
  expect((await client.get(flowSchemas, key)).spec.matchingPrecedence).toBe(1234);
});

test("a flow schema says whether its priority level is there", async () => {
  const { client } = harness;
  await eventually(async () => (await danglingOf("global-default")) === "False", "found");
  await client.create(flowSchemas, own);
  await eventually(async () => (await danglingOf("mine")) === "True", "not found");
  await client.create(priorityLevelConfigurations, {
    apiVersion: "flowcontrol.apiserver.k8s.io/v1",
    kind: "PriorityLevelConfiguration",
    metadata: { name: "mine" },
    spec: { type: "Limited", limited: { nominalConcurrencyShares: 2, limitResponse: { type: "Reject" } } },
  });
  await eventually(async () => (await danglingOf("mine")) === "False", "found then");
});
