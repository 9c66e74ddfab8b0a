/** What the generated requests leave out: other subresources, pages, broken watches, protobuf, and applies to lists of custom kinds. */
import { encodeProtobuf } from "#shared/api/codec/protobuf.ts";
import { type Json, sender, type WireGroup, type WireRequest } from "./request.ts";
import { namespace } from "./world.ts";

const core = `/api/v1/namespaces/${namespace}`;
const apply = "application/apply-patch+yaml";
const merge = "application/merge-patch+json";

const send = sender("further");

const eviction = (more: Json = {}): Json => ({
  apiVersion: "policy/v1",
  kind: "Eviction",
  metadata: { name: "held-pod", namespace },
  ...more,
});
const binding = (target: Json | undefined): Json => ({
  apiVersion: "v1",
  kind: "Binding",
  metadata: { name: "held-pod" },
  ...(target && { target }),
});
const tokenRequest = (spec: Json): Json => ({ apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec });
const approval = (conditions: readonly Json[]): Json => ({ status: { conditions } });
const csr = "/apis/certificates.k8s.io/v1/certificatesigningrequests/held-certificatesigningrequest";

const subresources: readonly WireRequest[] = [
  send(
    "eviction of nobody",
    "POST",
    `${core}/pods/nobody/eviction?dryRun=All`,
    eviction({ metadata: { name: "nobody" } }),
  ),
  send(
    "eviction by another name",
    "POST",
    `${core}/pods/held-pod/eviction?dryRun=All`,
    eviction({ metadata: { name: "x" } }),
  ),
  send("eviction of another kind", "POST", `${core}/pods/held-pod/eviction`, { apiVersion: "v1", kind: "Pod" }),
  send("eviction got", "GET", `${core}/pods/held-pod/eviction`),
  send("binding of nobody", "POST", `${core}/pods/nobody/binding?dryRun=All`, {
    ...binding({ kind: "Node", name: "n" }),
    metadata: { name: "nobody" },
  }),
  send("binding without target", "POST", `${core}/pods/held-pod/binding?dryRun=All`, binding(undefined)),
  send(
    "binding to another kind",
    "POST",
    `${core}/pods/held-pod/binding?dryRun=All`,
    binding({ kind: "Pod", name: "n" }),
  ),
  send("binding without name", "POST", `${core}/pods/held-pod/binding?dryRun=All`, binding({ kind: "Node" })),
  send("token of nobody", "POST", `${core}/serviceaccounts/nobody/token?dryRun=All`, tokenRequest({})),
  send(
    "token too short",
    "POST",
    `${core}/serviceaccounts/default/token?dryRun=All`,
    tokenRequest({ expirationSeconds: 5 }),
  ),
  send(
    "token too long",
    "POST",
    `${core}/serviceaccounts/default/token?dryRun=All`,
    tokenRequest({ expirationSeconds: 4294967297 }),
  ),
  send(
    "token for nothing",
    "POST",
    `${core}/serviceaccounts/default/token?dryRun=All`,
    tokenRequest({ boundObjectRef: { kind: "Pod", name: "nobody" } }),
  ),
  send(
    "token for a kind that it cannot be for",
    "POST",
    `${core}/serviceaccounts/default/token?dryRun=All`,
    tokenRequest({ boundObjectRef: { kind: "ConfigMap", name: "a" } }),
  ),
  send(
    "approved",
    "PATCH",
    `${csr}/approval?dryRun=All`,
    approval([{ type: "Approved", status: "True", reason: "Tried" }]),
    merge,
  ),
  send(
    "approved falsely",
    "PATCH",
    `${csr}/approval?dryRun=All`,
    approval([{ type: "Approved", status: "False" }]),
    merge,
  ),
  send(
    "approved and denied",
    "PATCH",
    `${csr}/approval?dryRun=All`,
    approval([
      { type: "Approved", status: "True" },
      { type: "Denied", status: "True" },
    ]),
    merge,
  ),
  send("approved of no type", "PATCH", `${csr}/approval?dryRun=All`, approval([{ status: "True" }]), merge),
  send(
    "ephemeral containers",
    "PATCH",
    `${core}/pods/held-pod/ephemeralcontainers?dryRun=All`,
    { spec: { ephemeralContainers: [{ name: "debug", image: "debug:1" }] } },
    "application/strategic-merge-patch+json",
  ),
  send(
    "ephemeral container with ports",
    "PATCH",
    `${core}/pods/held-pod/ephemeralcontainers?dryRun=All`,
    { spec: { ephemeralContainers: [{ name: "debug", image: "debug:1", ports: [{ containerPort: 1 }] }] } },
    "application/strategic-merge-patch+json",
  ),
  send("resize of nothing", "PATCH", `${core}/pods/held-pod/resize?dryRun=All`, { spec: {} }, merge),
  send("finalize by GET", "GET", "/api/v1/namespaces/held-namespace/finalize"),
  send("finalize", "PUT", "/api/v1/namespaces/held-namespace/finalize?dryRun=All", {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name: "held-namespace" },
    spec: { finalizers: ["bad"] },
  }),
];

