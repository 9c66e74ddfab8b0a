import { expect, test } from "bun:test";
import { keyServiceSockets, parseEncryptionConfiguration } from "./configuration.ts";
import refusals from "./testing/upstream-refusals.json" with { type: "json" };

const parse = (resources: unknown) =>
  parseEncryptionConfiguration(
    JSON.stringify({ apiVersion: "apiserver.config.k8s.io/v1", kind: "EncryptionConfiguration", resources }),
    "file",
  );

function faultsOf(resources: unknown): string[] {
  try {
    parse(resources);
    return [];
  } catch (error) {
    return (error as Error).message.split("\n  ").slice(1);
  }
}

// `upstream` is what kube-apiserver v1.35.4 said at its start; `ours` where that is worded otherwise on purpose: the place is
// named, and nothing is advised that is not possible here.
test.each(refusals.map((each) => [each.name, each] as const))("%s is refused as upstream refuses it", (_name, each) => {
  expect(faultsOf(each.resources)).toEqual(each.ours ?? [each.upstream]);
});

test("resources of the core, of groups, all of a group, and all", () => {
  const { rules } = parse([
    { resources: ["secrets", "*.apps"], providers: [{ identity: {} }] },
    { resources: ["*."], providers: [{ identity: {} }] },
    { resources: ["*.*"], providers: [{ identity: {} }] },
  ]);
  const ruleOf = (resource: string, group: string): number =>
    rules.findIndex(({ resources }) => resources.some((each) => each.concerns(resource, group)));
  expect(ruleOf("secrets", "")).toBe(0);
  expect(ruleOf("deployments", "apps")).toBe(0);
  expect(ruleOf("configmaps", "")).toBe(1);
  expect(ruleOf("widgets", "example.com")).toBe(2);
});

test("a key service is named by the path of its socket", () => {
  const endpointOf = (endpoint: string): string => {
    const [provider] =
      parse([{ resources: ["secrets"], providers: [{ kms: { apiVersion: "v2", name: "a", endpoint } }] }]).rules[0]
        ?.providers ?? [];
    if (provider?.kind !== "kms") throw new Error("no key service");
    expect(provider.kms.timeout_ms).toBe(3_000);
    return decodeURIComponent(provider.kms.endpoint.pathname);
  };
  expect(endpointOf("unix:///run/kms.sock")).toBe("/run/kms.sock");
  expect(endpointOf("unix:///run/a%20b.sock")).toBe("/run/a b.sock");
  expect(endpointOf("unix:///@kms")).toBe("/@kms");
  const kms = (name: string, endpoint: string) => ({ kms: { apiVersion: "v2", name, endpoint } });
  const both = parse([
    { resources: ["secrets"], providers: [kms("a", "unix:///run/kms/a.sock"), kms("b", "unix:///@b")] },
  ]);
  expect(keyServiceSockets(both)).toEqual(["/run/kms/a.sock"]);
});
