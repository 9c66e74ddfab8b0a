/**
 * Server-side apply at its edges: metadata that only the server sets, preconditions, the first apply to a subresource of what
 * another manager made, and custom kinds of several versions that nothing converts.
 */
import { type Json, ownNamespace, sender, type WireGroup, type WireRequest } from "./request.ts";
import { type Held, held } from "./world.ts";

const own = "wire-applies";
const core = `/api/v1/namespaces/${own}`;
const apply = "application/apply-patch+yaml";
const merge = "application/merge-patch+json";
const definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const customGroup = "applies.example.com";

const send = sender("applying");
const applied = (what: string, path: string, manager: string, body: WireRequest["body"], more = ""): WireRequest =>
  send(what, "PATCH", `${path}?fieldManager=${manager}${more}`, body, apply);
const metadataOf = (object: Json): Json => object["metadata"] as Json;

/** A watch of nothing: time passes until a definition is served. */
const pause = (what: string): WireRequest =>
  send(what, "GET", `${core}/configmaps?watch=1&labelSelector=none&timeoutSeconds=3`);

const text = { type: "string" };
const number = { type: "integer" };
const properties = (fields: Json, more: Json = {}): Json => ({ type: "object", properties: fields, ...more });
const version = (name: string, spec: Json, more: Json = {}): Json => ({
  name,
  served: true,
  storage: name === "v1",
  schema: { openAPIV3Schema: properties({ spec, status: properties({ seen: number, note: text }) }) },
  subresources: { status: {}, scale: { specReplicasPath: ".spec.size", statusReplicasPath: ".status.seen" } },
  ...more,
});
const definition = (plural: string, kind: string, versions: readonly Json[]): Json => ({
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: `${plural}.${customGroup}` },
  spec: {
    group: customGroup,
    scope: "Namespaced",
    names: { plural, kind },
    versions,
    conversion: { strategy: "None" },
  },
});

const byName = {
  type: "array",
  "x-kubernetes-list-type": "map",
  "x-kubernetes-list-map-keys": ["name"],
  items: properties({ name: text, kind: { ...text, default: "plain" }, count: number }, { required: ["name"] }),
};
const set = { type: "array", "x-kubernetes-list-type": "set", items: text };
const atomic = { type: "array", items: text };
const gadgetVersions = [
  version("v1", properties({ a: text, b: text, size: { ...number, default: 1 }, list: set, parts: byName })),
  // Another default, another kind of list, and fields of its own.
  version(
    "v2",
    properties({
      a: text,
      c: { ...text, default: "c2" },
      size: { ...number, default: 2 },
      list: atomic,
      parts: byName,
    }),
  ),
  // Keeps what it does not know.
  version(
    "v3",
    properties({ a: text, b: text, c: text, size: number }, { "x-kubernetes-preserve-unknown-fields": true }),
  ),
  version("v4", properties({ a: { ...text, maxLength: 3 }, size: { ...number, maximum: 5 } })),
];

const setting: readonly WireRequest[] = [
  ...ownNamespace(send, own),
  send("definition of gadgets", "POST", definitions, definition("gadgets", "Gadget", gadgetVersions)),
  pause("until gadgets are served"),
];

const template = { metadata: { labels: { app: "a" } }, spec: { containers: [{ name: "a", image: "a" }] } };
const gadgetsAt = (served: string): string => `/apis/${customGroup}/${served}/namespaces/${own}/gadgets`;

interface Kind {
  readonly what: string;
  readonly collection: string;
  readonly object: Json;
}
const kinds: readonly Kind[] = [
  { what: "map", collection: `${core}/configmaps`, object: { apiVersion: "v1", kind: "ConfigMap", data: { a: "b" } } },
  {
    what: "deployment",
    collection: `/apis/apps/v1/namespaces/${own}/deployments`,
    object: { apiVersion: "apps/v1", kind: "Deployment", spec: { selector: { matchLabels: { app: "a" } }, template } },
  },
  { what: "pod", collection: `${core}/pods`, object: { apiVersion: "v1", kind: "Pod", spec: template.spec } },
  { what: "node", collection: "/api/v1/nodes", object: { apiVersion: "v1", kind: "Node" } },
  {
    what: "gadget",
    collection: gadgetsAt("v1"),
    object: { apiVersion: `${customGroup}/v1`, kind: "Gadget", spec: { a: "1" } },
  },
];

