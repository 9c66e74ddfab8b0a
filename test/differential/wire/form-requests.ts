/** In which form an answer is asked for: every place and verb, by every Accept header that a client may send. */
import type { Json, WireGroup, WireRequest } from "./request.ts";
import { namespace } from "./world.ts";

const own = "wire-forms";
const core = `/api/v1/namespaces/${own}`;
const deployments = `/apis/apps/v1/namespaces/${own}/deployments`;
const widgets = `/apis/example.com/v1/namespaces/${namespace}/widgets`;
const json = "application/json";
const yaml = "application/yaml";
const protobuf = "application/vnd.kubernetes.protobuf";
const cbor = "application/cbor";
const html = "text/html";
const unknown = "application/json-seq";

const meta = (media: string, kind: string, version = "v1"): string => `${media};as=${kind};v=${version};g=meta.k8s.io`;
const discovery = (media: string, version = "v2", kind = "APIGroupDiscoveryList"): string =>
  `${media};g=apidiscovery.k8s.io;v=${version};as=${kind}`;

const plain: readonly string[] = [
  "",
  json,
  "application/*",
  "*/*",
  "APPLICATION/JSON",
  yaml,
  cbor,
  html,
  "text/*",
  unknown,
  "text/plain",
  `${protobuf};q=0.5, ${json}`,
  `${json}, ${protobuf}`,
  `${html}, ${json}`,
  `${html}, */*;q=0.1`,
  `${cbor}, ${json}`,
  `${json},`,
  `${json}; q=0.5, ${yaml}`,
  `${json};q=0`,
  `${json}; q=2`,
  `${json};q=-1, ${yaml};q=0.5`,
  "*/*, application/yaml;q=0.5",
  `${json};charset=utf-8`,
  `${json};pretty=1`,
  `${yaml};pretty=1`,
  `${json};export=1`,
  `${json};stream=watch`,
  `${json};stream=other`,
  `${yaml};stream=watch`,
  `${json};sv=v1`,
  `${json};sv=v2`,
  "json",
  "/",
  "*",
  "application/",
  "application/json/x",
  "application /json",
  "*/json",
];

const forms: readonly string[] = [
  `${json};as=Nothing`,
  `${json};v=v1`,
  `${json};g=meta.k8s.io;v=v1`,
  meta(json, "Nothing"),
  meta(json, "table"),
  meta(json, '"Table"'),
  meta(json, "Table"),
  meta(json, "Table", "v1beta1"),
  meta(json, "Table", "v2"),
  `${meta(json, "Table")},${json}`,
  `${meta(json, "Table", "v2")},${meta(json, "Table", "v1beta1")},${json}`,
  meta(yaml, "Table"),
  meta(protobuf, "Table"),
  meta(cbor, "Table"),
  meta("*/*", "Table"),
  meta("application/*", "Table"),
  "application/json; as = Table ; v = v1 ; g = meta.k8s.io",
  "application/json;AS=Table;V=v1;G=meta.k8s.io",
  meta(json, "PartialObjectMetadata"),
  meta(json, "PartialObjectMetadata", "v1beta1"),
  meta(yaml, "PartialObjectMetadata"),
  `${meta(json, "PartialObjectMetadata")};q=0.2, ${yaml}`,
  meta(json, "PartialObjectMetadataList"),
  meta(json, "PartialObjectMetadataList", "v1beta1"),
  meta(yaml, "PartialObjectMetadataList"),
  discovery(json),
];

const aggregated: readonly string[] = [
  ...["v2", "v2beta1", "v1", "v3", ""].flatMap((version) => [
    discovery(json, version),
    `${discovery(json, version)},${json}`,
  ]),
  `${discovery(json)},${discovery(json, "v2beta1")},${json}`,
  `${discovery(json, "v2beta1")},${discovery(json)}`,
  `${discovery(json, "v2beta1")};q=0.4,${discovery(json)};q=0.7,${json};q=0.9`,
  `${discovery(json)};q=0.9,${json};q=0.1`,
  `${discovery(json)};profile=nopeer`,
  discovery(json, "v2", "Other"),
  `${json};g=other;v=v2;as=APIGroupDiscoveryList`,
  discovery("application/*"),
  discovery("*/*"),
  discovery(yaml),
  discovery(cbor),
  `${discovery(cbor)},${json}`,
];

interface Place {
  readonly what: string;
  readonly method: string;
  readonly path: string;
  readonly body?: Exclude<WireRequest["body"], undefined>;
}

const by = (accepts: readonly string[], { what, ...request }: Place): WireRequest[] =>
  accepts.map((accept) => ({ name: `form of ${what}: ${accept}`, ...request, headers: { accept } }));
const get = (what: string, path: string): Place => ({ what, method: "GET", path });

const named = (kind: string, apiVersion: string, name: string, more: Json = {}): Json => ({
  apiVersion,
  kind,
  metadata: { name },
  ...more,
});
const template = { metadata: { labels: { app: "a" } }, spec: { containers: [{ name: "a", image: "a" }] } };
const setting: readonly WireRequest[] = [
  ["/api/v1/namespaces", named("Namespace", "v1", own)] as const,
  [`${core}/serviceaccounts`, named("ServiceAccount", "v1", "default")] as const,
  [`${core}/configmaps`, named("ConfigMap", "v1", "held", { data: { a: "b" } })] as const,
  [`${core}/pods`, named("Pod", "v1", "held", { spec: template.spec })] as const,
  [
    deployments,
    named("Deployment", "apps/v1", "held", { spec: { selector: { matchLabels: { app: "a" } }, template } }),
  ] as const,
  [widgets, named("Widget", "example.com/v1", "formed")] as const,
].map(([path, body]) => ({ name: `form setting ${path}`, method: "POST", path, body }));

