/** Deletes of collections and of objects, by every option that they take, in the body and in the query; and what is there afterwards. */
import { type Json, ownNamespace, sender, type WireGroup, type WireRequest } from "./request.ts";

const own = "wire-removals";
const core = `/api/v1/namespaces/${own}`;
const merge = "application/merge-patch+json";

const send = sender("removing");

const template = { metadata: { labels: { app: "a" } }, spec: { containers: [{ name: "a", image: "a" }] } };

interface Kind {
  readonly what: string;
  readonly collection: string;
  readonly object: Json;
}
const kinds: readonly Kind[] = [
  { what: "map", collection: `${core}/configmaps`, object: { apiVersion: "v1", kind: "ConfigMap" } },
  {
    what: "pod",
    collection: `${core}/pods`,
    object: { apiVersion: "v1", kind: "Pod", spec: { ...template.spec, nodeName: "nowhere" } },
  },
  { what: "unplaced pod", collection: `${core}/pods`, object: { apiVersion: "v1", kind: "Pod", spec: template.spec } },
  {
    what: "deployment",
    collection: `/apis/apps/v1/namespaces/${own}/deployments`,
    object: { apiVersion: "apps/v1", kind: "Deployment", spec: { selector: { matchLabels: { app: "a" } }, template } },
  },
  {
    what: "job",
    collection: `/apis/batch/v1/namespaces/${own}/jobs`,
    object: {
      apiVersion: "batch/v1",
      kind: "Job",
      spec: { template: { ...template, spec: { ...template.spec, restartPolicy: "Never" } } },
    },
  },
  {
    what: "controller",
    collection: `${core}/replicationcontrollers`,
    object: { apiVersion: "v1", kind: "ReplicationController", spec: { selector: { app: "a" }, template } },
  },
  {
    what: "claim",
    collection: `${core}/persistentvolumeclaims`,
    object: {
      apiVersion: "v1",
      kind: "PersistentVolumeClaim",
      spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
    },
  },
  {
    what: "policy",
    collection: `/apis/networking.k8s.io/v1/namespaces/${own}/networkpolicies`,
    object: { apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy", spec: { podSelector: {} } },
  },
];

const options = (more: Json): Json => ({ kind: "DeleteOptions", apiVersion: "v1", ...more });
/** What is asked for: a query, and a body where there is one. */
const askings: readonly (readonly [string, Json?])[] = [
  [""],
  ["dryRun=All"],
  ["", { dryRun: ["All"] }],
  ["dryRun=All", {}],
  ["gracePeriodSeconds=0"],
  ["", { gracePeriodSeconds: 0 }],
  ["gracePeriodSeconds=7"],
  ["gracePeriodSeconds=7", { gracePeriodSeconds: 9 }],
  ["gracePeriodSeconds=-1"],
  ["gracePeriodSeconds=x"],
  ["propagationPolicy=Orphan"],
  ["", { propagationPolicy: "Orphan" }],
  ["propagationPolicy=Foreground"],
  ["propagationPolicy=Background"],
  ["propagationPolicy=Foreground", { propagationPolicy: "Background" }],
  ["propagationPolicy=Perhaps"],
  ["orphanDependents=true"],
  ["orphanDependents=false"],
  ["", { orphanDependents: true, propagationPolicy: "Orphan" }],
  ["", { preconditions: { uid: "x" } }],
  ["", { preconditions: { resourceVersion: "1" } }],
  ["", { preconditions: { uid: "x", resourceVersion: "1" } }],
  ["", { preconditions: { uid: "" } }],
  ["ignoreStoreReadErrorWithClusterBreakingPotential=true"],
  ["", { ignoreStoreReadErrorWithClusterBreakingPotential: true }],
  ["ignoreStoreReadErrorWithClusterBreakingPotential=false"],
];
const collectionAskings: readonly (readonly [string, Json?])[] = [
  ["labelSelector=app%3Da"],
  ["labelSelector=app%3Db"],
  ["labelSelector=app%20in%20(a,b)", { gracePeriodSeconds: 0 }],
  ["labelSelector=a%20b"],
  ["labelSelector=app%3Da&dryRun=All"],
  ["fieldSelector=metadata.name%3Dtwo"],
  ["fieldSelector=metadata.name!%3Dtwo"],
  ["fieldSelector=metadata.uid%3Dx"],
  ["fieldSelector=metadata.namespace%3Dother"],
  ["limit=1"],
  ["limit=1&labelSelector=app%3Da"],
  ["limit=-1"],
  ["limit=x"],
  ["continue=abc"],
  ["resourceVersion=0"],
  ["resourceVersion=999999999"],
  ["resourceVersion=x"],
  ["resourceVersionMatch=Exact"],
  ["resourceVersionMatch=NotOlderThan&resourceVersion=0"],
  ["timeoutSeconds=5"],
  ["watch=true"],
  ["sendInitialEvents=true"],
];

function requestsOf({ what, collection, object }: Kind): WireRequest[] {
  const objects = ["one", "two", "three"].map((name, index) => ({ name, labels: { app: index === 2 ? "b" : "a" } }));
  const make = (told: string): WireRequest[] =>
    objects.map((metadata) =>
      send(`${what} ${metadata.name} made ${told}`, "POST", collection, { ...object, metadata }),
    );
  const clear = (told: string): WireRequest[] => [
    ...objects.map(({ name }) =>
      send(
        `${what} ${name} freed ${told}`,
        "PATCH",
        `${collection}/${name}`,
        { metadata: { finalizers: null } },
        merge,
      ),
    ),
    send(`${what} cleared ${told}`, "DELETE", `${collection}?gracePeriodSeconds=0`),
  ];
  const rounds = [
    ...askings.map(([query, body]) => ["of all", "", query, body] as const),
    ...collectionAskings.map(([query, body]) => ["of some", "", query, body] as const),
    ...askings.map(([query, body]) => ["of one", "/one", query, body] as const),
  ].flatMap(([which, below, query, body], index) => {
    const told = `${which} by ${query} ${body ? JSON.stringify(body) : ""}`;
    return [
      ...make(`${index}`),
      send(
        `${what} ${told}`,
        "DELETE",
        `${collection}${below}${query === "" ? "" : `?${query}`}`,
        body && options(body),
      ),
      send(`${what} ${told}, left`, "GET", collection),
      send(`${what} ${told}, once more`, "DELETE", `${collection}/one`),
      send(`${what} ${told}, read`, "GET", `${collection}/one`),
      ...clear(`${index}`),
    ];
  });
  const asIs =
    (...keys: readonly string[]) =>
    (live: Json): Json =>
      options({
        preconditions: Object.fromEntries(keys.map((key) => [key, (live["metadata"] as Json | undefined)?.[key]])),
      });
  const preconditions = [
    ["its uid", asIs("uid")],
    ["its revision", asIs("resourceVersion")],
    ["both", asIs("uid", "resourceVersion")],
    [
      "its uid and another revision",
      (live: Json) => options({ preconditions: { uid: (live["metadata"] as Json)["uid"], resourceVersion: "1" } }),
    ],
    [
      "another uid and its revision",
      (live: Json) =>
        options({ preconditions: { uid: "x", resourceVersion: (live["metadata"] as Json)["resourceVersion"] } }),
    ],
  ] as const;
  return [
    ...rounds,
    ...preconditions.flatMap(([told, body]) => [
      ...make(`for ${told}`),
      send(`${what} one by ${told}`, "DELETE", `${collection}/one`, body),
      send(`${what} one by ${told}, read`, "GET", `${collection}/one`),
      ...clear(`after ${told}`),
    ]),
  ];
}

const setting: readonly WireRequest[] = [...ownNamespace(send, own)];

export const removalGroups: readonly WireGroup[] = [
  { name: "removals: setting", inOrder: true, requests: setting },
  ...kinds.map((each) => ({ name: `removals: ${each.what}`, inOrder: true, requests: requestsOf(each) })),
];
