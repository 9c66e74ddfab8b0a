/**
 * Texts that anybody may send, made as long as they may be: what reads them must not begin anew at every character, which takes hours.
 * Nothing here looks at the clock: a test that does not end has failed.
 */
import { expect, test } from "bun:test";
import { parseQuantity } from "#shared/api/quantity.ts";
import { canonicalTime, parseDuration } from "#shared/api/schema/scalars.ts";
import type { Ingress } from "#shared/api/types/networking-v1.generated.ts";
import { mediaRanges } from "#shared/http/accept.ts";
import { cleanPath } from "#shared/http/clean-path.ts";
import { serveContent } from "#shared/http/serve-content.ts";
import { RoutingTable } from "../../agent/ingress/routes.ts";
import { envFileValue } from "../../agent/kubelet/container/env-file.ts";
import { matchesImage } from "../../agent/runtime/image-credentials.ts";
import { missingRules } from "../../master/apiserver/authz/rbac-rules.ts";
import { hasFormat } from "../../master/apiserver/extensions/formats.ts";
import { requestInfoOf } from "../../master/apiserver/http/request-info.ts";
import { splitUrl } from "../../master/apiserver/http/split-url.ts";
import { scheduleComplaint } from "../../master/apiserver/resources/batch/schedule.ts";
import { validateFieldRef } from "../../master/apiserver/resources/core/pod/validate-env.ts";
import { podWarnings } from "../../master/apiserver/resources/core/pod/warnings.ts";
import { resourceQuota } from "../../master/apiserver/resources/core/resource-quota.ts";
import { collect } from "../../master/apiserver/resources/validation/field.ts";
import { validateKindMeta } from "../../master/apiserver/resources/validation/object-meta.ts";
import { parseSchedule } from "../../master/controllers/cronjob/schedule.ts";

/** What a body holds; a header holds less. */
const LENGTH = 3_000_000;
const digits = "1".repeat(LENGTH);
const slashes = `${"/".repeat(LENGTH)}a`;
const spaces = " ".repeat(LENGTH);

test("headers", async () => {
  expect(mediaRanges(`a/b;q=${digits}!`)).toHaveLength(1);
  const rising = Array.from({ length: 100_000 }, (_, index) => `a/b;q=0.${String(index).padStart(6, "0")}`);
  expect(mediaRanges(rising.join(",")).length).toBeLessThan(1000);
  const answer = await serveContent(
    { method: "GET", headers: { range: `bytes=1-${spaces}!` } },
    {
      headers: {},
      modified_ms: 0,
      whole: async () => ({ headers: {}, body: Buffer.from("a") }),
      bytes: async () => Buffer.from("a"),
    },
  );
  expect(answer.status).toBe(416);
});

test("paths", () => {
  const path = `/api/v1${slashes}`;
  expect(requestInfoOf("GET", path, new URLSearchParams()).version).toBe("v1");
  expect(cleanPath(path)).toBe("/api/v1/a");
  expect(splitUrl(`${path}?${"&;".repeat(LENGTH / 2)}`).path).toBe(path);
});

test("schedules of CronJobs", () => {
  expect(scheduleComplaint(`@every ${digits}`)).toStartWith("failed to parse duration");
  expect(scheduleComplaint("@every 1h0.5m.5s")).toBeUndefined();
  expect(() => parseSchedule(`@every ${digits}`, undefined)).toThrow("invalid duration");
});

test("quantities, durations and times", () => {
  expect(() => parseQuantity(`${digits}!`)).toThrow("quantities must match");
  expect(() => parseQuantity(`0.${digits}`)).toThrow("quantities must match");
  expect(() => parseDuration(`0.${digits}s`)).toThrow("invalid duration");
  expect(() => canonicalTime(`${"Z".repeat(LENGTH)}\n`)).toThrow("parsing time");
});

test("values of custom resources", () => {
  expect(hasFormat(`${"0".repeat(LENGTH)}!`, "duration")).toBe(false);
  for (const text of ["0", "+0", "1h30m", "1.s", "3 days"]) expect(hasFormat(text, "duration")).toBe(true);
});

test("fields and paths of pods", () => {
  const faultsOf = (fieldPath: string): number =>
    collect((root) => validateFieldRef({ apiVersion: "v1", fieldPath }, ["metadata.labels"], root.at("a"))).length;
  expect(faultsOf("['".repeat(LENGTH / 2))).toBe(1);
  expect(faultsOf("metadata.labels['a']")).toBe(0);
  expect(faultsOf("metadata.labels['']")).toBeGreaterThan(0);
  const items = [slashes, "b"].map((path) => ({ key: "k", path }));
  const spec = {
    containers: [],
    volumes: [{ name: "v", projected: { sources: [{ configMap: { name: "m", items } }] } }],
  };
  expect(podWarnings({ spec }, "spec")).toEqual([]);
});

test("lists that are shown with each fault in them", () => {
  const owner = { apiVersion: "v1", kind: "Pod", name: "a".repeat(100), uid: "u", controller: true };
  const ownerReferences = Array.from({ length: LENGTH / 200 }, () => owner);
  const faults = validateKindMeta(
    { name: "a", namespace: "b", ownerReferences },
    { namespaced: true, metadataRules: "kind" },
  );
  expect(faults.length).toBeGreaterThan(0);
  expect(JSON.stringify(faults).length).toBeLessThan(3 * LENGTH);
  const items = Array.from({ length: LENGTH / 30 }, (_, index) => ({ key: "k", path: `path-${index}` }));
  const volumes = [{ name: "v", projected: { sources: [{ configMap: { name: "m", items } }] } }];
  expect(podWarnings({ spec: { containers: [], volumes } }, "")).toEqual([]);
});

test("scopes of a quota", () => {
  const matchExpressions = Array.from({ length: LENGTH / 50 }, () => ({
    scopeName: "Terminating",
    operator: "Exists",
  }));
  const quota = {
    apiVersion: "v1" as const,
    kind: "ResourceQuota" as const,
    metadata: { name: "a", namespace: "b" },
    spec: { hard: { pods: "1" }, scopeSelector: { matchExpressions } },
  };
  expect(resourceQuota.strategy?.validate?.(quota)).toEqual([]);
});

test("roles", () => {
  const rule = (url: string) => ({ verbs: ["get"], nonResourceURLs: [url] });
  expect(missingRules([rule(`${"*".repeat(LENGTH)}a*`)], [rule("/a")])).toHaveLength(1);
});

test("what boards are given", () => {
  const spec = {
    rules: [{ host: "a", http: { paths: [{ path: slashes, pathType: "ImplementationSpecific", backend: {} }] } }],
  };
  const ingress: Ingress = { apiVersion: "networking.k8s.io/v1", kind: "Ingress", metadata: { name: "a" }, spec };
  expect(new RoutingTable([ingress]).match("a", "/")).toBeUndefined();
  expect(matchesImage(`a.example${slashes}`, "a.example/b")).toBe(false);
  expect(() => envFileValue(spaces.replace(/^ /, "a"), "b")).toThrow("missing '='");
});