const review = named("SelfSubjectAccessReview", "authorization.k8s.io/v1", "", {
  metadata: {},
  spec: { resourceAttributes: { verb: "get", resource: "pods", namespace: own } },
});
const configMap = named("ConfigMap", "v1", "made");
const merge = { what: "patch", method: "PATCH", path: `${core}/configmaps/held?dryRun=All` };
const watch = "watch=1&timeoutSeconds=1&resourceVersion=0";

const places: readonly Place[] = [
  get("get", `${core}/configmaps/held`),
  get("list", `${core}/configmaps`),
  get("watch", `${core}/configmaps?${watch}`),
  get("missing", `${core}/configmaps/nobody`),
  { what: "create", method: "POST", path: `${core}/configmaps?dryRun=All`, body: configMap },
  { what: "update", method: "PUT", path: `${core}/configmaps/held?dryRun=All`, body: named("ConfigMap", "v1", "held") },
  { what: "delete", method: "DELETE", path: `${core}/configmaps/held?dryRun=All` },
  { what: "delete many", method: "DELETE", path: `${core}/configmaps?dryRun=All` },
  { what: "update all", method: "PUT", path: `${core}/configmaps`, body: configMap },
  get("status", `${core}/pods/held/status`),
  get("scale", `${deployments}/held/scale`),
  get("log", `${core}/pods/held/log?container=none`),
  get("unknown resource", `${core}/nothings`),
  {
    what: "eviction",
    method: "POST",
    path: `${core}/pods/held/eviction?dryRun=All`,
    body: named("Eviction", "policy/v1", "held"),
  },
  {
    what: "token",
    method: "POST",
    path: `${core}/serviceaccounts/default/token?dryRun=All`,
    body: { kind: "TokenRequest", apiVersion: "authentication.k8s.io/v1", spec: { audiences: ["a"] } },
  },
  {
    what: "review",
    method: "POST",
    path: "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
    body: review,
  },
  get("custom get", `${widgets}/formed`),
  get("custom list", widgets),
  get("custom watch", `${widgets}?${watch}`),
  get("custom missing", `${widgets}/nobody`),
  {
    what: "custom create",
    method: "POST",
    path: `${widgets}?dryRun=All`,
    body: named("Widget", "example.com/v1", "made"),
  },
];

const patches: readonly WireRequest[] = forms.map((accept) => ({
  name: `form of ${merge.what}: ${accept}`,
  method: merge.method,
  path: merge.path,
  body: { data: { a: "c" } },
  headers: { accept, "content-type": "application/merge-patch+json" },
}));

/** What a table holds of each object, of built-in and custom kinds, of one and of many, of a watch. */
const included: readonly WireRequest[] = ["", "None", "Metadata", "Object", "object", "Some"].flatMap((include) =>
  [
    `${core}/configmaps/held`,
    `${core}/configmaps`,
    `${core}/configmaps?${watch}`,
    widgets,
    `${widgets}/formed`,
  ].flatMap((path) =>
    ["v1", "v1beta1"].map((version) => ({
      name: `form with ${include} of ${path} ${version}`,
      method: "GET",
      path: `${path}${path.includes("?") ? "&" : "?"}includeObject=${include}`,
      headers: { accept: meta(json, "Table", version) },
    })),
  ),
);

const wholly = ["/api", "/apis/apps", "/apis/apps/v1", "/api/v1", "/version"].flatMap((path) =>
  by([...plain, ...forms.slice(0, 8), ...aggregated], get(`documents at ${path}`, path)),
);
/** Which groups are listed depends on servers that are not there. */
const refused = by(
  [
    "APPLICATION/JSON",
    cbor,
    html,
    "text/*",
    unknown,
    "json",
    `${json};sv=v1`,
    `${yaml};stream=watch`,
    ...forms.slice(0, 8),
  ],
  get("documents at /apis", "/apis"),
);
const custom = ["/apis/example.com", "/apis/nothing.example.com"].flatMap((path) => by(plain, get(path, path)));
/** What they say is each server's own. */
const openId = ["/.well-known/openid-configuration", "/openid/v1/jwks"].flatMap((path) =>
  by(["application/*", "APPLICATION/JSON", cbor, html, "text/*", yaml, "json", "*"], get(path, path)),
);
const discovered: readonly WireRequest[] = [...wholly, ...refused, ...custom, ...openId];

const documents: readonly WireRequest[] = by(
  // Upstream reads it as `application/json` there.
  plain.filter((accept) => accept !== "*/json"),
  { what: "OpenAPI", method: "HEAD", path: "/openapi/v2" },
);

export const formGroups: readonly WireGroup[] = [
  { name: "forms: setting", inOrder: true, requests: setting },
  { name: "forms of objects", requests: places.flatMap((place) => by([...plain, ...forms], place)).concat(patches) },
  { name: "forms: what tables include", requests: included },
  { name: "forms of discovery", requests: [...discovered, ...documents] },
];
