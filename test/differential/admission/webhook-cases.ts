/** Configurations of webhooks, each for the objects that are labelled with its name, and what is sent while they are there. */
import { customRules } from "./custom-cases.ts";
import type { HookServer, Said } from "./hook-server.ts";

export interface Sent {
  readonly name: string;
  readonly method?: string;
  /** Below the namespace unless it begins with a slash. */
  readonly path?: string;
  readonly type?: string;
  readonly body?: object;
  /** What is told of what the webhook was asked. */
  readonly shows?: "paths" | "requests";
}

type Kind = "Validating" | "Mutating";

interface Configuration {
  readonly kind: Kind;
  readonly name: string;
  readonly webhooks: readonly object[];
}

const pods = { apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE"], resources: ["pods"] };
const maps = { apiGroups: [""], apiVersions: ["v1"], operations: ["*"], resources: ["configmaps"] };

export function configurations({ url, otherUrl, plainUrl, closedUrl, caBundle }: HookServer): Configuration[] {
  const hook = (name: string, path: string, fields: object = {}): object => ({
    name: `${name}.example.com`,
    clientConfig: { url: url + path, caBundle },
    admissionReviewVersions: ["v1"],
    sideEffects: "None",
    rules: [maps],
    ...fields,
  });
  const of = (kind: Kind, name: string, ...webhooks: readonly object[]): Configuration => ({
    kind,
    name,
    webhooks: webhooks.map((each) => ({ objectSelector: { matchLabels: { case: name } }, ...each })),
  });
  const validating = (name: string, ...webhooks: readonly object[]) => of("Validating", name, ...webhooks);
  const mutating = (name: string, ...webhooks: readonly object[]) => of("Mutating", name, ...webhooks);
  const ignore = { failurePolicy: "Ignore" };
  const needed = { reinvocationPolicy: "IfNeeded" };
  const at = (target: object) => ({ clientConfig: { caBundle, ...target } });
  const service = (fields: object) => at({ service: { namespace: "hooked", ...fields } });
  const when = (...expressions: readonly string[]) => ({
    matchConditions: expressions.map((expression, index) => ({ name: `c${index}`, expression })),
  });
  const step = (fields: object): string => `/step/${Buffer.from(JSON.stringify(fields)).toString("base64url")}`;
  const label = (key: string, value: string) => step({ op: "add", path: `/metadata/labels/${key}`, value });
  const rule = (fields: object) => ({ rules: [{ ...maps, ...fields }] });
  const every = "[0,1,2,3,4,5,6,7,8,9].all(";
  const costly = `${every}a, ${every}b, ${every}c, ${every}d, ${every}e, e >= 0)))))`;
  const conditions: Readonly<Record<string, object>> = {
    "when-true": when("true", "object.metadata.name == 'x'"),
    "when-false": when("true", "false"),
    "when-error": when("object.data.none == 'a'"),
    "when-error-ignored": { ...when("object.data.none == 'a'"), ...ignore },
    "when-error-and-false": when("object.data.none == 'a'", "false"),
    "when-two-errors": when("object.data.none == 'a'", "object.spec.x == 'a'", "object.data.none == 'a'"),
    "when-authorized": when("authorizer.requestResource.check('create').allowed()"),
    "when-not-authorized": when("authorizer.group('none').resource('nones').check('create').allowed() == false"),
    "when-namespace": when("namespaceObject == null"),
    "when-old": when("oldObject == null"),
    "when-request": when("request.operation == 'CREATE' && request.namespace == 'hooked' && request.dryRun"),
    "when-user": when("request.userInfo.username == 'oracle'"),
    "when-costly": when(costly, costly, costly, costly, costly, costly, costly, costly),
    "when-false-and-costly": when("false", costly, costly, costly, costly, costly, costly, costly, costly),
    "when-costly-ignored": { ...when(costly, costly, costly, costly, costly, costly, costly, costly), ...ignore },
  };
  return [
    validating("v-fail", hook("v-fail", "/say")),
    validating("v-ignore", hook("v-ignore", "/say", ignore)),
    mutating("m-fail", hook("m-fail", "/say")),
    mutating("m-ignore", hook("m-ignore", "/say", ignore)),
    validating("v-beta", hook("v-beta", "/say", { admissionReviewVersions: ["v2", "v1beta1", "v1"] })),
    mutating("patched", hook("patched", "/patch")),
    mutating("slow", hook("slow", "/say", { timeoutSeconds: 1 })),
    validating("slow-ignored", hook("slow-ignored", "/say", { timeoutSeconds: 1, ...ignore })),
    validating("refused", hook("refused", "/", at({ url: closedUrl }))),
    validating("refused-ignored", hook("refused-ignored", "/", { ...at({ url: closedUrl }), ...ignore })),
    validating("untrusted", hook("untrusted", "/", { clientConfig: { url } })),
    validating("other-name", hook("other-name", "/", at({ url: otherUrl }))),
    validating("not-secure", hook("not-secure", "/", at({ url: plainUrl }))),
    validating("no-such-host", hook("no-such-host", "/", at({ url: "https://none.invalid/x" }))),
    validating("service-missing", hook("service-missing", "/", service({ name: "none", path: "/a/b" }))),
    validating("service-port", hook("service-port", "/", service({ name: "there", port: 444 }))),
    validating("service-external", hook("service-external", "/", service({ name: "external" }))),
    mutating("re-both", hook("a.re-both", "/append/a", needed), hook("b.re-both", "/append/b")),
    mutating(
      "re-once",
      hook("a.re-once", "/once/a", needed),
      hook("b.re-once", "/append/b"),
      hook("c.re-once", "/append/c", needed),
    ),
    mutating("re-none", hook("a.re-none", "/append/a", needed), hook("b.re-none", "/allow")),
    mutating("re-last", hook("a.re-last", "/append/a"), hook("b.re-last", "/append/b", needed)),
    mutating(
      "re-same",
      hook("a.re-same", "/append/a", needed),
      hook("b.re-same", step({ op: "add", path: "/data/kept", value: "1" })),
    ),
    mutating(
      "re-unknown",
      hook("a.re-unknown", "/append/a", needed),
      hook("b.re-unknown", step({ op: "add", path: "/unknown", value: 1 })),
    ),
    mutating(
      "re-empty",
      hook("a.re-empty", "/append/a", needed),
      hook("b.re-empty", step({ op: "add", path: "/binaryData", value: {} })),
    ),
    mutating(
      "re-selected",
      hook("a.re-selected", "/append/a", { ...needed, objectSelector: { matchLabels: { on: "1" } } }),
      hook("b.re-selected", label("on", "1")),
    ),
    mutating(
      "re-unselected",
      hook("a.re-unselected", "/append/a", { ...needed, objectSelector: { matchLabels: { off: "0" } } }),
      hook("b.re-unselected", label("off", "1")),
    ),
    mutating("re-order-z", hook("re-order", "/append/z", { objectSelector: { matchLabels: { ordered: "1" } } })),
    mutating("re-order-a", hook("re-order", "/append/a", { objectSelector: { matchLabels: { ordered: "1" } } })),
    mutating(
      "on-delete",
      hook("on-delete", step({ op: "add", path: "/data/x", value: "1" }), rule({ operations: ["DELETE"] })),
    ),
    mutating("on-delete-empty", hook("on-delete-empty", "/patch", rule({ operations: ["DELETE"] }))),
    {
      kind: "Mutating",
      name: "on-connect",
      webhooks: [
        hook("on-connect", step({ op: "add", path: "/command", value: 7 }), {
          rules: [{ ...maps, operations: ["CONNECT"], resources: ["pods/exec"] }],
        }),
      ],
    },
    validating("scoped", hook("scoped", "/allow/scoped", rule({ scope: "Cluster", resources: ["*"] }))),
    validating("unscoped", hook("unscoped", "/allow/unscoped", rule({ scope: "Namespaced", resources: ["*"] }))),
    validating(
      "by-namespace",
      hook("by-namespace", "/allow/by-namespace", {
        ...rule({ resources: ["*"] }),
        namespaceSelector: { matchLabels: { hooked: "yes" } },
      }),
    ),
    validating(
      "equivalent",
      hook("equivalent", "/allow/equivalent", {
        rules: [{ ...maps, apiGroups: ["autoscaling"], apiVersions: ["v1"], resources: ["horizontalpodautoscalers"] }],
      }),
      hook("exact", "/allow/exact", {
        matchPolicy: "Exact",
        rules: [{ ...maps, apiGroups: ["autoscaling"], apiVersions: ["v1"], resources: ["horizontalpodautoscalers"] }],
      }),
    ),
    mutating(
      "re-plugin",
      hook("a.re-plugin", "/allow/a", { ...needed, rules: [pods] }),
      hook("b.re-plugin", step({ op: "add", path: "/spec/containers/1", value: { name: "d", image: "d" } }), {
        rules: [pods],
      }),
    ),
    mutating("re-plugin-last", hook("a.re-plugin-last", "/container/d", { ...needed, rules: [pods] })),
    mutating(
      "re-when",
      hook("a.re-when", "/append/a", { ...needed, ...when("!has(object.data.log) || size(object.data.log) < 2") }),
      hook("b.re-when", "/append/b"),
    ),
    mutating(
      "on-status",
      hook("on-status", step({ op: "add", path: "/status/message", value: "by webhook" }), {
        rules: [{ ...maps, resources: ["persistentvolumes/status"] }],
      }),
    ),
    mutating(
      "on-scale",
      hook("on-scale", step({ op: "replace", path: "/spec/replicas", value: 3 }), {
        objectSelector: {},
        rules: [{ ...maps, apiGroups: ["apps"], resources: ["deployments/scale"] }],
      }),
    ),
    mutating("relabels", hook("relabels", label("hooked", "yes"), { rules: [{ ...maps, resources: ["namespaces"] }] })),
    validating(
      "relabelled",
      hook("relabelled", "/allow/relabelled", {
        objectSelector: { matchLabels: { case: "relabels" } },
        namespaceSelector: { matchLabels: { hooked: "yes" } },
        rules: [{ ...maps, resources: ["namespaces"] }],
      }),
    ),
    validating(
      "on-reviews",
      hook("on-reviews", "/allow/reviews", {
        objectSelector: {},
        namespaceSelector: { matchLabels: { hooked: "yes" } },
        rules: [{ ...maps, apiGroups: ["authorization.k8s.io"], resources: ["*"] }],
      }),
    ),
    mutating("custom-own", hook("custom-own", "/patch", { rules: [customRules.own] })),
    mutating("custom-other", hook("custom-other", "/patch", { rules: [customRules.other] })),
    ...Object.entries(conditions).map(([name, fields]) => validating(name, hook(name, "/allow", fields))),
  ];
}

/** What is in the namespace beside what is sent. */
export const services = [
  { metadata: { name: "there" }, spec: { ports: [{ port: 443 }] } },
  { metadata: { name: "external" }, spec: { type: "ExternalName", externalName: "none.invalid" } },
];

const configMap = (of: string, data: Record<string, string> = {}, labels: object = {}): object => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name: "x", labels: { case: of, ...labels } },
  data: { kept: "1", ...data },
});
const created = (name: string, of = name, data: Record<string, string> = {}, labels: object = {}): Sent => ({
  name,
  path: "configmaps?dryRun=All",
  body: configMap(of, data, labels),
});

