/**
 * Who owns what of custom resources that are written in several versions: requests sent in order to upstream's kube-apiserver
 * (record.ts) and to ours (the test). Versions of widgets are converted by the webhook of converter.ts; those of plains have
 * other fields and are not converted.
 */
import type { OrderedRequest as Request } from "../in-order.ts";
import type { Converter } from "./converter.ts";

type Json = Readonly<Record<string, unknown>>;
const group = "v.example.com";
const definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const text = { type: "string" };
const number = { type: "integer" };
const object = (properties: Json, more: Json = {}): Json => ({ type: "object", properties, ...more });

const byName = {
  type: "array",
  "x-kubernetes-list-type": "map",
  "x-kubernetes-list-map-keys": ["name"],
  items: object({ name: text, value: text }, { required: ["name"] }),
};
const shared = {
  refuse: text,
  replicas: number,
  fixed: object({ a: text, b: text }, { "x-kubernetes-map-type": "atomic" }),
};
const listed = object({ ...shared, host: text, port: number, labels: byName, note: text });
const remarked = object({ ...shared, host: text, port: number, labels: byName, remark: text });
const mapped = object({
  ...shared,
  hostPort: text,
  labels: { type: "object", additionalProperties: text },
  note: text,
});

const version = (name: string, spec: Json, more: Json = {}): Json => ({
  name,
  served: true,
  storage: name === "v1",
  schema: { openAPIV3Schema: object({ spec, status: object({ seen: number, replicas: number }) }) },
  subresources: {
    status: {},
    scale: { specReplicasPath: ".spec.replicas", statusReplicasPath: ".status.replicas" },
  },
  ...more,
});

const versions = [version("v1", listed), version("v2", mapped), version("v3", remarked)];
const definitionOf = (plural: string, kind: string, all: readonly Json[], more: Json): Json => ({
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: `${plural}.${group}` },
  spec: { group, scope: "Cluster", names: { plural, kind }, versions: all, ...more },
});

const plainVersions = [
  version("v1", object({ a: text, b: text, list: { type: "array", items: text } })),
  version("v2", object({ a: text, c: text, list: { ...byName } })),
  version("v3", object({ a: text, b: text, c: text, list: { type: "array", items: text } })),
];

const post = (name: string, path: string, body: object): Request => ({ name, method: "POST", path, body });
const pathOf = (plural: string, served: string, rest: string): string => `/apis/${group}/${served}/${plural}/${rest}`;

function actions(plural: string, kind: string, object: string) {
  const named = (served: string, fields: Json): Json => ({
    apiVersion: `${group}/${served}`,
    kind,
    metadata: { name: object },
    ...fields,
  });
  const sent = (
    name: string,
    method: string,
    served: string,
    query: string,
    type: string | undefined,
    body?: object,
  ): Request => ({
    name: `${plural} ${object}: ${name}`,
    method,
    path: pathOf(plural, served, `${object}${query}`),
    ...(type !== undefined && { type }),
    ...(body && { body }),
  });
  return {
    make: (name: string, served: string, spec: Json, manager = "maker"): Request => ({
      ...post(
        `${plural} ${object}: ${name}`,
        pathOf(plural, served, `?fieldManager=${manager}`).replace("/?", "?"),
        named(served, { spec }),
      ),
    }),
    apply: (name: string, served: string, manager: string, fields: Json, more = "", below = ""): Request =>
      sent(
        name,
        "PATCH",
        served,
        `${below}?fieldManager=${manager}${more}`,
        "application/apply-patch+yaml",
        named(served, fields),
      ),
    merge: (name: string, served: string, manager: string, fields: Json, below = ""): Request =>
      sent(name, "PATCH", served, `${below}?fieldManager=${manager}`, "application/merge-patch+json", fields),
    get: (served: string, below = ""): Request => sent(`get ${served}${below}`, "GET", served, below, undefined),
  };
}

