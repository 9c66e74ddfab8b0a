/** Requests as clients of several languages put them, every kind in protobuf both ways, and options of deletes in every form. */
import { encodeProtobuf, hasProtobufForm } from "#shared/api/codec/protobuf.ts";
import { type Json, ownNamespace, sender, type WireGroup, type WireRequest } from "../wire/request.ts";
import { collectionOf, heldKinds, placedObject } from "../wire/world.ts";

const own = "clients";
const core = `/api/v1/namespaces/${own}`;
const deployments = `/apis/apps/v1/namespaces/${own}/deployments`;
const json = "application/json";
const yaml = "application/yaml";
const protobuf = "application/vnd.kubernetes.protobuf";
const send = sender("client");

const named = (kind: string, apiVersion: string, name: string, more: Json = {}): Json => ({
  apiVersion,
  kind,
  metadata: { name },
  ...more,
});
const template = { metadata: { labels: { app: "a" } }, spec: { containers: [{ name: "a", image: "a" }] } };
const deployment = named("Deployment", "apps/v1", "held", {
  spec: { selector: { matchLabels: { app: "a" } }, template },
});
const setting: readonly WireRequest[] = [
  ...ownNamespace(send, own),
  send("map", "POST", `${core}/configmaps`, named("ConfigMap", "v1", "held", { data: { a: "b" } })),
  send("pod", "POST", `${core}/pods`, named("Pod", "v1", "held", { spec: template.spec })),
  send("deployment", "POST", deployments, deployment),
];

const inProtobuf: readonly WireRequest[] = heldKinds.flatMap(({ sample, kind }) => {
  const { group, version } = kind;
  const object = placedObject(kind, own);
  const gvk = { group, version, kind: String(object["kind"]) };
  if (!hasProtobufForm(gvk)) return [];
  const path = collectionOf(kind, own);
  const made = `${path}?dryRun=All`;
  const ask = (
    what: string,
    method: string,
    at: string,
    headers: Readonly<Record<string, string>>,
    body?: Json | Uint8Array,
  ): WireRequest => ({
    ...send(`protobuf ${sample} ${what}`, method, at, body),
    headers,
    exact: true,
  });
  const encoded = encodeProtobuf(gvk, object);
  const typed = { "content-type": protobuf };
  const none = "labelSelector=none%3Dnone";
  const metadata = `${protobuf};as=PartialObjectMetadataList;v=v1;g=meta.k8s.io`;
  return [
    ask("made", "POST", made, { ...typed, accept: protobuf }, encoded),
    ask("made, told in JSON", "POST", made, { ...typed, accept: `${protobuf};q=0.5,${json}` }, encoded),
    ask("made in JSON", "POST", made, { accept: `${protobuf},${json}` }, object),
    ask("cut off", "POST", made, { ...typed, accept: json }, encoded.slice(0, -9)),
    ask("strictly", "POST", `${made}&fieldValidation=Strict`, { ...typed, accept: json }, encoded),
    ask("put at another name", "PUT", `${path}/nobody?dryRun=All`, { ...typed, accept: protobuf }, encoded),
    ask("missing", "GET", `${path}/nobody`, { accept: protobuf }),
    ask("listed", "GET", `${path}?${none}`, { accept: protobuf }),
    ask("metadata listed", "GET", `${path}?${none}`, { accept: metadata }),
    ask("as a table", "GET", `${path}?${none}`, { accept: `${protobuf};as=Table;v=v1;g=meta.k8s.io` }),
    ask("none deleted", "DELETE", `${path}?dryRun=All&${none}`, { accept: protobuf }),
  ];
});