const ok = { uid: "UID", allowed: true };
const no = (status: object | null | undefined): Said => ({ response: { uid: "UID", allowed: false, status } });
const plain = (status: number, body: string, headers: Record<string, string> = {}): Said => ({
  status,
  body,
  headers: { "content-type": "text/plain", ...headers },
});
const failure = (fields: object): string =>
  JSON.stringify({ kind: "Status", apiVersion: "v1", status: "Failure", ...fields });
const base64 = (text: string): string => Buffer.from(text).toString("base64");
const patching = (fields: object): Said => ({ response: { ...ok, patchType: "JSONPatch", ...fields } });
const inReview = (fields: object): Said => ({
  body: JSON.stringify({ apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview", response: ok, ...fields }),
});

const said: Readonly<Record<string, Said>> = {
  allowed: { response: ok },
  "no-status": no(undefined),
  "null-status": no(null),
  "empty-status": no({}),
  "code-0": no({ message: "no", code: 0 }),
  "code-200": no({ message: "no", code: 200, status: "Success" }),
  "code-399": no({ message: "no", code: 399, reason: "Odd" }),
  "code-403": no({ message: "no", code: 403, reason: "Forbidden" }),
  "code-404-alone": no({ code: 404 }),
  "code-422": no({ code: 422, reason: "Invalid", status: "Odd" }),
  "code-429": no({ message: "later", code: 429, reason: "TooManyRequests", details: { retryAfterSeconds: 7 } }),
  "code-500": no({ message: "broken", code: 500 }),
  "code-503": no({ message: "broken", code: 503, reason: "ServiceUnavailable" }),
  "code-700": no({ message: "odd", code: 700 }),
  "reason-alone": no({ reason: "Because" }),
  details: no({
    message: "no",
    details: { name: "n", group: "g", kind: "k", uid: "u", causes: [{ reason: "r", message: "m", field: "f" }] },
  }),
  "empty-details": no({ message: "no", details: {} }),
  metadata: no({ message: "no", metadata: { resourceVersion: "7", continue: "c" } }),
  "code-text": no({ message: "no", code: "403" }),
  "message-number": no({ message: 7 }),
  "details-text": no({ details: "x" }),
  "status-text": { response: { uid: "UID", allowed: false, status: "x" } },
  "other-uid": { response: { uid: "other", allowed: true } },
  "no-uid": { response: { allowed: true } },
  "no-response": { body: '{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}' },
  "response-null": { response: null },
  "other-kind": inReview({ kind: "Odd" }),
  "no-kind": inReview({ kind: undefined }),
  "no-version": inReview({ apiVersion: undefined }),
  "no-type": inReview({ apiVersion: undefined, kind: undefined }),
  "other-version": inReview({ apiVersion: "admission.k8s.io/v9" }),
  "beta-version": inReview({ apiVersion: "admission.k8s.io/v1beta1" }),
  "allowed-text": { response: { uid: "UID", allowed: "yes" } },
  "warnings-text": { response: { ...ok, warnings: "x" } },
  "warnings-number": { response: { ...ok, warnings: [7] } },
  "annotations-number": { response: { ...ok, auditAnnotations: { a: 7 } } },
  annotations: {
    response: { ...ok, auditAnnotations: { a: "1", "b/c": "2", "": "3", "d e": "4", f: "<&>", ["g".repeat(64)]: "5" } },
  },
  warnings: { response: { ...ok, warnings: ["one", "two", "one", "", "line\nbreak", 'quo"ted', "ü"] } },
  "warnings-long": { response: { ...ok, warnings: ["a".repeat(300), "b".repeat(4000), "c".repeat(100)] } },
  "warnings-refused": { response: { uid: "UID", allowed: false, warnings: ["why"], status: { message: "no" } } },
  "empty-body": { body: "" },
  "no-json": { body: '{"kind":' },
  "a-list": { body: "[]" },
  yaml: { body: "kind: AdmissionReview\napiVersion: admission.k8s.io/v1\nresponse: {uid: UID, allowed: true}\n" },
  html: plain(200, "<html>hello</html>", { "content-type": "text/html" }),
  "type-wrong": { response: ok, headers: { "content-type": "text/html; charset=utf-8" } },
  "type-bad": { response: ok, headers: { "content-type": "text/" } },
  "type-no-slash": { response: ok, headers: { "content-type": "json odd" } },
  "type-bad-parameter": { response: ok, headers: { "content-type": "application/json; x" } },
  "created-201": { status: 201, response: ok },
  "status-206": { status: 206, response: ok },
  "status-207": { status: 207, response: ok },
  "status-400": plain(400, "bad"),
  "status-401": plain(401, "who"),
  "status-403": plain(403, " not you "),
  "status-404": plain(404, "none"),
  "status-406": plain(406, "not so"),
  "status-406-json": plain(406, "not so", { "content-type": "application/json" }),
  "status-409": plain(409, "none"),
  "status-413": plain(413, "none"),
  "status-415": plain(415, "not this"),
  "status-429": plain(429, "later"),
  "status-429-soon": plain(429, "later", { "retry-after": "0" }),
  "status-500": plain(500, `broken "so"`),
  "status-500-html": plain(500, "<b>", { "content-type": "text/html; charset=utf-8" }),
  "status-500-soon": plain(500, "broken", { "retry-after": "0" }),
  "status-500-later": plain(500, "broken", { "retry-after": "later" }),
  "status-502": plain(502, ""),
  "status-503": plain(503, "gone"),
  "status-504": plain(504, "slow"),
  "status-500-told": { status: 500, body: failure({ message: "told", code: 418, reason: "Tea" }) },
  "status-500-success": {
    status: 500,
    body: '{"kind":"Status","apiVersion":"v1","status":"Success","message":"told"}',
  },
  "status-404-told": { status: 404, body: failure({ code: 404 }) },
  "status-200-told": { body: failure({ message: "told", code: 418 }) },
  "redirect-nowhere": plain(302, "moved"),
  "redirect-around": { status: 307, body: "", headers: { location: "/say" } },
  reset: { act: "reset" },
  truncate: { act: "truncate", response: ok },
  patch: patching({ patch: base64('[{"op":"add","path":"/data/a","value":"1"}]') }),
  "patch-no-type": { response: { ...ok, patch: base64("[]") } },
  "patch-no-patch": { response: { ...ok, patchType: "JSONPatch" } },
  "patch-type-empty": { response: { ...ok, patchType: "", patch: base64("[]") } },
  "patch-type-other": {
    response: { ...ok, patchType: "Odd", patch: base64('[{"op":"add","path":"/data/a","value":"1"}]') },
  },
  "patch-type-other-empty": { response: { ...ok, patchType: "Odd", patch: base64("[]") } },
  "patch-no-base64": patching({ patch: "?" }),
  "patch-no-json": patching({ patch: base64("[") }),
  "patch-object": patching({ patch: base64("{}") }),
  "patch-text": patching({ patch: base64('["x"]') }),
  "patch-null": patching({ patch: base64("null") }),
  "patch-null-step": patching({ patch: base64("[null]") }),
  "patch-refused": { response: { uid: "UID", allowed: false, patchType: "JSONPatch", patch: base64("[") } },
};

const patches: Readonly<Record<string, unknown>> = {
  "op-none": [{ path: "/data" }],
  "op-null": [{ op: null, path: "/data" }],
  "op-number": [{ op: 7, path: "/data" }],
  "op-odd": [{ op: "odd" }],
  "add-no-path": [{ op: "add", value: 1 }],
  "add-path-number": [{ op: "add", path: 7, value: 1 }],
  "add-root": [{ op: "add", path: "", value: {} }],
  "add-no-slash": [{ op: "add", path: "data", value: {} }],
  "add-missing": [{ op: "add", path: "/none/a", value: 1 }],
  "add-below-text": [{ op: "add", path: "/kind/a", value: 1 }],
  "add-no-value": [{ op: "add", path: "/data/a" }],
  "add-null": [{ op: "add", path: "/data/kept", value: null }],
  "add-index-text": [{ op: "add", path: "/metadata/finalizers/a", value: "a.b/c" }],
  "add-index-far": [{ op: "add", path: "/metadata/finalizers/5", value: "a.b/c" }],
  "add-index-below": [{ op: "add", path: "/metadata/finalizers/-5", value: "a.b/c" }],
  "add-index-huge": [{ op: "add", path: "/metadata/finalizers/99999999999999999999", value: "a.b/c" }],
  "add-index-plus": [{ op: "add", path: "/metadata/finalizers/+1", value: "a.b/c" }],
  "add-below-missing-index": [{ op: "add", path: "/metadata/finalizers/9/a", value: "a.b/c" }],
  "remove-no-path": [{ op: "remove" }],
  "remove-missing": [{ op: "remove", path: "/data/none" }],
  "remove-missing-parent": [{ op: "remove", path: "/none/none" }],
  "remove-root": [{ op: "remove", path: "" }],
  "remove-index-text": [{ op: "remove", path: "/metadata/finalizers/-" }],
  "remove-index-far": [{ op: "remove", path: "/metadata/finalizers/1" }],
  "remove-index-below": [{ op: "remove", path: "/metadata/finalizers/-2" }],
  "replace-no-path": [{ op: "replace", value: 1 }],
  "replace-path-list": [{ op: "replace", path: [], value: 1 }],
  "replace-missing": [{ op: "replace", path: "/data/none", value: "1" }],
  "replace-missing-parent": [{ op: "replace", path: "/none/none", value: "1" }],
  "replace-index-far": [{ op: "replace", path: "/metadata/finalizers/3", value: "1" }],
  "replace-index-text": [{ op: "replace", path: "/metadata/finalizers/-", value: "1" }],
  "replace-root-text": [{ op: "replace", path: "", value: "x" }],
  "replace-root-null": [{ op: "replace", path: "", value: null }],
  "replace-root-list": [{ op: "replace", path: "", value: [] }],
  "replace-root-empty": [{ op: "replace", path: "", value: {} }],
  "move-no-from": [{ op: "move", path: "/data/a" }],
  "move-from-number": [{ op: "move", path: "/data/a", from: 7 }],
  "move-from-null": [{ op: "move", path: "/data/a", from: null }],
  "move-missing": [{ op: "move", from: "/data/none", path: "/data/a" }],
  "move-missing-parent": [{ op: "move", from: "/none/none", path: "/data/a" }],
  "move-no-path": [{ op: "move", from: "/data/kept" }],
  "move-nowhere": [{ op: "move", from: "/data/kept", path: "/none/none" }],
  "move-index": [{ op: "move", from: "/metadata/finalizers/7", path: "/data/a" }],
  "move-to-index": [{ op: "move", from: "/data/kept", path: "/metadata/finalizers/7" }],
  "copy-no-from": [{ op: "copy", path: "/data/a" }],
  "copy-missing": [{ op: "copy", from: "/data/none", path: "/data/a" }],
  "copy-missing-parent": [{ op: "copy", from: "/none/none", path: "/data/a" }],
  "copy-no-path": [{ op: "copy", from: "/data/kept" }],
  "copy-nowhere": [{ op: "copy", from: "/data/kept", path: "/none/none" }],
  "copy-index": [{ op: "copy", from: "/metadata/finalizers/7", path: "/data/a" }],
  "copy-to-index": [{ op: "copy", from: "/data/kept", path: "/metadata/finalizers/a" }],
  "test-no-path": [{ op: "test", value: 1 }],
  "test-missing": [{ op: "test", path: "/data/none", value: "1" }],
  "test-missing-null": [{ op: "test", path: "/data/none", value: null }],
  "test-missing-no-value": [{ op: "test", path: "/data/none" }],
  "test-there-no-value": [{ op: "test", path: "/data/kept" }],
  "test-missing-parent": [{ op: "test", path: "/none/none", value: "1" }],
  "test-index": [{ op: "test", path: "/metadata/finalizers/x", value: "1" }],
  "test-root": [{ op: "test", path: "", value: {} }],
  "test-other": [{ op: "test", path: "/data/kept", value: "2" }],
  "map-number": [{ op: "add", path: "/data/a", value: 7 }],
  "map-text": [{ op: "add", path: "/data", value: "x" }],
  "labels-list": [{ op: "add", path: "/metadata/labels", value: [] }],
  "metadata-text": [{ op: "add", path: "/metadata", value: "x" }],
  "metadata-none": [{ op: "remove", path: "/metadata" }],
  "name-number": [{ op: "replace", path: "/metadata/name", value: 7 }],
  "name-other": [{ op: "replace", path: "/metadata/name", value: "y" }],
  "immutable-text": [{ op: "add", path: "/immutable", value: "yes" }],
  "binary-bad": [{ op: "add", path: "/binaryData", value: { a: "?" } }],
  "time-bad": [{ op: "add", path: "/metadata/creationTimestamp", value: "now" }],
  "unknown-field": [{ op: "add", path: "/unknown", value: 7 }],
  "other-version": [{ op: "replace", path: "/apiVersion", value: "v2" }],
  "kind-number": [{ op: "replace", path: "/kind", value: 7 }],
  "invalid-key": [{ op: "add", path: "/data/a b", value: "" }],
  "invalid-label": [{ op: "add", path: "/metadata/labels/a b", value: "" }],
};

const named = (of: string, name: string): Sent => created(`${of} ${name}`, of, { answer: JSON.stringify(said[name]) });

const failing = Object.keys(said);
const hanging: Said = { act: "hang" };
const namespace = (name: string, labels: object) => ({
  apiVersion: "v1",
  kind: "Namespace",
  metadata: { name, labels },
});
const scaler = (version: string, name: string) => ({
  apiVersion: `autoscaling/${version}`,
  kind: "HorizontalPodAutoscaler",
  metadata: { name, labels: { case: "equivalent" } },
  spec: { maxReplicas: 2, scaleTargetRef: { kind: "Deployment", name: "d", apiVersion: "apps/v1" } },
});

export const webhookRequests: readonly Sent[] = [
  ...["v-fail", "v-ignore", "m-fail", "m-ignore"].flatMap((of) => failing.map((name) => named(of, name))),
  ...["allowed", "other-uid", "no-uid", "beta-version", "no-type", "patch", "no-status"].map((name) =>
    named("v-beta", name),
  ),
  ...Object.entries(patches).map(([name, steps]): Sent => {
    const body = configMap("patched", { patch: JSON.stringify(steps) }) as { metadata: object };
    return {
      name: `patched ${name}`,
      path: "configmaps?dryRun=All",
      body: { ...body, metadata: { ...body.metadata, finalizers: ["a.b/c"] } },
    };
  }),
  created("slow", "slow", { answer: JSON.stringify(hanging) }),
  created("slow-ignored", "slow-ignored", { answer: JSON.stringify(hanging) }),
  created("slow-by-retries", "slow", { answer: JSON.stringify(plain(503, "", { "retry-after": "2" })) }),
  ...["refused", "refused-ignored", "untrusted", "other-name", "not-secure", "no-such-host"].map((of) => created(of)),
  ...["service-missing", "service-port", "service-external"].map((of) => created(of)),
  ...["re-both", "re-once", "re-none", "re-last", "re-same", "re-unknown", "re-empty", "re-selected"].map((of) =>
    created(of),
  ),
  { name: "re-both made", path: "configmaps", body: configMap("re-both") },
  {
    name: "re-both changed",
    method: "PATCH",
    path: "configmaps/x",
    type: "application/merge-patch+json",
    body: { data: { kept: "2" } },
  },
  { name: "re-both gone", method: "DELETE", path: "configmaps/x" },
  created("re-unselected", "re-unselected", {}, { off: "0" }),
  created("re-order", "none", {}, { ordered: "1" }),
  ...["on-delete", "on-delete-empty"].flatMap((of): Sent[] => [
    { name: `${of} made`, path: "configmaps", body: configMap(of) },
    { name: of, method: "DELETE", path: "configmaps/x" },
    { name: `${of} of all`, method: "DELETE", path: `configmaps?labelSelector=case%3D${of}` },
  ]),
  { name: "on-connect", path: "pods/none/exec?command=a" },
  ...["re-plugin", "re-plugin-last"].map(
    (of): Sent => ({
      name: of,
      path: "/api/v1/namespaces/limited/pods?dryRun=All",
      body: {
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name: "x", labels: { case: of } },
        spec: { containers: [{ name: "c", image: "c" }] },
      },
    }),
  ),
  created("re-when"),
  {
    name: "on-status made",
    path: "/api/v1/persistentvolumes",
    body: {
      apiVersion: "v1",
      kind: "PersistentVolume",
      metadata: { name: "on-status", labels: { case: "on-status" } },
      spec: { capacity: { storage: "1Gi" }, accessModes: ["ReadWriteOnce"], hostPath: { path: "/x" } },
    },
  },
  {
    name: "on-status",
    method: "PATCH",
    path: "/api/v1/persistentvolumes/on-status/status",
    type: "application/merge-patch+json",
    body: { status: { reason: "r" } },
  },
  {
    name: "on-scale made",
    path: "/apis/apps/v1/namespaces/hooked/deployments",
    body: {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "on-scale" },
      spec: {
        selector: { matchLabels: { a: "b" } },
        template: { metadata: { labels: { a: "b" } }, spec: { containers: [{ name: "c", image: "c" }] } },
      },
    },
  },
  {
    name: "on-scale",
    method: "PATCH",
    path: "/apis/apps/v1/namespaces/hooked/deployments/on-scale/scale",
    type: "application/merge-patch+json",
    body: { spec: { replicas: 9 } },
    shows: "requests",
  },
  { name: "relabels", path: "/api/v1/namespaces?dryRun=All", body: namespace("n", { case: "relabels" }) },
  ...["hooked", "default", "nowhere"].map(
    (where): Sent => ({
      name: `on-reviews in ${where}`,
      path: `/apis/authorization.k8s.io/v1/namespaces/${where}/localsubjectaccessreviews`,
      body: {
        apiVersion: "authorization.k8s.io/v1",
        kind: "LocalSubjectAccessReview",
        metadata: { namespace: where },
        spec: { user: "u", resourceAttributes: { namespace: where, verb: "get", resource: "pods" } },
      },
    }),
  ),
  { name: "scoped", path: "configmaps?dryRun=All", body: configMap("scoped") },
  { name: "scoped namespace", path: "/api/v1/namespaces?dryRun=All", body: namespace("n", { case: "scoped" }) },
  { name: "unscoped", path: "configmaps?dryRun=All", body: configMap("unscoped") },
  { name: "unscoped namespace", path: "/api/v1/namespaces?dryRun=All", body: namespace("n", { case: "unscoped" }) },
  { name: "by-namespace", path: "configmaps?dryRun=All", body: configMap("by-namespace") },
  {
    name: "by-namespace elsewhere",
    path: "/api/v1/namespaces/default/configmaps?dryRun=All",
    body: configMap("by-namespace"),
  },
  {
    name: "by-namespace cluster-wide",
    path: "/api/v1/persistentvolumes?dryRun=All",
    body: {
      apiVersion: "v1",
      kind: "PersistentVolume",
      metadata: { name: "x", labels: { case: "by-namespace" } },
      spec: { capacity: { storage: "1Gi" }, accessModes: ["ReadWriteOnce"], hostPath: { path: "/x" } },
    },
  },
  ...[{ hooked: "yes" }, { hooked: "no" }].flatMap((labels, index): Sent[] => {
    const name = `own-${index}`;
    const body = namespace(name, { case: "by-namespace", ...labels });
    const path = `/api/v1/namespaces/${name}`;
    return [
      { name: `by-namespace create ${name}`, path: "/api/v1/namespaces", body },
      {
        name: `by-namespace patch ${name}`,
        method: "PATCH",
        path,
        type: "application/merge-patch+json",
        body: { metadata: { labels: { hooked: "yes" } } },
      },
      { name: `by-namespace delete ${name}`, method: "DELETE", path },
    ];
  }),
  {
    name: "equivalent",
    path: "/apis/autoscaling/v2/namespaces/hooked/horizontalpodautoscalers?dryRun=All",
    body: scaler("v2", "x"),
    shows: "requests",
  },
  {
    name: "exact",
    path: "/apis/autoscaling/v1/namespaces/hooked/horizontalpodautoscalers?dryRun=All",
    body: scaler("v1", "x"),
    shows: "requests",
  },
  ...[
    "when-true",
    "when-false",
    "when-error",
    "when-error-ignored",
    "when-error-and-false",
    "when-two-errors",
    "when-authorized",
    "when-not-authorized",
    "when-namespace",
    "when-old",
    "when-request",
    "when-user",
    "when-costly",
    "when-false-and-costly",
    "when-costly-ignored",
  ].map((of) => created(of)),
];