/** A kind that an update may create. */
const lease: Kind = {
  what: "lease",
  collection: `/apis/coordination.k8s.io/v1/namespaces/${own}/leases`,
  object: { apiVersion: "coordination.k8s.io/v1", kind: "Lease", spec: { holderIdentity: "a" } },
};

const owner = {
  manager: "x",
  operation: "Apply",
  apiVersion: "v1",
  fieldsType: "FieldsV1",
  fieldsV1: { "f:data": {} },
};
const identities: readonly Json[] = [
  { selfLink: "/x" },
  { selfLink: "" },
  { selfLink: 1 },
  { deletionTimestamp: "2020-01-01T00:00:00Z" },
  { deletionTimestamp: null },
  { deletionTimestamp: "yesterday" },
  { deletionTimestamp: "" },
  { deletionGracePeriodSeconds: 5 },
  { deletionGracePeriodSeconds: 0 },
  { deletionGracePeriodSeconds: null },
  { deletionGracePeriodSeconds: "5" },
  { deletionTimestamp: "2020-01-01T00:00:00Z", deletionGracePeriodSeconds: 5, finalizers: ["example.com/a"] },
  { resourceVersion: "" },
  { resourceVersion: "0" },
  { resourceVersion: "1" },
  { resourceVersion: "x" },
  { resourceVersion: "-1" },
  { resourceVersion: "00" },
  { resourceVersion: 5 },
  { resourceVersion: null },
  { uid: "" },
  { uid: "x" },
  { uid: 1 },
  { uid: null },
  { uid: "x", resourceVersion: "1" },
  { generation: 7 },
  { generation: 0 },
  { generation: -1 },
  { generation: "7" },
  { generation: null },
  { creationTimestamp: "2020-01-01T00:00:00Z" },
  { creationTimestamp: null },
  { creationTimestamp: "" },
  { creationTimestamp: "yesterday" },
  { managedFields: [] },
  { managedFields: null },
  { managedFields: [{}] },
  { managedFields: [owner] },
  { managedFields: "x" },
  { generateName: "x-" },
  { namespace: "other" },
  { namespace: "" },
  { namespace: null },
  { name: "other" },
  { name: null },
  { name: "" },
  { labels: null, annotations: null, finalizers: null, ownerReferences: null },
  { labels: {}, annotations: {}, finalizers: [], ownerReferences: [] },
  { unknown: 1 },
];

/** Applied to a name that is free, read, and applied to once more. */
const creates: readonly WireRequest[] = kinds.flatMap(({ what, collection, object }) =>
  identities.flatMap((metadata, index) => {
    const path = `${collection}/new-${what}-${index}`;
    const config = { ...object, metadata: { name: `new-${what}-${index}`, ...metadata } };
    const told = `new ${what} of ${JSON.stringify(metadata)}`;
    return [
      applied(`${told}, dry`, path, "one", config, "&dryRun=All"),
      applied(told, path, "one", config, index % 2 === 0 ? "&force=true" : ""),
      send(`${told}, read`, "GET", path),
      applied(`${told}, again`, path, "one", config),
      applied(`${told}, by another`, path, "two", config, "&force=true"),
    ];
  }),
);

/** With what the live object is known by, right and wrong. */
const present = (live: Json, ...keys: readonly string[]): Json =>
  Object.fromEntries(keys.map((key) => [key, metadataOf(live)?.[key]]));
const preconditions: readonly (readonly [string, (live: Json) => Json])[] = [
  ["its uid", (live) => present(live, "uid")],
  ["its revision", (live) => present(live, "resourceVersion")],
  ["its uid and revision", (live) => present(live, "uid", "resourceVersion")],
  ["its uid and another revision", (live) => ({ ...present(live, "uid"), resourceVersion: "1" })],
  ["another uid and its revision", (live) => ({ ...present(live, "resourceVersion"), uid: "x" })],
  ["another uid", () => ({ uid: "x" })],
  ["another revision", () => ({ resourceVersion: "1" })],
  ["revision 0", () => ({ resourceVersion: "0" })],
  ["an empty revision", () => ({ resourceVersion: "" })],
  ["a revision that is none", () => ({ resourceVersion: "x" })],
  ["its creation", (live) => present(live, "creationTimestamp")],
  ["its generation", (live) => present(live, "generation")],
  ["all that it is known by", (live) => present(live, "uid", "resourceVersion", "creationTimestamp", "generation")],
  ["a link", () => ({ selfLink: "/x" })],
  ["a deletion", () => ({ deletionTimestamp: "2020-01-01T00:00:00Z", deletionGracePeriodSeconds: 3 })],
  ["its managed fields", (live) => present(live, "managedFields")],
];