const everything = [
  json,
  yaml,
  protobuf,
  `${json};stream=watch`,
  `${protobuf};stream=watch`,
  "application/cbor",
  "application/cbor-seq",
].join(", ");
const meta = (media: string, kind: string): string => `${media};as=${kind};g=meta.k8s.io;v=v1`;
/** By their headers. */
const clients: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  python: { accept: json, "user-agent": "OpenAPI-Generator/33.1.0/python" },
  "python that takes all": { accept: everything, "user-agent": "OpenAPI-Generator/33.1.0/python" },
  java: { accept: everything, "user-agent": "Kubernetes Java Client/24.0.0", "accept-encoding": "gzip" },
  fabric8: { accept: "*/*", "user-agent": "fabric8-kubernetes-client/7.4.0" },
  javascript: { accept: `${json}, ${yaml}, ${protobuf}, */*;q=0.8`, "user-agent": "node-fetch" },
  csharp: { accept: `${json}, text/plain;q=0.5`, "user-agent": "KubernetesClient/17.0.14" },
  rust: { accept: "", "user-agent": "kube-rs" },
  "rust of metadata": { accept: meta(json, "PartialObjectMetadata"), "user-agent": "kube-rs" },
  ruby: { accept: "*/*; q=0.5, application/xml", "user-agent": "kubeclient" },
  "go typed": { accept: `${protobuf},${json}`, "user-agent": "manager/v0.0.0 (linux/arm64) kubernetes/$Format" },
  "go of metadata": {
    accept: `${meta(protobuf, "PartialObjectMetadata")},${meta(json, "PartialObjectMetadata")},${json}`,
  },
  "go in CBOR": { accept: `application/cbor,${json}` },
  kubectl: {
    accept: `${meta(json, "Table")},${json};as=Table;g=meta.k8s.io;v=v1beta1,${json}`,
    "user-agent": "kubectl/v1.35.2",
  },
  terraform: { accept: json, "user-agent": "HashiCorp/1.0 Terraform/1.14.0" },
  helm: { accept: json, "user-agent": "Helm/4.1.4" },
};

interface Place {
  readonly what: string;
  readonly method: string;
  readonly path: string;
  readonly body?: Json | readonly unknown[] | string;
  readonly type?: string;
}
const patchOf = (what: string, body: Json | readonly unknown[], type: string, query = ""): Place => ({
  what: `patch ${what}`,
  method: "PATCH",
  path: `${core}/configmaps/held?dryRun=All${query}`,
  body,
  type,
});
const options = { kind: "DeleteOptions", apiVersion: "v1", propagationPolicy: "Foreground", gracePeriodSeconds: 0 };
const places: readonly Place[] = [
  { what: "get", method: "GET", path: `${core}/configmaps/held` },
  { what: "pretty get", method: "GET", path: `${core}/configmaps/held?pretty=true` },
  { what: "list", method: "GET", path: `${core}/configmaps?limit=500&resourceVersion=0&pretty=false` },
  {
    what: "list of all namespaces",
    method: "GET",
    path: "/api/v1/configmaps?fieldSelector=metadata.namespace%3Dclients&limit=1",
  },
  { what: "missing", method: "GET", path: `${core}/configmaps/nobody` },
  { what: "scale", method: "GET", path: `${deployments}/held/scale` },
  { what: "status", method: "GET", path: `${deployments}/held/status` },
  { what: "log", method: "GET", path: `${core}/pods/held/log?follow=False&pretty=True` },
  {
    what: "create",
    method: "POST",
    path: `${core}/configmaps?dryRun=All&fieldManager=client&pretty=True`,
    body: named("ConfigMap", "v1", "made"),
  },
  {
    what: "create of no kind",
    method: "POST",
    path: `${core}/configmaps?dryRun=All`,
    body: { metadata: { name: "made" } },
  },
  {
    what: "create with a charset",
    method: "POST",
    path: `${core}/configmaps?dryRun=All`,
    body: named("ConfigMap", "v1", "made"),
    type: `${json}; charset=UTF-8`,
  },
  {
    what: "create in YAML",
    method: "POST",
    path: `${core}/configmaps?dryRun=All`,
    body: "kind: ConfigMap\napiVersion: v1\nmetadata: {name: made}\n",
    type: yaml,
  },
  {
    what: "replace",
    method: "PUT",
    path: `${core}/configmaps/held?dryRun=All`,
    body: named("ConfigMap", "v1", "held", { data: { a: "c" } }),
  },
  {
    what: "replace of none",
    method: "PUT",
    path: `${core}/configmaps/nobody?dryRun=All`,
    body: named("ConfigMap", "v1", "nobody"),
  },
  patchOf("in JSON", { data: { a: "c" } }, "application/json-patch+json"),
  patchOf("by operations", [{ op: "add", path: "/data/z", value: "y" }], "application/json-patch+json"),
  patchOf("merged", { data: { a: null, z: "y" } }, "application/merge-patch+json"),
  patchOf(
    "strategically",
    { data: { $patch: "replace", z: "y" } },
    "application/strategic-merge-patch+json; charset=utf-8",
  ),
  patchOf(
    "applied",
    named("ConfigMap", "v1", "held", { data: { z: "y" } }),
    "application/apply-patch+yaml",
    "&fieldManager=client",
  ),
  patchOf(
    "applied by force",
    named("ConfigMap", "v1", "held", { data: { a: "y" } }),
    "application/apply-patch+yaml",
    "&fieldManager=client&force=True",
  ),
  { what: "delete", method: "DELETE", path: `${core}/configmaps/held?dryRun=All&pretty=true` },
  {
    what: "delete with options",
    method: "DELETE",
    path: `${core}/configmaps/held?dryRun=All`,
    body: { ...options, dryRun: ["All"] },
  },
  { what: "delete of all", method: "DELETE", path: `${core}/configmaps?dryRun=All&fieldSelector=metadata.name%3Dheld` },
  {
    what: "eviction",
    method: "POST",
    path: `${core}/pods/held/eviction?dryRun=All`,
    body: named("Eviction", "policy/v1", "held"),
  },
  { what: "review", method: "POST", path: "/apis/authorization.k8s.io/v1/selfsubjectreviews", body: {} },
  { what: "discovery", method: "GET", path: "/api" },
  { what: "discovery of a group", method: "GET", path: "/apis/apps/" },
  { what: "discovery of a version", method: "GET", path: "/apis/policy/v1?timeout=32s" },
];