function widgetRequests(): Request[] {
  const one = actions("widgets", "Widget", "one");
  const two = actions("widgets", "Widget", "two");
  const three = actions("widgets", "Widget", "three");
  const four = actions("widgets", "Widget", "four");
  const five = actions("widgets", "Widget", "five");
  const six = actions("widgets", "Widget", "six");
  const seven = actions("widgets", "Widget", "seven");
  const force = "&force=true";
  const spec = (fields: Json): Json => ({ spec: fields });
  return [
    one.apply("apply v1", "v1", "a", spec({ host: "h", port: 1, labels: [{ name: "x", value: "1" }] })),
    one.apply("apply v2, conflict", "v2", "b", spec({ hostPort: "g:2", note: "n" })),
    one.apply("apply v2, same value", "v2", "b", spec({ hostPort: "h:1", note: "n" })),
    one.apply("apply v2, label of another", "v2", "c", spec({ labels: { x: "2", y: "3" } })),
    one.apply("apply v2, forced", "v2", "c", spec({ labels: { x: "2", y: "3" } }), force),
    one.apply("apply v2, one part of two changes", "v2", "b", spec({ hostPort: "h:2", note: "n" }), force),
    one.get("v1"),
    one.get("v2"),
    one.get("v3"),
    one.apply("apply v3, another's note", "v3", "d", spec({ remark: "m" })),
    one.apply("apply v3, forced", "v3", "d", spec({ remark: "m", replicas: 2 }), force),
    one.apply("apply v1 with less", "v1", "a", spec({ port: 2 })),
    one.apply("apply v2 without labels", "v2", "c", spec({ note: "m" }), force),
    one.get("v1"),
    two.make("create v2", "v2", { hostPort: "h:1", labels: { x: "1" }, note: "n", fixed: { a: "1" } }),
    two.merge("merge v1, a port", "v1", "editor", spec({ port: 2 })),
    two.merge("merge v1, a label more", "v1", "editor", spec({ labels: [{ name: "x", value: "1" }, { name: "y" }] })),
    two.merge("merge v3, note", "v3", "editor", spec({ remark: null })),
    two.merge("merge v2, nothing", "v2", "idle", spec({ hostPort: "h:2" })),
    two.merge("merge v3, atomic map", "v3", "other", spec({ fixed: { b: "2" } })),
    two.get("v1"),
    two.get("v2"),
    two.apply("apply v3 over updates", "v3", "a", spec({ host: "k", remark: "r" })),
    two.apply("apply v3 over updates, forced", "v3", "a", spec({ host: "k", remark: "r" }), force),
    two.get("v2"),
    three.apply("apply v1", "v1", "a", spec({ host: "h", port: 1, note: "n", labels: [{ name: "x", value: "1" }] })),
    three.apply("same manager, v2, less", "v2", "a", spec({ hostPort: "h:1" })),
    three.apply("same manager, v3, again", "v3", "a", spec({ host: "h", port: 1, remark: "n" })),
    three.apply("same manager, v2, nothing", "v2", "a", {}),
    three.get("v1"),
    three.apply(
      "v1 again",
      "v1",
      "a",
      spec({
        labels: [
          { name: "x", value: "1" },
          { name: "y", value: "2" },
        ],
      }),
    ),
    three.apply("v2 shares", "v2", "b", spec({ labels: { x: "1" } })),
    three.apply("v3 without", "v3", "a", spec({})),
    three.get("v2"),
    four.apply("apply v2", "v2", "a", spec({ hostPort: "h:1", replicas: 1 })),
    four.apply("status v1", "v1", "s", { status: { seen: 1 } }, "", "/status"),
    four.apply("status v3, conflict", "v3", "t", { status: { seen: 2 } }, "", "/status"),
    four.merge("status v2", "v2", "u", { status: { seen: 3 } }, "/status"),
    four.merge(
      "status v2 changes nothing else",
      "v2",
      "u",
      { status: { seen: 3 }, spec: { hostPort: "z:9" } },
      "/status",
    ),
    four.get("v1"),
    four.get("v3", "/scale"),
    four.merge("scale v3", "v3", "scaler", { spec: { replicas: 3 } }, "/scale"),
    four.get("v1"),
    four.merge("scale v1", "v1", "other", { spec: { replicas: 5 } }, "/scale"),
    {
      ...four.apply("apply of a scale", "v1", "q", {}, `${force}&dryRun=All`, "/scale"),
      body: { apiVersion: "autoscaling/v1", kind: "Scale", metadata: { name: "four" }, spec: { replicas: 4 } },
    },
    four.get("v2"),
    five.apply("apply v1, refuses v2", "v1", "a", spec({ host: "h", refuse: `${group}/v2` })),
    five.apply("another v1", "v1", "b", spec({ port: 1 })),
    five.get("v2"),
    five.apply("apply v2, refused", "v2", "b", spec({ note: "n" })),
    five.merge("merge v2, refused", "v2", "b", spec({ note: "n" })),
    six.apply("apply v2", "v2", "a", spec({ hostPort: "h:1" })),
    six.apply("apply v1, becomes unreadable", "v1", "b", spec({ refuse: `${group}/v2` })),
    six.merge("merge v1, becomes unreadable", "v1", "b", spec({ refuse: `${group}/v2` })),
    six.apply("apply v1 to an unreadable one", "v1", "c", spec({ note: "n" })),
    six.get("v1"),
    seven.make("create v1", "v1", { host: "h", port: 1 }),
    seven.merge("managed fields of no version", "v1", "x", {
      metadata: {
        managedFields: [
          {
            manager: "gone",
            operation: "Update",
            apiVersion: `${group}/v0`,
            fieldsType: "FieldsV1",
            fieldsV1: { "f:spec": { "f:host": {} } },
          },
          {
            manager: "foreign",
            operation: "Apply",
            apiVersion: "apps/v1",
            fieldsType: "FieldsV1",
            fieldsV1: { "f:spec": { "f:port": {} } },
          },
        ],
      },
    }),
    seven.merge("merge beside them", "v1", "y", spec({ host: "i" })),
    seven.apply("apply v2 beside them", "v2", "z", spec({ hostPort: "k:3" }), force),
    seven.get("v1"),
  ];
}