const updates: readonly WireRequest[] = kinds.flatMap(({ what, collection, object }) => {
  const name = `kept-${what}`;
  const path = `${collection}/${name}`;
  const config = (metadata: Json, label: string): Json => ({
    ...object,
    metadata: { name, ...metadata, labels: { shared: label } },
  });
  return [
    send(`held ${what}`, "POST", `${collection}?fieldManager=maker`, config({}, "0")),
    ...preconditions.flatMap(([told, metadata], index) => {
      const to =
        (label: string) =>
        (live: Json): Json =>
          config(metadata(live), label);
      return [
        applied(`held ${what} by ${told}, in conflict`, path, `m${index}`, to(`${index}`)),
        applied(`held ${what} by ${told}, forced`, path, `m${index}`, to(`${index}`), "&force=true"),
        applied(`held ${what} by ${told}, unchanged`, path, `m${index}`, to(`${index}`)),
        applied(`held ${what} by ${told}, dry`, path, `m${index}`, to("dry"), "&dryRun=All"),
      ];
    }),
    send(`held ${what} read`, "GET", path),
  ];
});

const ready = {
  type: "Ready",
  status: "True",
  reason: "Tried",
  message: "",
  lastTransitionTime: "2024-01-01T00:00:00Z",
};
const statuses: Readonly<Record<string, Json>> = {
  pod: { conditions: [{ type: "Ready", status: "True" }], hostIP: "10.0.0.1" },
  deployment: { replicas: 2, conditions: [{ type: "Available", status: "True" }] },
  replicaSet: { replicas: 2 },
  statefulSet: { replicas: 2 },
  daemonSet: { currentNumberScheduled: 1, numberMisscheduled: 0, desiredNumberScheduled: 1, numberReady: 1 },
  replicationController: { replicas: 2 },
  job: { active: 1 },
  cronJob: { lastScheduleTime: "2024-01-01T00:00:00Z" },
  node: { conditions: [{ type: "Ready", status: "True" }], addresses: [{ type: "InternalIP", address: "10.0.0.1" }] },
  namespace: { conditions: [{ type: "Tried", status: "True" }] },
  service: { conditions: [ready] },
  ingress: { loadBalancer: { ingress: [{ ip: "10.0.0.1" }] } },
  persistentVolume: { phase: "Bound" },
  persistentVolumeClaim: { phase: "Bound" },
  resourceQuota: { hard: { pods: "1" } },
  horizontalPodAutoscaler: { currentReplicas: 1, desiredReplicas: 1 },
  podDisruptionBudget: { currentHealthy: 1, desiredHealthy: 1, disruptionsAllowed: 0, expectedPods: 1 },
  certificateSigningRequest: { conditions: [{ type: "Failed", status: "True", reason: "Tried" }] },
  flowSchema: { conditions: [{ type: "Dangling", status: "False" }] },
  priorityLevelConfiguration: { conditions: [{ type: "Tried", status: "True" }] },
  networkPolicy: {},
  validatingAdmissionPolicy: { conditions: [ready] },
  resourceClaim: { reservedFor: [{ resource: "pods", name: "a", uid: "1" }] },
  serviceCIDR: { conditions: [ready] },
};

const unnamed = new Set(["customResourceDefinition", "apiService", "csiNode", "ipAddress", "serviceCIDR"]);
const collectionHere = (each: Held): string => each.collection.replace(/namespaces\/[^/]+/, `namespaces/${own}`);
const approval = {
  conditions: [{ type: "Approved", status: "True", reason: "Tried", lastUpdateTime: null }],
};