const pages: readonly WireRequest[] = [
  send("first page", "GET", `${core}/configmaps?limit=1`),
  send(
    "page of a foreign token",
    "GET",
    `${core}/configmaps?limit=1&continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiJ4XHUwMDAwIn0`,
  ),
  send("page of no JSON", "GET", `${core}/configmaps?limit=1&continue=bm8`),
  send(
    "page with an exact match",
    "GET",
    `${core}/configmaps?continue=abc&resourceVersionMatch=Exact&resourceVersion=5`,
  ),
  send(
    "exactly of the future",
    "GET",
    `${core}/configmaps?resourceVersion=999999999&resourceVersionMatch=Exact&timeoutSeconds=1`,
  ),
  send("not older than nothing", "GET", `${core}/configmaps?resourceVersionMatch=NotOlderThan`),
  send("watch of the far past", "GET", `${core}/configmaps?watch=1&resourceVersion=1&timeoutSeconds=1`),
  send("watch with a limit", "GET", `${core}/configmaps?watch=1&limit=1&timeoutSeconds=1&labelSelector=none`),
  send("watch with an unknown field", "GET", `${core}/configmaps?watch=1&fieldSelector=data.a%3Db&timeoutSeconds=1`),
  send("watch with a bad label", "GET", `${core}/configmaps?watch=1&labelSelector=a%20b&timeoutSeconds=1`),
  send(
    "watch of bookmarks without a start",
    "GET",
    `${core}/configmaps?watch=1&sendInitialEvents=false&timeoutSeconds=1`,
  ),
  send(
    "watch of one that is not there",
    "GET",
    `/api/v1/watch/namespaces/${namespace}/configmaps/nobody?timeoutSeconds=1`,
  ),
];

const configMap = { group: "", version: "v1", kind: "ConfigMap" };
const protobufType = "application/vnd.kubernetes.protobuf";
const encoded = (object: Json): Uint8Array => encodeProtobuf(configMap, object);
const protobuf: readonly WireRequest[] = [
  send(
    "protobuf",
    "POST",
    `${core}/configmaps?dryRun=All`,
    encoded({ metadata: { name: "binary" }, data: { a: "b" } }),
    protobufType,
  ),
  send(
    "protobuf of a bad name",
    "POST",
    `${core}/configmaps?dryRun=All`,
    encoded({ metadata: { name: "Bad Name" } }),
    protobufType,
  ),
  send(
    "protobuf cut off",
    "POST",
    `${core}/configmaps?dryRun=All`,
    encoded({ metadata: { name: "binary" }, data: { a: "b" } }).slice(0, -6),
    protobufType,
  ),
  send(
    "protobuf to another kind",
    "POST",
    `${core}/secrets?dryRun=All`,
    encoded({ metadata: { name: "binary" } }),
    protobufType,
  ),
  send(
    "protobuf as JSON",
    "POST",
    `${core}/configmaps?dryRun=All`,
    encoded({ metadata: { name: "binary" } }),
    "application/json",
  ),
];

const gadgets = "/apis/example.net/v1/namespaces/wire/gadgets";
const definition = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "gadgets.example.net" },
  spec: {
    group: "example.net",
    scope: "Namespaced",
    names: { plural: "gadgets", kind: "Gadget" },
    versions: [
      {
        name: "v1",
        served: true,
        storage: true,
        subresources: { status: {}, scale: { specReplicasPath: ".spec.size", statusReplicasPath: ".status.size" } },
        schema: {
          openAPIV3Schema: {
            type: "object",
            properties: {
              spec: {
                type: "object",
                properties: {
                  size: { type: "integer", minimum: 0, default: 1 },
                  tags: { type: "array", "x-kubernetes-list-type": "set", items: { type: "string" } },
                  parts: {
                    type: "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                    items: {
                      type: "object",
                      required: ["name"],
                      properties: { name: { type: "string" }, count: { type: "integer", maximum: 9 } },
                    },
                  },
                  whole: {
                    type: "object",
                    "x-kubernetes-map-type": "atomic",
                    additionalProperties: { type: "string" },
                  },
                },
                "x-kubernetes-validations": [{ rule: "!has(self.size) || self.size < 100", message: "too large" }],
              },
              status: { type: "object", properties: { size: { type: "integer" } } },
            },
          },
        },
      },
    ],
  },
};
const gadget = (spec: unknown): Json => ({
  apiVersion: "example.net/v1",
  kind: "Gadget",
  metadata: { name: "g" },
  spec: spec as Json,
});
const owned = (what: string, manager: string, spec: unknown, more = ""): WireRequest =>
  send(`custom ${what}`, "PATCH", `${gadgets}/g?fieldManager=${manager}${more}`, gadget(spec), apply);

/** A watch of nothing: time passes until the definition is served. */
const pause = send("pause", "GET", `${core}/configmaps?watch=1&labelSelector=none&timeoutSeconds=3`);

