import { expect, test } from "bun:test";
import { deployments } from "#shared/api/resources.ts";
import type { Deployment } from "#shared/api/types/apps-v1.generated.ts";
import { startTestServer } from "../../../test/support/apiserver.ts";
import { builtinDeclarations } from "./index.ts";
import { servedDeclarations, servedVersions } from "./runtime-config.ts";

const policies = "mutatingadmissionpolicies";
const bindings = "mutatingadmissionpolicybindings";
const version = "admissionregistration.k8s.io/v1beta1";

const optional = (...given: string[]): string[] =>
  servedDeclarations(servedVersions(given))
    .filter(({ ref }) => ref.version.includes("beta"))
    .map(({ ref }) => ref.plural);

test("what is off by default stays so without the setting", () => {
  expect(servedDeclarations(servedVersions([]))).toEqual(builtinDeclarations);
});

for (const [given, served] of [
  [[`${version}=true`], [policies, bindings]],
  [[version], [policies, bindings]],
  [[`${version}/${policies}=true`], [policies]],
  [[`${version}=true`, `${version}/${bindings}=false`], [policies]],
  [[`${version}/${bindings}=1`, `${version}=0`], [bindings]],
  [["api/beta=true"], [policies, bindings]],
  [["api/all=true"], [policies, bindings]],
  [["api/all=true", "api/beta=false"], []],
  [["api/beta=true", `${version}=false`], []],
  [["api/ga=true", "api/alpha=false", "apps/v1=true", "/v1=true"], []],
  [["v1", "api/v1=true", "v1/pods=true", "api/v1/pods=true", "api/legacy=false"], []],
  [
    [`${version}=false`, `${version}=true`],
    [policies, bindings],
  ],
] as const) {
  test(`${given.join(",")} serves ${served.join(", ") || "nothing more"}`, () => {
    expect(optional(...given)).toEqual([...served]);
  });
}

for (const [given, message] of [
  ["apps=true", "runtime-config: runtime-config invalid key apps"],
  ["api/v1=false", "runtime-config: API group/version v1 must be enabled"],
  ["a/b/c/d=true", "runtime-config: runtime-config invalid key a/b/c/d"],
  ["example.com/v1=true", "runtime-config: unknown api groups example.com"],
  ["apps/v1beta1=true", "runtime-config: group version apps/v1beta1 that has not been registered"],
  ["api/beta=yes", "runtime-config: invalid value api/beta=yes"],
  ["api/beta", "runtime-config: invalid value api/beta="],
  [
    `${version}=yes`,
    `runtime-config: invalid value of ${version}: yes, err: strconv.ParseBool: parsing "yes": invalid syntax`,
  ],
  [
    `${version}/Mutatingadmissionpolicies=true`,
    `runtime-config: invalid key ${version}/Mutatingadmissionpolicies: group/version/resource and resource is always lowercase plural, not "Mutatingadmissionpolicies"`,
  ],
  [
    "api/all=false",
    "runtime-config: --runtime-config=api/all=false conflicts with --enable-priority-and-fairness=true",
  ],
  ["api/ga=false", "runtime-config: --runtime-config=api/ga=false conflicts with --enable-priority-and-fairness=true"],
  [
    "flowcontrol.apiserver.k8s.io/v1=false",
    "runtime-config: --runtime-config=flowcontrol.apiserver.k8s.io/v1=false conflicts with --enable-priority-and-fairness=true",
  ],
  ["apiregistration.k8s.io/v1=false", "runtime-config: API group/version apiregistration.k8s.io/v1 must be enabled"],
] as const) {
  test(`${given} is refused`, () => {
    expect(() => servedDeclarations(servedVersions([given]))).toThrow(message);
  });
}

/** Versions that clients are served of what is named `group/plural`. */
const versionsOf = (given: string[], named: string): string[] =>
  servedDeclarations(servedVersions(given))
    .filter(({ ref }) => `${ref.group}/${ref.plural}` === named)
    .flatMap(({ ref, versions = [{ version: ref.version, served: true }] }) => versions)
    .filter(({ served }) => served === true)
    .map(({ version }) => version);

test("versions of kinds are turned off one by one, and what is narrower wins", () => {
  const claims = "autoscaling/horizontalpodautoscalers";
  expect(versionsOf(["autoscaling/v2=false"], claims)).toEqual(["v1"]);
  expect(versionsOf(["autoscaling/v1=false", "autoscaling/v2=false"], claims)).toEqual([]);
  const storage = ["storage.k8s.io/v1=false", "storage.k8s.io/v1/csinodes=true"];
  expect(versionsOf(storage, "storage.k8s.io/csinodes")).toEqual(["v1"]);
  expect(versionsOf(storage, "storage.k8s.io/storageclasses")).toEqual([]);
  const few = ["api/all=false", "flowcontrol.apiserver.k8s.io/v1=true", "apiregistration.k8s.io/v1=true", "v1=true"];
  expect(versionsOf(few, "/pods")).toEqual(["v1"]);
  expect(versionsOf(few, "apps/deployments")).toEqual([]);
});

test("what is off is nothing to clients, as upstream's server answers; parts of its own process go on with it", async () => {
  const off = ["apps/v1=false", "autoscaling/v1=false", "batch/v1/jobs=false"];
  const server = await startTestServer({ declarations: servedDeclarations(servedVersions(off)) });
  try {
    const answer = async (path: string) => {
      const response = await server.fetch(path);
      return { code: response.status, body: await response.text() };
    };
    for (const path of ["/apis/apps", "/apis/apps/v1", "/apis/apps/v1/deployments"])
      expect(await answer(path)).toEqual({ code: 404, body: "404 page not found\n" });
    expect((await answer("/apis/autoscaling/v1/horizontalpodautoscalers")).code).toBe(404);
    expect(JSON.parse((await answer("/apis/autoscaling")).body).versions).toEqual([
      { groupVersion: "autoscaling/v2", version: "v2" },
    ]);
    const names = (JSON.parse((await answer("/apis/batch/v1")).body).resources as { name: string }[]).map(
      ({ name }) => name,
    );
    expect(names).toEqual(["cronjobs", "cronjobs/status"]);
    expect(JSON.parse((await answer("/apis")).body).groups.map(({ name }: { name: string }) => name)).not.toContain(
      "apps",
    );
    expect((await answer("/openapi/v2")).body).not.toContain("/apis/apps/v1/");
    expect((await answer("/openapi/v3/apis/apps/v1")).code).toBe(404);
    const labels = { app: "web" };
    await server.client.create(deployments, {
      metadata: { name: "web", namespace: "default" },
      spec: {
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { containers: [{ name: "web", image: "web" }] } },
      },
    } as unknown as Deployment);
    expect((await server.client.list(deployments)).items.map(({ metadata }) => metadata.name)).toEqual(["web"]);
  } finally {
    await server.stop();
  }
});
