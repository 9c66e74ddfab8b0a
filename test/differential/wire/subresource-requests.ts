/** Every subresource that takes a body, with each place of it wrong in turn, by each way in. Everything is a dry run. */
import { type Absent, absentOf, placesOf, withValue, wrongsOf } from "./places.ts";
import { type Json, ownNamespace, sender, type WireGroup, type WireRequest } from "./request.ts";

const send = sender("subresource");
const namespace = "wire-subresources";
const core = `/api/v1/namespaces/${namespace}`;
const apps = `/apis/apps/v1/namespaces/${namespace}`;
const requests = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const types = {
  merge: "application/merge-patch+json",
  strategic: "application/strategic-merge-patch+json",
  apply: "application/apply-patch+yaml",
};

const named = (apiVersion: string, kind: string, name: string, more: Json = {}): Json => ({
  apiVersion,
  kind,
  metadata: { name },
  ...more,
});
const container = { name: "a", image: "a", resources: { requests: { cpu: "1" }, limits: { cpu: "2" } } };
const template = { metadata: { labels: { a: "b" } }, spec: { containers: [container] } };
const selector = { matchLabels: { a: "b" } };

const setting: readonly WireRequest[] = [
  ...ownNamespace(send, namespace),
  send("pod", "POST", `${core}/pods`, named("v1", "Pod", "held", { spec: template.spec })),
  send("node", "POST", "/api/v1/nodes", named("v1", "Node", "wire-subresources")),
  ...["Deployment", "ReplicaSet", "StatefulSet"].map((kind) =>
    send(
      kind,
      "POST",
      `${apps}/${kind.toLowerCase()}s`,
      named("apps/v1", kind, "held", { spec: { selector, template } }),
    ),
  ),
  send(
    "ReplicationController",
    "POST",
    `${core}/replicationcontrollers`,
    named("v1", "ReplicationController", "held", { spec: { selector: { a: "b" }, template } }),
  ),
];

interface Taken {
  readonly what: string;
  readonly path: string;
  readonly body: Json;
  /** Made by it; else it is changed. */
  readonly isMade?: boolean;
}

const ephemeral = { name: "d", image: "a", targetContainerName: "a", env: [{ name: "A", value: "b" }] };
const changedPod = (spec: Json): Json => named("v1", "Pod", "held", { spec });
const scaled = (path: string): Taken => ({
  what: `scale of ${path.split("/").at(-1)}`,
  path: `${path}/held/scale`,
  body: named("autoscaling/v1", "Scale", "held", { spec: { replicas: 2 }, status: { replicas: 1, selector: "a=b" } }),
});
const all: readonly Taken[] = [
  {
    what: "eviction",
    path: `${core}/pods/held/eviction`,
    isMade: true,
    body: named("policy/v1", "Eviction", "held", {
      deleteOptions: {
        gracePeriodSeconds: 1,
        propagationPolicy: "Background",
        preconditions: { uid: "a", resourceVersion: "1" },
        dryRun: ["All"],
      },
    }),
  },
  {
    what: "binding",
    path: `${core}/pods/held/binding`,
    isMade: true,
    body: named("v1", "Binding", "held", { target: { apiVersion: "v1", kind: "Node", name: "wire-subresources" } }),
  },
  {
    what: "bindings",
    path: `${core}/bindings`,
    isMade: true,
    body: named("v1", "Binding", "held", { target: { apiVersion: "v1", kind: "Node", name: "wire-subresources" } }),
  },
  {
    what: "token",
    path: `${core}/serviceaccounts/default/token`,
    isMade: true,
    body: {
      apiVersion: "authentication.k8s.io/v1",
      kind: "TokenRequest",
      metadata: { name: "default", namespace },
      spec: {
        audiences: ["a"],
        expirationSeconds: 3600,
        boundObjectRef: { apiVersion: "v1", kind: "Pod", name: "held", uid: "" },
      },
    },
  },
  {
    what: "ephemeral containers",
    path: `${core}/pods/held/ephemeralcontainers`,
    body: changedPod({ ephemeralContainers: [ephemeral] }),
  },
  { what: "resize", path: `${core}/pods/held/resize`, body: changedPod({ containers: [container] }) },
  {
    what: "finalize",
    path: `/api/v1/namespaces/${namespace}/finalize`,
    body: named("v1", "Namespace", namespace, { spec: { finalizers: ["kubernetes", "a.b/c"] } }),
  },
  {
    what: "approval",
    path: `${requests}/nobody/approval`,
    body: named("certificates.k8s.io/v1", "CertificateSigningRequest", "nobody", {
      status: { conditions: [{ type: "Approved", status: "True", reason: "a", message: "b" }] },
    }),
  },
  scaled(`${apps}/deployments`),
  scaled(`${apps}/replicasets`),
  scaled(`${apps}/statefulsets`),
  scaled(`${core}/replicationcontrollers`),
];