/** Made by one, applied to by others at a subresource before anything was applied to the object; then the same, its managers forgotten. */
function firstApplies(each: Held): WireRequest[] {
  if (unnamed.has(each.sample)) return [];
  const collection = collectionHere(each);
  const name = `first-${each.sample.toLowerCase()}`;
  const posted = each.object;
  const { apiVersion, kind } = posted as { apiVersion: string; kind: string };
  const { namespace: _, ...metadata } = metadataOf(posted);
  const object = { ...posted, metadata: { ...metadata, name } };
  const bare = (more: Json = {}): Json => ({ apiVersion, kind, metadata: { name }, ...more });
  const scale = { apiVersion: "autoscaling/v1", kind: "Scale", metadata: { name }, spec: { replicas: 2 } };
  const at = (below: string): string => `${collection}/${name}${below}`;
  const status = statuses[each.sample] ?? {};
  const isCertificate = each.sample === "certificateSigningRequest";
  const isPod = each.sample === "pod";
  const container = (image: string): Json => ({
    spec: { containers: [{ name: "app", image, resources: { limits: { cpu: "1" } } }] },
  });
  const debug = { spec: { ephemeralContainers: [{ name: "debug", image: "a", terminationMessagePolicy: "File" }] } };
  // Upstream's controller manager, not its API server, writes the type checking of a policy, which is somebody's field.
  const whens = each.sample === "validatingAdmissionPolicy" ? [""] : ["", " once its managers are forgotten"];
  const rounds = whens.flatMap((when, index): WireRequest[] => [
    ...(index === 0
      ? []
      : [send(`first ${each.sample} forgotten`, "PATCH", at(""), { metadata: { managedFields: [{}] } }, merge)]),
    applied(`first ${each.sample} dry${when}`, at(""), "dry", bare(), "&dryRun=All"),
    ...(isCertificate
      ? [applied(`first ${each.sample} approval${when}`, at("/approval"), "approver", bare({ status: approval }))]
      : []),
    applied(`first ${each.sample} status${when}`, at("/status"), "signer", bare({ status })),
    applied(`first ${each.sample} empty status${when}`, at("/status"), "other", bare()),
    applied(
      `first ${each.sample} labels by status${when}`,
      at("/status"),
      "labels",
      bare({ metadata: { name, labels: { a: "b" } } }),
    ),
    // Upstream fails to apply the Scale of any custom resource.
    ...(each.kind.group === customGroup
      ? []
      : [
          applied(`first ${each.sample} scale${when}`, at("/scale"), "scaler", scale),
          send(`first ${each.sample} scaled${when}`, "GET", at("")),
          applied(`first ${each.sample} scale by force${when}`, at("/scale"), "scaler", scale, "&force=true"),
        ]),
    ...(isPod
      ? [
          applied(`first pod ephemeral containers${when}`, at("/ephemeralcontainers"), "debugger", bare(debug)),
          applied(
            `first pod ephemeral containers by force${when}`,
            at("/ephemeralcontainers"),
            "debugger",
            bare(debug),
            "&force=true",
          ),
          applied(`first pod resize${when}`, at("/resize"), "resizer", bare(container("a"))),
          applied(`first pod resize by force${when}`, at("/resize"), "resizer", bare(container("a")), "&force=true"),
          applied(`first pod eviction${when}`, at("/eviction"), "evictor", bare()),
          applied(`first pod binding${when}`, at("/binding"), "binder", bare()),
        ]
      : []),
    applied(`first ${each.sample} finalize${when}`, at("/finalize"), "finalizer", bare()),
    applied(`first ${each.sample} whole${when}`, at(""), "whole", bare({ metadata: { name, labels: { c: "d" } } })),
    send(`first ${each.sample} read${when}`, "GET", at("")),
  ]);
  return [
    send(`first ${each.sample} made`, "POST", `${collection}?fieldManager=maker`, object),
    // What is another manager's by another way than apply.
    applied(`first ${each.sample} nobody's status`, `${collection}/nobody/status`, "signer", {
      ...bare({ status }),
      metadata: { name: "nobody" },
    }),
    applied(
      `first ${each.sample} nobody's whole status, dry`,
      `${collection}/nobody/status`,
      "signer",
      { ...object, metadata: { ...metadata, name: "nobody" }, status },
      "&dryRun=All",
    ),
    ...rounds,
  ];
}

const gadgetFirst: Held = {
  sample: "gadget",
  kind: {
    group: customGroup,
    version: "v1",
    plural: "gadgets",
    namespaced: true,
    object: { apiVersion: `${customGroup}/v1`, kind: "Gadget", metadata: {}, spec: { a: "1" } },
  },
  object: { apiVersion: `${customGroup}/v1`, kind: "Gadget", metadata: {}, spec: { a: "1" } },
  collection: gadgetsAt("v1"),
  path: "",
};