const custom: readonly WireRequest[] = [
  send("definition", "POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition),
  pause,
  send("custom of a bad type", "POST", gadgets, gadget({ size: "many" })),
  send("custom below the minimum", "POST", gadgets, gadget({ size: -1 })),
  send("custom against its rule", "POST", gadgets, gadget({ size: 100 })),
  send("custom unknown strictly", "POST", `${gadgets}?dryRun=All&fieldValidation=Strict`, gadget({ other: 1 })),
  send("custom unknown warned of", "POST", `${gadgets}?dryRun=All&fieldValidation=Warn`, gadget({ other: 1 })),
  send("custom twice in a set", "POST", `${gadgets}?dryRun=All`, gadget({ tags: ["a", "a"] })),
  send("custom twice in a map", "POST", `${gadgets}?dryRun=All`, gadget({ parts: [{ name: "a" }, { name: "a" }] })),
  owned("made", "one", { tags: ["a"], parts: [{ name: "a", count: 1 }], whole: { a: "b" } }),
  owned("added to", "two", { tags: ["b"], parts: [{ name: "b", count: 2 }] }),
  owned("in conflict", "two", { parts: [{ name: "a", count: 2 }], whole: { c: "d" } }),
  owned("by force", "two", { parts: [{ name: "a", count: 2 }], whole: { c: "d" } }, "&force=true"),
  owned("given up", "one", { tags: ["a"] }),
  owned("of a bad count", "one", { parts: [{ name: "z", count: 10 }] }),
  owned("of no name", "one", { parts: [{ count: 1 }] }),
  owned("of a wrong type", "one", { parts: "text" }),
  owned("applied against its rule", "one", { size: 1000 }),
  send("custom strategic", "PATCH", `${gadgets}/g?dryRun=All`, {}, "application/strategic-merge-patch+json"),
  send("custom merged", "PATCH", `${gadgets}/g?dryRun=All`, { spec: { size: 7 } }, merge),
  send("custom status", "PATCH", `${gadgets}/g/status?dryRun=All`, { spec: { size: 8 }, status: { size: 2 } }, merge),
  send("custom scale", "GET", `${gadgets}/g/scale`),
  send("custom scaled", "PATCH", `${gadgets}/g/scale?dryRun=All`, { spec: { replicas: 5 } }, merge),
  send("custom scaled below", "PATCH", `${gadgets}/g/scale?dryRun=All`, { spec: { replicas: -5 } }, merge),
  { ...send("custom as a table", "GET", gadgets), headers: { accept: "application/json;as=Table;v=v1;g=meta.k8s.io" } },
  {
    ...send("custom as metadata", "GET", `${gadgets}/g`),
    headers: { accept: "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io" },
  },
  { ...send("custom as protobuf", "GET", `${gadgets}/g`), headers: { accept: protobufType } },
];

const deployment = (spec: Json): Json => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "owned" },
  spec: {
    selector: { matchLabels: { app: "owned" } },
    template: { metadata: { labels: { app: "owned" } }, spec: { containers: [] } },
    ...spec,
  },
});
const withImage = (image: string, more: Json = {}): Json =>
  deployment({
    template: { metadata: { labels: { app: "owned" } }, spec: { containers: [{ name: "a", image, ...more }] } },
  });
const deployed = (what: string, manager: string, body: Json, more = ""): WireRequest =>
  send(
    `apply ${what}`,
    "PATCH",
    `/apis/apps/v1/namespaces/${namespace}/deployments/owned?fieldManager=${manager}${more}`,
    body,
    apply,
  );

const applies: readonly WireRequest[] = [
  deployed("new", "one", withImage("a:1")),
  deployed("the same", "one", withImage("a:1")),
  deployed("another image", "two", withImage("a:2")),
  deployed("another image by force", "two", withImage("a:2"), "&force=true"),
  deployed("an environment", "three", withImage("a:2", { env: [{ name: "A", value: "b" }] })),
  deployed("a port twice", "three", withImage("a:2", { ports: [{ containerPort: 1 }, { containerPort: 1 }] })),
  deployed("without a key", "three", withImage("a:2", { env: [{ value: "b" }] })),
  send(
    "scale beside",
    "PATCH",
    `/apis/apps/v1/namespaces/${namespace}/deployments/owned/scale?fieldManager=scaler`,
    { apiVersion: "autoscaling/v1", kind: "Scale", metadata: { name: "owned" }, spec: { replicas: 3 } },
    apply,
  ),
  deployed("replicas in conflict", "one", {
    ...withImage("a:2"),
    spec: { ...(withImage("a:2")["spec"] as Json), replicas: 2 },
  }),
  deployed("status", "one", { ...withImage("a:2"), status: { replicas: 5 } }),
];

export const furtherGroups: readonly WireGroup[] = [
  { name: "further subresources", requests: subresources },
  { name: "pages and watches", requests: pages },
  { name: "protobuf", requests: protobuf },
  { name: "applies", inOrder: true, requests: applies },
  { name: "custom kinds", inOrder: true, requests: custom },
];
