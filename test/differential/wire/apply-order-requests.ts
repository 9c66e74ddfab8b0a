/** Which of several faults of an applied configuration is told, and what becomes of one that says nothing of its name. */
import { type Json, ownNamespace, sender, type WireGroup, type WireRequest } from "./request.ts";

const own = "wire-apply-orders";
const maps = `/api/v1/namespaces/${own}/configmaps`;
const deployments = `/apis/apps/v1/namespaces/${own}/deployments`;
const apply = "application/apply-patch+yaml";

const send = sender("apply order:");

const map = (fields: Json): Json => ({ apiVersion: "v1", kind: "ConfigMap", ...fields });
const scale = (fields: Json): Json => ({ apiVersion: "autoscaling/v1", kind: "Scale", ...fields });
const deployment: Json = {
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "kept" },
  spec: {
    selector: { matchLabels: { app: "a" } },
    template: { metadata: { labels: { app: "a" } }, spec: { containers: [{ name: "a", image: "a" }] } },
  },
};

/** What a configuration may be wrong in, or leave out; the fields of several come together. */
const faults: Readonly<Record<string, Json>> = {
  "no name": {},
  "another name": { name: "other" },
  "another namespace": { namespace: "other" },
  "another uid": { uid: "x" },
  "managed fields": { managedFields: [{ manager: "x" }] },
};
const unknown = { odd: 1 };
const elsewhere = { name: "other", namespace: "other" };

/** Every fault by itself, with an unknown field, with a key given twice, and with each other fault. */
function configurations(name: string): (readonly [string, Json | string])[] {
  const named = (metadata: Json): Json => ({ name, ...metadata });
  const told = Object.entries(faults);
  return [
    ["no metadata", map({ data: { a: "b" } })],
    ["no metadata, an unknown field", map(unknown)],
    ["metadata of null", map({ metadata: null, data: { a: "b" } })],
    ["metadata of null, an unknown field", map({ metadata: null, ...unknown })],
    ["a name of null, an unknown field", map({ metadata: { name: null }, ...unknown })],
    ["a key twice", `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"${name}"},"data":{"a":"1","a":"2"}}`],
    ...told.flatMap(([what, metadata]): (readonly [string, Json | string])[] => {
      const whole = JSON.stringify(what === "no name" ? { labels: { a: "b" } } : named(metadata));
      return [
        [what, map({ metadata: JSON.parse(whole) as Json })],
        [`${what}, an unknown field`, map({ metadata: JSON.parse(whole) as Json, ...unknown })],
        [`${what}, a value of another type`, map({ metadata: JSON.parse(whole) as Json, data: "x" })],
        [`${what}, a key twice`, `{"apiVersion":"v1","kind":"ConfigMap","metadata":${whole},"data":{"a":"1","a":"2"}}`],
      ];
    }),
    ...told.flatMap(([what, metadata], index) =>
      told
        .slice(index + 1)
        .map(([other, more]): readonly [string, Json] => [
          `${what} and ${other}`,
          map({ metadata: { ...(what === "no name" ? {} : { name }), ...metadata, ...more } }),
        ]),
    ),
  ];
}

const all: readonly WireRequest[] = (["new", "present"] as const).flatMap((name) =>
  configurations(name).flatMap(([what, body]) =>
    ["Strict", "Warn", "Ignore"].map((validation) =>
      send(
        `${what}, of a ${name} map, ${validation}`,
        "PATCH",
        // Nothing comes of the first ones: so each finds the same.
        `${maps}/${name}?fieldManager=one&force=true&dryRun=All&fieldValidation=${validation}`,
        body,
        apply,
      ),
    ),
  ),
);

const scales: readonly WireRequest[] = [
  ["no metadata", scale({ spec: { replicas: 2 } })],
  ["no name", scale({ metadata: {}, spec: { replicas: 2 } })],
  ["no name, an unknown field", scale({ metadata: {}, ...unknown })],
  ["another name", scale({ metadata: { name: "other" }, spec: { replicas: 2 } })],
  ["another name, an unknown field", scale({ metadata: { name: "other" }, ...unknown })],
  ["another name and namespace", scale({ metadata: elsewhere, spec: { replicas: 2 } })],
  ["another namespace", scale({ metadata: { name: "kept", namespace: "other" }, spec: { replicas: 2 } })],
].map(([what, body]) =>
  send(
    `${what}, of a scale`,
    "PATCH",
    `${deployments}/kept/scale?fieldManager=one&force=true&dryRun=All`,
    body as Json,
    apply,
  ),
);

export const applyOrderGroups: readonly WireGroup[] = [
  {
    name: "applies of several faults",
    inOrder: true,
    requests: [
      ...ownNamespace(send, own),
      send("the present map", "POST", maps, map({ metadata: { name: "present" }, data: { a: "b" } })),
      send("the present deployment", "POST", deployments, deployment),
      ...all,
      ...scales,
      send(
        "a merge patch of another name and namespace",
        "PATCH",
        `${maps}/present`,
        { metadata: elsewhere },
        "application/merge-patch+json",
      ),
      send("a PUT of another name and namespace", "PUT", `${maps}/present`, map({ metadata: elsewhere })),
      send("a PUT of a scale of another name and namespace", "PUT", `${deployments}/kept/scale`, {
        ...scale({ metadata: elsewhere, spec: { replicas: 2 } }),
      }),
      send("a PUT of a scale of another namespace", "PUT", `${deployments}/kept/scale`, {
        ...scale({ metadata: { ...elsewhere, name: "kept" }, spec: { replicas: 2 } }),
      }),
      // As kubectl applies, which tells in an annotation what it applied.
      send(
        "kubectl's, without a name",
        "PATCH",
        `${maps}/present?fieldManager=kubectl&force=true`,
        map({
          metadata: { annotations: { "kubectl.kubernetes.io/last-applied-configuration": "{}" } },
          data: { c: "d" },
        }),
        apply,
      ),
      send("the present map, read", "GET", `${maps}/present`),
    ],
  },
];