function versionRequests(): WireRequest[] {
  const gadget = (served: string, name: string, spec: Json, more: Json = {}): Json => ({
    apiVersion: `${customGroup}/${served}`,
    kind: "Gadget",
    metadata: { name },
    spec,
    ...more,
  });
  const at = (served: string, name: string): string => `${gadgetsAt(served)}/${name}`;
  let count = 0;
  const by = (served: string, name: string, manager: string, spec: Json, more = ""): WireRequest => {
    count += 1;
    return applied(
      `version ${served} of ${name} by ${manager}, ${count}`,
      at(served, name),
      manager,
      gadget(served, name, spec),
      more,
    );
  };
  const read = (name: string): WireRequest[] => {
    count += 1;
    return ["v1", "v2", "v3", "v4"].map((served) =>
      send(`read ${served} of ${name}, ${count}`, "GET", at(served, name)),
    );
  };
  const patch = (served: string, name: string, manager: string, body: Json, below = ""): WireRequest => {
    count += 1;
    return send(
      `patch ${served} of ${name}${below} by ${manager}, ${count}`,
      "PATCH",
      `${at(served, name)}${below}?fieldManager=${manager}`,
      body,
      merge,
    );
  };
  const status = (served: string, name: string, manager: string, body: Json, more = ""): WireRequest => {
    count += 1;
    return applied(
      `status ${served} of ${name} by ${manager}, ${count}`,
      `${at(served, name)}/status`,
      manager,
      { apiVersion: `${customGroup}/${served}`, kind: "Gadget", metadata: { name }, status: body },
      more,
    );
  };
  const force = "&force=true";
  return [
    // Defaults of the version that is applied, and of those that are read.
    by("v1", "one", "a", { a: "1", b: "1" }),
    ...read("one"),
    by("v2", "one", "b", { c: "2" }),
    by("v2", "one", "b", { c: "2", a: "1" }),
    by("v2", "one", "b", { c: "2", a: "2" }),
    by("v2", "one", "b", { c: "2", a: "2" }, force),
    ...read("one"),
    by("v1", "one", "a", { a: "2", b: "1" }),
    by("v1", "one", "a", { b: "1" }),
    by("v3", "one", "c", { a: "2", b: "1", c: "2", more: { deep: 1 } }),
    ...read("one"),
    by("v1", "one", "d", { a: "2" }),
    ...read("one"),
    by("v4", "one", "e", { a: "2", size: 9 }),
    by("v4", "one", "e", { a: "long" }, force),
    by("v4", "one", "e", { size: 4 }),
    by("v4", "one", "e", { size: 4 }, force),
    ...read("one"),
    // One manager by several versions.
    by("v2", "two", "a", { a: "1", c: "x" }),
    by("v1", "two", "a", { a: "1", b: "x" }),
    by("v3", "two", "a", { a: "1" }),
    by("v2", "two", "a", {}),
    ...read("two"),
    // Lists of other kinds.
    by("v1", "three", "a", { list: ["x", "y"], parts: [{ name: "p", count: 1 }] }),
    by("v2", "three", "b", { list: ["x", "y"], parts: [{ name: "q" }] }),
    by("v2", "three", "b", { list: ["z"] }, force),
    by("v1", "three", "c", { list: ["w"], parts: [{ name: "p", count: 2 }] }),
    by("v1", "three", "c", { list: ["w"], parts: [{ name: "p", count: 2 }] }, force),
    by("v3", "three", "d", { list: ["w"], parts: [{ name: "p", count: 2 }] }),
    by("v3", "three", "d", { list: ["w"], parts: [{ name: "p", count: 2 }] }, force),
    ...read("three"),
    patch("v2", "three", "e", { spec: { list: ["v"] } }),
    patch("v1", "three", "e", { spec: { list: ["v", "u"], b: "e" } }),
    by("v1", "three", "a", {}),
    by("v1", "three", "c", {}, force),
    ...read("three"),
    // What a version prunes.
    by("v1", "four", "a", { a: "1", c: "unknown here" }),
    { ...by("v1", "four", "a", { a: "1", c: "unknown here" }, "&fieldValidation=Strict") },
    by("v1", "four", "a", { a: "1", c: "unknown here" }, "&fieldValidation=Ignore"),
    by("v3", "four", "a", { a: "1", c: "known", odd: [1, { b: null }], nothing: null }),
    ...read("four"),
    by("v1", "four", "b", { b: "1" }),
    ...read("four"),
    patch("v3", "four", "c", { spec: { other: { x: 1 } } }),
    patch("v1", "four", "d", { spec: { b: "2" } }),
    ...read("four"),
    by("v3", "four", "a", { a: "1" }),
    ...read("four"),
    // Made by a create, then applied to by versions.
    send(
      "version v3 of five made",
      "POST",
      `${gadgetsAt("v3")}?fieldManager=maker`,
      gadget("v3", "five", { a: "1", b: "1", c: "1", x: 1 }),
    ),
    by("v1", "five", "a", { a: "2" }),
    by("v1", "five", "a", { a: "2" }, force),
    by("v2", "five", "b", { a: "1", c: "1" }, force),
    ...read("five"),
    send("version v2 of five put", "PUT", `${at("v2", "five")}?fieldManager=putter`, (live) => ({
      ...live,
      spec: { a: "put", parts: [{ name: "n" }] },
    })),
    ...read("five"),
    by("v1", "five", "a", { a: "put", b: "now" }),
    // Status over versions.
    status("v1", "five", "s", { seen: 1 }),
    status("v2", "five", "t", { seen: 2 }),
    status("v2", "five", "t", { seen: 2 }, force),
    status("v1", "five", "s", { note: "n" }),
    patch("v3", "five", "u", { status: { seen: 3, odd: 1 } }, "/status"),
    patch("v2", "five", "u", { spec: { replicas: 4 } }, "/scale"),
    patch("v3", "five", "v", { spec: { replicas: 5 } }, "/scale"),
    ...read("five"),
    // An entry that owns what its version does not know.
    patch("v1", "five", "w", {
      metadata: {
        managedFields: [
          { ...owner, manager: "z", apiVersion: `${customGroup}/v2`, fieldsV1: { "f:spec": { "f:b": {}, "f:c": {} } } },
        ],
      },
    }),
    by("v1", "five", "a", { a: "3", b: "3" }),
    by("v1", "five", "a", { a: "3", b: "3" }, force),
    by("v2", "five", "z", { a: "3" }),
    ...read("five"),
    // Another stored version, nothing else.
    send(
      "the stored version changed",
      "PATCH",
      `${definitions}/gadgets.${customGroup}`,
      [
        { op: "replace", path: "/spec/versions/0/storage", value: false },
        { op: "replace", path: "/spec/versions/1/storage", value: true },
      ],
      "application/json-patch+json",
    ),
    pause("until the other version is stored"),
    ...["one", "three", "five"].flatMap(read),
    by("v1", "one", "f", { b: "stored" }),
    by("v1", "one", "f", { b: "stored" }, force),
    by("v3", "four", "a", { a: "1", b: "b" }, force),
    by("v1", "six", "a", { a: "1", b: "1" }),
    ...["one", "four", "six"].flatMap(read),
  ];
}