const byClients: readonly WireRequest[] = Object.entries(clients).flatMap(([client, headers]) => [
  ...places.map(({ what, method, path, body, type = json }) => ({
    ...send(`${client} ${what}`, method, path, body),
    headers: { ...headers, ...(body !== undefined && { "content-type": type }) },
    ...(headers["accept"]?.startsWith(protobuf) && { exact: true }),
  })),
  ...(headers["accept"]?.startsWith(protobuf)
    ? []
    : ["watch=True", "watch=1&timeoutSeconds=1&resourceVersion=0&allowWatchBookmarks=False&pretty=true"].map(
        (query) => ({
          ...send(`${client} ${query}`, "GET", `${core}/configmaps?timeoutSeconds=1&${query}`),
          headers,
        }),
      )),
]);

const deleteOptions: readonly Json[] = [
  {},
  { dryRun: ["All"] },
  { dryRun: ["All"], propagationPolicy: "Orphan" },
  { dryRun: ["All"], propagationPolicy: "Odd" },
  { dryRun: ["All"], gracePeriodSeconds: 3 },
  { dryRun: ["All"], gracePeriodSeconds: -1 },
  { dryRun: ["All"], orphanDependents: true },
  { dryRun: ["All"], orphanDependents: true, propagationPolicy: "Odd" },
  { dryRun: ["All", "Some"], propagationPolicy: "Odd" },
  { dryRun: ["All"], preconditions: { uid: "x" } },
  { dryRun: ["All"], preconditions: { resourceVersion: "1" } },
  { dryRun: ["All"], ignoreStoreReadErrorWithClusterBreakingPotential: true },
  { dryRun: ["All"], ignoreStoreReadErrorWithClusterBreakingPotential: false },
];
const deleteKind = { group: "", version: "v1", kind: "DeleteOptions" };
const deletes: readonly WireRequest[] = deleteOptions.flatMap((each) =>
  [`${core}/configmaps/held`, `${core}/pods/held`, `${deployments}/held`, `${core}/configmaps`].flatMap((path) => {
    const whole = { kind: "DeleteOptions", apiVersion: "v1", ...each };
    const ask = (form: string, body: Json | string | Uint8Array, type: string): WireRequest => ({
      ...send(`delete ${path} ${JSON.stringify(each)} in ${form}`, "DELETE", `${path}?dryRun=All`, body),
      headers: { "content-type": type },
    });
    // Without the option none is a rehearsal: a body's options are all that count.
    if (each["dryRun"] === undefined) return [];
    return [
      ask("JSON", whole, json),
      ask("YAML", `# options\n${JSON.stringify(whole)}\n`, yaml),
      ask("protobuf", encodeProtobuf(deleteKind, each), protobuf),
    ];
  }),
);

export const groups: readonly WireGroup[] = [
  { name: "setting", inOrder: true, requests: setting },
  { name: "every kind in protobuf", requests: inProtobuf },
  { name: "clients", requests: byClients },
  { name: "options of deletes", requests: deletes },
];