function plainRequests(): Request[] {
  const one = actions("plains", "Plain", "one");
  const two = actions("plains", "Plain", "two");
  const spec = (fields: Json): Json => ({ spec: fields });
  return [
    one.apply("apply v1", "v1", "a", spec({ a: "1", b: "1" })),
    one.apply("apply v2", "v2", "b", spec({ c: "1" })),
    one.apply("apply v3", "v3", "c", spec({ a: "2" })),
    one.apply("apply v3, forced", "v3", "c", spec({ a: "2", c: "2" }), "&force=true"),
    one.merge("merge v2", "v2", "d", spec({ a: "3" })),
    one.merge("merge v3", "v3", "d", spec({ b: "3" })),
    one.get("v1"),
    one.get("v3"),
    two.make("create v3", "v3", { a: "1", b: "1", c: "1" }),
    two.merge("merge v1", "v1", "e", spec({ a: "2" })),
    two.merge("merge v3, what v1 lacks", "v3", "f", spec({ c: "2" })),
    two.get("v1"),
    two.apply("apply v1", "v1", "a", spec({ a: "5" }), "&force=true"),
    two.apply("apply v1 with a list", "v1", "a", spec({ list: ["x"] })),
    two.apply("apply v3 with the list", "v3", "b", spec({ list: ["x"] })),
    two.get("v3"),
    actions("plains", "Plain", "three").make("create v3", "v3", { a: "1", b: "1" }),
  ];
}

/** Versions that are there no longer. */
function goneRequests(): Request[] {
  const change = (name: string, plural: string, all: readonly Json[]): Request => ({
    name,
    method: "PATCH",
    path: `${definitions}/${plural}.${group}`,
    type: "application/merge-patch+json",
    body: { spec: { versions: all } },
    until: 200,
  });
  const wait = (plural: string, served: string): Request => ({
    name: `${plural}: ${served} is gone`,
    method: "GET",
    path: pathOf(plural, served, "").replace(/\/$/, ""),
    until: 404,
  });
  const spec = (fields: Json): Json => ({ spec: fields });
  const widget = actions("widgets", "Widget", "one");
  const other = actions("widgets", "Widget", "two");
  const plain = actions("plains", "Plain", "one");
  const plainThree = actions("plains", "Plain", "three");
  return [
    change("plains: v3 is not served", "plains", [
      ...plainVersions.slice(0, 2),
      { ...plainVersions[2], served: false },
    ]),
    wait("plains", "v3"),
    plain.merge("merge v1, v3 not served", "v1", "e", spec({ b: "unserved" })),
    plain.apply("apply v1, v3 not served", "v1", "a", spec({ a: "unserved" }), "&force=true"),
    plainThree.merge("merge v1, v3 not served", "v1", "e", spec({ b: "unserved" })),
    plainThree.apply("apply v1, v3 not served", "v1", "a", spec({ a: "unserved" }), "&force=true"),
    plainThree.apply("apply v2, v3 not served", "v2", "b", spec({ a: "unserved" })),
    plain.get("v1"),
    change("widgets: v3 goes", "widgets", versions.slice(0, 2)),
    wait("widgets", "v3"),
    // Some while after it is not served any more, v3 is not known any more.
    {
      ...widget.apply("v3 is unknown", "v1", "a", spec({ port: 9 }), "&force=true&dryRun=All"),
      untilLacks: "f:remark",
    },
    widget.apply("apply v1 without v3", "v1", "a", spec({ port: 8 }), "&force=true"),
    widget.merge("merge v2 without v3", "v2", "e", spec({ note: "gone" })),
    other.merge("merge v1 without v3", "v1", "e", spec({ host: "gone" })),
    other.apply("apply v2 without v3", "v2", "g", spec({ hostPort: "w:5" }), "&force=true"),
    widget.get("v1"),
  ];
}

export function requestsWith({ url, caBundle }: Pick<Converter, "url" | "caBundle">): Request[] {
  const conversion = {
    strategy: "Webhook",
    webhook: { conversionReviewVersions: ["v1"], clientConfig: { url, caBundle } },
  };
  const all = [
    {
      ...post("definition of widgets", definitions, definitionOf("widgets", "Widget", versions, { conversion })),
      until: 201,
    },
    { ...post("definition of plains", definitions, definitionOf("plains", "Plain", plainVersions, {})), until: 201 },
    ...["widgets", "plains"].map(
      (plural): Request => ({
        name: `${plural} are served`,
        method: "GET",
        path: pathOf(plural, "v3", "").replace(/\/$/, ""),
        until: 200,
      }),
    ),
    ...widgetRequests(),
    ...plainRequests(),
    ...goneRequests(),
  ];
  return all.map((request, index) => ({ ...request, name: `${index} ${request.name}` }));
}