/** The same metadata in creates and in updates of what is not there. */
const posts: readonly WireRequest[] = [...kinds, lease].flatMap(({ what, collection, object }) =>
  identities.flatMap((metadata, index) => {
    // Upstream forgets all managers of a custom object that one of another group is among; here that one alone is.
    if (what === "gadget" && JSON.stringify(metadata).includes("fieldsV1")) return [];
    const name = `posted-${what}-${index}`;
    const sent = { ...object, metadata: { name, ...metadata } };
    const told = `${what} of ${JSON.stringify(metadata)}`;
    return [
      send(`posted ${told}, dry`, "POST", `${collection}?dryRun=All`, sent),
      send(`posted ${told}`, "POST", collection, sent),
      send(`put new ${told}, dry`, "PUT", `${collection}/put-${name}?dryRun=All`, {
        ...sent,
        metadata: { name: `put-${name}`, ...metadata },
      }),
      send(`put new ${told}`, "PUT", `${collection}/put-${name}`, {
        ...sent,
        metadata: { name: `put-${name}`, ...metadata },
      }),
      send(`put new ${told}, read`, "GET", `${collection}/put-${name}`),
    ];
  }),
);

/** One of each kind: further ones would want ports and addresses that are taken. */
const firstOfKinds: readonly Held[] = [
  ...new Map([...held].reverse().map((each) => [String(each.object["kind"]), each])).values(),
].reverse();

export const applyGroups: readonly WireGroup[] = [
  { name: "applies: setting", inOrder: true, requests: setting },
  { name: "applies that create", inOrder: true, requests: creates },
  { name: "creates with metadata", inOrder: true, requests: posts },
  { name: "applies with preconditions", inOrder: true, requests: updates },
  { name: "first applies", inOrder: true, requests: [...firstOfKinds, gadgetFirst].flatMap(firstApplies) },
  { name: "applies by versions", inOrder: true, requests: versionRequests() },
];