function wrongOnes({ body }: Taken): readonly (readonly [what: string, body: Json])[] {
  return [
    ["whole", body],
    ...placesOf(body).flatMap((place) =>
      wrongsOf(place).map(
        ({ what, value }) => [`${place.path.join(".")} ${what}`, withValue(body, place.path, value)] as const,
      ),
    ),
    ...absentOf(body).map(
      ({ path, value }: Absent) =>
        [`${path.join(".")} ${JSON.stringify(value)}`, withValue(body, path, value)] as const,
    ),
    ["of another kind", { ...body, kind: "Other" }],
    ["of another version", { ...body, apiVersion: "other/v1" }],
    ["without kind", { ...body, kind: undefined, apiVersion: undefined }],
  ];
}

const validations = ["", "Strict", "Warn", "Ignore"];

function requestsOf(taken: Taken): readonly WireRequest[] {
  const { what, path, body, isMade } = taken;
  const at = (index: number, more = ""): string => {
    const validation = validations[index % validations.length] ?? "";
    return `${path}?dryRun=All${validation && `&fieldValidation=${validation}`}${more}`;
  };
  // Who may be meant by a token by default, and for how long one is good, is each server's own.
  const wrong = wrongOnes(taken).filter(
    ([how]) => what !== "token" || !/^spec (missing|null)$|audiences|expirationSeconds over/.test(how),
  );
  if (isMade) {
    return [
      ...wrong.map(([how, each], index) => send(`${what} ${how}`, "POST", at(index), each)),
      ...["GET", "PUT", "PATCH", "DELETE"].map((method) =>
        send(`${what} by ${method}`, method, at(0), method === "GET" ? undefined : body),
      ),
    ];
  }
  return [
    ...wrong.map(([how, each], index) => send(`${what} ${how} put`, "PUT", at(index), each)),
    // Over what is there, the place alone.
    ...wrong.map(([how, each], index) => send(`${what} ${how} merged`, "PATCH", at(index), each, types.merge)),
    ...wrong.map(([how, each], index) =>
      send(`${what} ${how} merged strategically`, "PATCH", at(index), each, types.strategic),
    ),
    ...wrong.map(([how, each], index) =>
      send(`${what} ${how} applied`, "PATCH", at(index, "&fieldManager=one"), each, types.apply),
    ),
    ...["POST", "DELETE"].map((method) => send(`${what} by ${method}`, method, at(0), body)),
  ];
}

/** Deletions of many, by each option. */
const removals: readonly Json[] = [
  {},
  { propagationPolicy: "Orphan" },
  { propagationPolicy: "Foreground" },
  { propagationPolicy: "Background" },
  { propagationPolicy: "Other" },
  { orphanDependents: true },
  { orphanDependents: true, propagationPolicy: "Orphan" },
  { gracePeriodSeconds: 0 },
  { gracePeriodSeconds: -1 },
  { preconditions: { uid: "x" } },
  { preconditions: { resourceVersion: "1" } },
  { dryRun: ["All", "All"] },
  { dryRun: ["Other"] },
  { ignoreStoreReadErrorWithClusterBreakingPotential: true },
  { kind: "Other" },
  { unknown: 1 },
];
const queries = [
  ...["", "limit=1", "limit=-1", "limit=x", "continue=x", "resourceVersion=0", "resourceVersion=x", "watch=1"],
  ...["fieldSelector=metadata.name%3Dheld", "fieldSelector=nothing%3Da", "labelSelector=a%3Db", "labelSelector=a%20b"],
  ...["resourceVersionMatch=Exact", "resourceVersion=1&resourceVersionMatch=NotOlderThan", "sendInitialEvents=true"],
  ...[
    "allowWatchBookmarks=1",
    "timeoutSeconds=x",
    "timeoutSeconds=1",
    "gracePeriodSeconds=5",
    "propagationPolicy=Orphan",
  ],
  ...[
    "orphanDependents=true",
    "orphanDependents=x",
    "dryRun=Other",
    "ignoreStoreReadErrorWithClusterBreakingPotential=true",
  ],
];
const collections = [`${core}/pods`, `${core}/configmaps`, `${apps}/deployments`, `${core}/serviceaccounts`];
const ofCollections: readonly WireRequest[] = collections.flatMap((path) => [
  ...removals.map((body) =>
    send(`many ${path} ${JSON.stringify(body)}`, "DELETE", `${path}?labelSelector=wanted`, {
      kind: "DeleteOptions",
      apiVersion: "v1",
      dryRun: ["All"],
      ...body,
    }),
  ),
  ...queries.map((query) => send(`many ${path} by ${query}`, "DELETE", `${path}?dryRun=All&${query}`)),
]);

export const subresourceBodyGroups: readonly WireGroup[] = [
  { name: "bodies of subresources: setting", inOrder: true, requests: setting },
  { name: "bodies of subresources", requests: all.flatMap(requestsOf) },
  { name: "deletions of many", requests: ofCollections },
];
