import { bound, decided, node, pod, type Scenario } from "./scenario.ts";
import type { Manifest, World } from "./world.ts";

const api = "resource.k8s.io/v1";
const driver = "dra.example.com";

const deviceClass = (name: string, expression = `device.driver == "${driver}"`): Manifest => ({
  apiVersion: api,
  kind: "DeviceClass",
  metadata: { name },
  spec: { selectors: [{ cel: { expression } }] },
});

const slice = (name: string, nodeName: string, devices: readonly object[]): Manifest => ({
  apiVersion: api,
  kind: "ResourceSlice",
  metadata: { name },
  spec: { driver, nodeName, pool: { name: nodeName, generation: 1, resourceSliceCount: 1 }, devices },
});

const device = (name: string, attributes: object = {}): object => ({ name, attributes });

const claim = (name: string, ...requests: object[]): Manifest => ({
  apiVersion: api,
  kind: "ResourceClaim",
  metadata: { name },
  spec: { devices: { requests } },
});

const exactly = (deviceClassName: string, more: object = {}): object => ({
  name: "r",
  exactly: { deviceClassName, ...more },
});

const using = (resourceClaimName: string): Readonly<Record<string, unknown>> => ({
  resourceClaims: [{ name: "c", resourceClaimName }],
  containers: [{ name: "main", image: "example/app:1", resources: { claims: [{ name: "c" }] } }],
});

const policies = "admissionregistration.k8s.io/v1";

/** No pod of the name is bound to a node. */
async function refuseBindings(world: World, name: string): Promise<void> {
  const operations = ["CREATE"];
  const rule = { apiGroups: [""], apiVersions: ["v1"], resources: ["pods/binding"], operations };
  await world.create({
    apiVersion: policies,
    kind: "ValidatingAdmissionPolicy",
    metadata: { name: "refused-bindings" },
    spec: {
      matchConstraints: { resourceRules: [rule] },
      validations: [{ expression: `object.metadata.name != "${name}"`, message: "not this one" }],
    },
  });
  await world.create({
    apiVersion: policies,
    kind: "ValidatingAdmissionPolicyBinding",
    metadata: { name: "refused-bindings" },
    spec: { policyName: "refused-bindings", validationActions: ["Deny"] },
  });
  // Upstream goes by what it has heard of policies a moment ago.
  await Bun.sleep(3_000);
}

async function podUsing(world: World, name: string, of = name): Promise<void> {
  await pod(world, `pod-${name}`, { spec: using(of) });
}

export const deviceScenarios: readonly Scenario[] = [
  {
    name: "devices",
    async play(world) {
      await node(world, "dev-a");
      await node(world, "dev-b");
      await world.create(deviceClass("plain"));
      await world.create(
        slice("slice-a", "dev-a", [
          device("d0", { kind: { string: "fast" } }),
          device("d1", { kind: { string: "slow" } }),
        ]),
      );
      await world.create(claim("no-class", exactly("no-such")));
      await world.create(
        claim(
          "no-device",
          exactly("plain", { selectors: [{ cel: { expression: `device.attributes["${driver}"].kind == "none"` } }] }),
        ),
      );
      await world.create(claim("too-many", exactly("plain", { count: 3 })));
      await world.create(
        claim(
          "wrong",
          exactly("plain", { selectors: [{ cel: { expression: `device.attributes["${driver}"].lacking == "x"` } }] }),
        ),
      );
      await world.create(
        claim("sub", { name: "r", firstAvailable: [{ name: "s", deviceClassName: "no-such-either" }] }),
      );
      for (const name of ["no-class", "no-device", "too-many", "sub", "wrong"]) {
        await podUsing(world, name);
        await decided(world, `pod-${name}`);
      }
      await podUsing(world, "missing");
      await world.create(
        claim(
          "fast",
          exactly("plain", { selectors: [{ cel: { expression: `device.attributes["${driver}"].kind == "fast"` } }] }),
        ),
      );
      await podUsing(world, "fast");
      await bound(world, "pod-fast");
      await podUsing(world, "fast-too", "fast");
      await bound(world, "pod-fast-too");
      await world.create(
        claim(
          "another",
          exactly("plain", { selectors: [{ cel: { expression: `device.attributes["${driver}"].kind == "fast"` } }] }),
        ),
      );
      await podUsing(world, "another");
      await decided(world, "pod-another");
      await pod(world, "beside", { spec: { ...using("fast"), nodeSelector: { "kubernetes.io/hostname": "dev-b" } } });
      await decided(world, "beside");
      await world.see("decided");
      await world.create(deviceClass("no-such"));
      await bound(world, "pod-no-class");
      await world.seeObjects("the class came");
    },
  },
  {
    name: "device-templates",
    async play(world) {
      await node(world, "tmp-a");
      await world.create(deviceClass("tmp"));
      await world.create(slice("slice-tmp", "tmp-a", [device("d0"), device("d1")]));
      await pod(world, "early", {
        spec: {
          resourceClaims: [{ name: "c", resourceClaimTemplateName: "template" }],
          containers: [{ name: "main", image: "example/app:1", resources: { claims: [{ name: "c" }] } }],
        },
      });
      await world.see("no template");
      await world.create({
        apiVersion: api,
        kind: "ResourceClaimTemplate",
        metadata: { name: "template" },
        spec: { spec: { devices: { requests: [exactly("tmp")] } } },
      });
      await bound(world, "early");
      await world.until("v1", "Pod", "early", ({ status }) => status.resourceClaimStatuses?.length);
    },
  },
  {
    name: "device-alternatives",
    async play(world) {
      await node(world, "alt-a");
      await node(world, "alt-b");
      await world.create(deviceClass("first", "device.attributes['dra.example.com'].kind == 'first'"));
      await world.create(deviceClass("second", "device.attributes['dra.example.com'].kind == 'second'"));
      await world.create(slice("slice-alt-a", "alt-a", [device("d0", { kind: { string: "second" } })]));
      await world.create(
        slice("slice-alt-b", "alt-b", [
          device("d0", { kind: { string: "first" } }),
          device("d1", { kind: { string: "second" } }),
        ]),
      );
      const either = {
        name: "r",
        firstAvailable: [
          { name: "one", deviceClassName: "first" },
          { name: "two", deviceClassName: "second", count: 1 },
        ],
      };
      await world.create(claim("either", either));
      await podUsing(world, "either");
      await bound(world, "pod-either");
      await world.create(claim("all", exactly("second", { allocationMode: "All" })));
      await podUsing(world, "all");
      await bound(world, "pod-all");
      await world.see("decided");
    },
  },
  {
    name: "device-binding-refused",
    async play(world) {
      await node(world, "ref-a");
      await world.create(deviceClass("ref"));
      await world.create(slice("slice-ref", "ref-a", [device("d0"), device("d1")]));
      await world.create(claim("own", exactly("ref")));
      await world.create(claim("shared", exactly("ref")));
      await podUsing(world, "user", "shared");
      await bound(world, "pod-user");
      await refuseBindings(world, "pod-refused");
      await pod(world, "pod-refused", {
        spec: {
          resourceClaims: [
            { name: "c", resourceClaimName: "own" },
            { name: "s", resourceClaimName: "shared" },
          ],
          containers: [{ name: "main", image: "example/app:1", resources: { claims: [{ name: "c" }, { name: "s" }] } }],
        },
      });
      await world.told("Pod", "pod-refused", "FailedScheduling");
      await world.see("refused");
      await world.delete(policies, "ValidatingAdmissionPolicyBinding", "refused-bindings");
      await bound(world, "pod-refused");
      await world.seeObjects("let go");
    },
  },
];
