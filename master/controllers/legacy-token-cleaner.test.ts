import { afterEach, beforeEach, expect, test } from "bun:test";
import { configMaps, secrets, serviceAccounts } from "#shared/api/resources.ts";
import type { Secret, ServiceAccount } from "#shared/api/types/core-v1.generated.ts";
import { ManualClock } from "#shared/testing/manual-clock.ts";
import { testPod } from "../scheduler/testing.ts";
import { fateOfLegacyToken, type LegacyTokenFate, legacyTokenCleaner } from "./legacy-token-cleaner.ts";
import { eventually } from "./testing/eventually.ts";
import { Harness } from "./testing/harness.ts";
import type { RecordingClient } from "./testing/recording-client.ts";

let harness: Harness<RecordingClient>;
beforeEach(async () => {
  harness = await Harness.onApiServer();
});
afterEach(() => harness.stop());

test("a token that was made by itself becomes invalid after a year without use, and goes after another", () => {
  const now_ms = Date.parse("2026-06-01T00:00:00Z");
  const unusedFor_ms = 365 * 24 * 3_600_000;
  const secret = (labels: Record<string, string>, creationTimestamp = "2020-01-01T00:00:00Z"): Secret => ({
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "t", namespace: "default", creationTimestamp, labels },
  });
  const account: ServiceAccount = { apiVersion: "v1", kind: "ServiceAccount", metadata: {}, secrets: [{ name: "t" }] };
  const fate = (
    labels: Record<string, string>,
    more: [ServiceAccount?, (string | undefined)?, boolean?] = [],
  ): LegacyTokenFate =>
    fateOfLegacyToken(
      secret(labels, more[1]),
      more[0] ?? account,
      more[2] ? [testPod("p", { volumes: [{ name: "v", secret: { secretName: "t" } }] })] : [],
      { now_ms, unusedFor_ms },
    );
  const lastUsed = "kubernetes.io/legacy-token-last-used";
  const invalidSince = "kubernetes.io/legacy-token-invalid-since";
  expect(fate({})).toBe("becomes invalid");
  expect(fate({ [lastUsed]: "2024-01-01" })).toBe("becomes invalid");
  expect(fate({ [lastUsed]: "2026-01-01" })).toBe("stays");
  expect(fate({ [lastUsed]: "yesterday" })).toBe("stays");
  expect(fate({}, [account, "2026-01-01T00:00:00Z"])).toBe("stays");
  expect(fate({}, [{ ...account, secrets: [] }])).toBe("stays");
  expect(fate({}, [account, undefined, true])).toBe("stays");
  expect(fate({ [invalidSince]: "2026-01-01" })).toBe("stays");
  expect(fate({ [invalidSince]: "2025-01-01" })).toBe("goes");
});

test("only a Secret that its account lists is marked", async () => {
  const { client } = harness;
  const day_ms = 86_400_000;
  // The Secrets are made by the real clock; for the controller that was ten days ago.
  const clock = new ManualClock(Date.now() + 10 * day_ms);
  await client.create(configMaps, {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { namespace: "kube-system", name: "kube-apiserver-legacy-service-account-token-tracking" },
    data: { since: new Date(Date.now()).toISOString().slice(0, 10) },
  });
  await client.create(serviceAccounts, {
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: { namespace: "default", name: "sa" },
    secrets: [{ name: "listed" }],
  });
  for (const name of ["by-hand", "listed"]) {
    await client.create(secrets, {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { namespace: "default", name, annotations: { "kubernetes.io/service-account.name": "sa" } },
      type: "kubernetes.io/service-account-token",
    });
  }
  const running = await harness.run(legacyTokenCleaner(day_ms), clock);
  const labels = async (name: string) => (await client.get(secrets, { namespace: "default", name })).metadata.labels;
  const today = new Date(clock.wall_ms()).toISOString().slice(0, 10);
  await eventually(async () => (await labels("listed")) !== undefined, "the mark");
  expect(await labels("listed")).toEqual({ "kubernetes.io/legacy-token-invalid-since": today });
  await eventually(() => !running.queue.busy, "an idle queue");
  expect(await labels("by-hand")).toBeUndefined();
});
