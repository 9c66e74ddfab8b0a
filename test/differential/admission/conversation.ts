/** Plays all cases against an API server, upstream's or ours, and tells what it answered and what its webhooks were asked. */
import { until } from "#shared/testing/until.ts";
import type { Target } from "../wire/request.ts";
import { customPath, customRequests, definition } from "./custom-cases.ts";
import { type Call, type HookServer, startHookServer } from "./hook-server.ts";
import { params, policies, policyRequests } from "./policy-cases.ts";
import { refusedRequests } from "./refused-cases.ts";
import { reviewRequests, shownWebhook } from "./review-cases.ts";
import { configurations, type Sent, services, webhookRequests } from "./webhook-cases.ts";

type Fields = Record<string, unknown>;

export interface Answer {
  readonly code: number;
  readonly warnings?: readonly string[];
  readonly retryAfter?: string;
  /** Of a refusal all, of an object what the cases are about. */
  readonly body: unknown;
  /** Paths that were called, or whole requests. */
  readonly calls?: readonly unknown[];
  /** Of its audit event. */
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface Answers {
  readonly webhooks: Readonly<Record<string, Answer>>;
  readonly policies: Readonly<Record<string, Answer>>;
  readonly reviews: Readonly<Record<string, Answer>>;
  /** To configurations and policies that are written wrongly. */
  readonly refused: Readonly<Record<string, Answer>>;
  /** Series of metrics about webhooks and policies that count, with how much. */
  readonly metrics: readonly string[];
}

const registration = "/apis/admissionregistration.k8s.io/v1";

export interface Surroundings {
  /** Waits until what was configured is in force. */
  settle(): Promise<void>;
  /** Gives the audit log of all that was asked. */
  audited(): Promise<string>;
}

export async function answersOf(target: Target, { settle, audited }: Surroundings): Promise<Answers> {
  const hooks = await startHookServer();
  const ask = asking(target);
  const counts = async (): Promise<Map<string, number>> => countsIn(await (await ask("GET", "/metrics")).text());
  try {
    const before = await counts();
    await prepare(ask);
    for (const { kind, name, webhooks } of configurations(hooks)) await configure(ask, kind, name, webhooks);
    await settle();
    const ofWebhooks = await played(ask, hooks, "webhooks", [...webhookRequests, ...customRequests]);
    await ask("DELETE", `${registration}/validatingwebhookconfigurations`);
    await ask("DELETE", `${registration}/mutatingwebhookconfigurations`);
    for (const { name, spec, bindings } of policies) await bind(ask, name, spec, name === "no-binding" ? [] : bindings);
    await settle();
    const ofPolicies = await played(ask, hooks, "policies", policyRequests);
    await ask("DELETE", `${registration}/validatingadmissionpolicybindings`);
    await ask("DELETE", `${registration}/validatingadmissionpolicies`);
    const clientConfig = { url: `${hooks.url}/allow`, caBundle: hooks.caBundle };
    await configure(ask, "Validating", "shown", [{ name: "shown.example.com", clientConfig, ...shownWebhook }]);
    await settle();
    const refused = await played(ask, hooks, "refused", refusedRequests);
    const ofReviews = await played(ask, hooks, "reviews", reviewRequests);
    await ask("DELETE", `${registration}/validatingwebhookconfigurations`);
    const metrics = [...(await counts())]
      .map(([series, count]) => [series, count - (before.get(series) ?? 0)] as const)
      .filter(([, count]) => count > 0)
      .map(([series, count]) => `${series} ${count}`)
      .sort();
    const annotations = annotationsIn(hooks.comparable(await audited()));
    const annotated = (group: string, answers: Readonly<Record<string, Answer>>): Record<string, Answer> =>
      Object.fromEntries(
        Object.entries(answers).map(([name, answer]) => {
          const found = annotations.get(auditId(group, name)) ?? {};
          return [name, Object.keys(found).length > 0 ? { ...answer, annotations: found } : answer];
        }),
      );
    return {
      webhooks: annotated("webhooks", ofWebhooks),
      policies: annotated("policies", ofPolicies),
      reviews: annotated("reviews", ofReviews),
      refused,
      metrics,
    };
  } finally {
    hooks.stop();
  }
}

type Ask = (method: string, path: string, body?: object, type?: string, id?: string) => Promise<Response>;

/** By which a request is found in the audit log. */
const auditId = (group: string, name: string): string => Bun.hash(`${group} ${name}`).toString();

function annotationsIn(log: string): Map<string, Record<string, string>> {
  const events = log
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as { readonly auditID: string; readonly annotations?: Record<string, string> });
  return new Map(
    events.map(({ auditID, annotations = {} }) => [
      auditID,
      Object.fromEntries(
        Object.entries(annotations)
          .filter(([key]) => !/^(authorization|apiserver\.latency)\.k8s\.io\//.test(key))
          .sort(([a], [b]) => (a < b ? -1 : 1)),
      ),
    ]),
  );
}

const asking =
  ({ url, headers, tls }: Target): Ask =>
  (method, path, body, type = "application/json", id = "") =>
    fetch(url + path, {
      method,
      headers: {
        ...headers,
        accept: "application/json",
        "content-type": type,
        "user-agent": "client",
        ...(id ? { "audit-id": id } : {}),
      },
      ...(body ? { body: JSON.stringify(body) } : {}),
      tls,
    } as RequestInit);

async function made(ask: Ask, path: string, body: object): Promise<void> {
  const response = await ask("POST", path, body);
  const text = await response.text();
  if (response.status !== 201) throw new Error(`${path}: ${response.status} ${text}`);
}

async function prepare(ask: Ask): Promise<void> {
  const namespace = { apiVersion: "v1", kind: "Namespace", metadata: { name: "hooked", labels: { hooked: "yes" } } };
  await made(ask, "/api/v1/namespaces", namespace);
  const within = "/api/v1/namespaces/hooked";
  const account = { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default" } };
  await made(ask, `${within}/serviceaccounts`, account);
  await made(ask, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition);
  await until("the custom kind is served", async () => (await ask("GET", customPath("v2"))).status === 200);
  await made(ask, "/api/v1/namespaces", { ...namespace, metadata: { name: "limited" } });
  await made(ask, "/api/v1/namespaces/limited/serviceaccounts", account);
  await made(ask, "/api/v1/namespaces/limited/limitranges", {
    apiVersion: "v1",
    kind: "LimitRange",
    metadata: { name: "l" },
    spec: { limits: [{ type: "Container", default: { cpu: "1" } }] },
  });
  for (const each of services) await made(ask, `${within}/services`, { apiVersion: "v1", kind: "Service", ...each });
  for (const each of params) await made(ask, `${within}/configmaps`, each);
}

function configure(ask: Ask, kind: string, name: string, webhooks: readonly object[]): Promise<void> {
  const apiVersion = "admissionregistration.k8s.io/v1";
  const body = { apiVersion, kind: `${kind}WebhookConfiguration`, metadata: { name }, webhooks };
  return made(ask, `${registration}/${kind.toLowerCase()}webhookconfigurations`, body);
}

async function bind(ask: Ask, name: string, spec: object, bindings: readonly object[]): Promise<void> {
  const apiVersion = "admissionregistration.k8s.io/v1";
  const kind = "ValidatingAdmissionPolicy";
  await made(ask, `${registration}/validatingadmissionpolicies`, { apiVersion, kind, metadata: { name }, spec });
  for (const [index, fields] of bindings.entries()) {
    const binding = { policyName: name, validationActions: ["Deny"], ...fields };
    await made(ask, `${registration}/validatingadmissionpolicybindings`, {
      apiVersion,
      kind: `${kind}Binding`,
      metadata: { name: `${name}-${index}` },
      spec: binding,
    });
  }
}

async function played(
  ask: Ask,
  hooks: HookServer,
  group: string,
  requests: readonly Sent[],
): Promise<Record<string, Answer>> {
  const answers: Record<string, Answer> = {};
  for (const { name, method = "POST", path = "", type, body, shows = "paths" } of requests) {
    hooks.taken();
    const whole = path.startsWith("/") ? path : `/api/v1/namespaces/hooked/${path}`;
    const response = await ask(method, whole, body, type, auditId(group, name));
    const text = hooks.comparable(await response.text());
    const taken = hooks.taken().map((call) => (shows === "paths" ? call.path : comparableRequest(call)));
    // A write that was overtaken is made again, and shown again.
    const calls = shows === "paths" ? taken : taken.filter((call, index) => !Bun.deepEquals(call, taken[index - 1]));
    const warnings = response.headers.get("warning");
    const retryAfter = response.headers.get("retry-after");
    answers[name] = {
      code: response.status,
      ...(warnings === null ? {} : { warnings: warnings.split(/, (?=299 )/).sort() }),
      ...(retryAfter === null ? {} : { retryAfter }),
      body: shownBody(text),
      ...(calls.length > 0 ? { calls } : {}),
    };
  }
  return answers;
}

const uid = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;

const instant = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/g;

function shownBody(text: string): unknown {
  let value: Fields;
  try {
    value = JSON.parse(
      text
        .replace(uid, "UID")
        .replace(instant, "TIME")
        .replace(/"x-[a-z0-9]{5}(?=\\?")/g, '"x-RANDOM'),
    ) as Fields;
  } catch {
    return text.replace(uid, "UID");
  }
  if (value["kind"] === "Status") return value;
  const { labels, annotations } = (value["metadata"] ?? {}) as Fields;
  const { data, spec } = value as { data?: Fields; spec?: Fields & { containers?: Fields[] } };
  const { answer: _, patch: __, long: ___, ...rest } = data ?? {};
  return value["kind"] === "ConfigMap"
    ? { kind: "ConfigMap", labels, annotations, data: rest, binaryData: value["binaryData"] }
    : {
        kind: value["kind"],
        ...(spec?.["maxReplicas"] === undefined && value["kind"] !== "Scale" ? {} : { spec }),
        ...(spec?.containers
          ? { containers: spec.containers.map(({ name, resources }) => ({ name, resources })) }
          : {}),
        ...(value["kind"] === "PersistentVolume" ? { message: (value["status"] as Fields)["message"] } : {}),
        ...(value["kind"] === "Namespace" ? { labels } : {}),
        ...(value["kind"] === "Thing" ? { whole: { ...value, metadata: { labels } } } : {}),
      };
}

const varying = new Set([
  "uid",
  "resourceVersion",
  "creationTimestamp",
  "deletionTimestamp",
  "time",
  "lastPhaseTransitionTime",
  "controller-uid",
  "batch.kubernetes.io/controller-uid",
  "clusterIP",
]);

const byManager = (a: Fields, b: Fields): number => (String(a["manager"]) < String(b["manager"]) ? -1 : 1);

/** The request of a review, with a word for what differs from one run to the next. What is null or an empty list is left out: where Go
 *  has either for what is not there, Bramble writes the one or the other. */
function comparableRequest({ request }: Call): unknown {
  const walk = (value: unknown, key: string): unknown => {
    if (varying.has(key) && typeof value === "string") return key;
    // By a token and by a certificate, one has other fields beside.
    if (key === "userInfo") return (value as Fields)["username"];
    if (key === "clusterIPs") return key;
    if (key === "name" && typeof value === "string") return value.replace(/^kube-api-access-.*/, "kube-api-access");
    // Those of one second are in another order than those of two.
    if (key === "managedFields") return walk((value as Fields[]).toSorted(byManager), "");
    if (Array.isArray(value)) return value.map((each) => walk(each, ""));
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(
      Object.entries(value)
        .filter(([, each]) => each !== null && !(Array.isArray(each) && each.length === 0))
        .map(([name, each]) => [name, walk(each, name)]),
    );
  };
  return walk(request, "");
}

const counting = /^apiserver_(admission_webhook_\w+|admission_match_condition_\w+|validating_admission_policy_\w+)\{/;

/** Of histograms only how often something was observed. */
function countsIn(page: string): Map<string, number> {
  const lines = page
    .split("\n")
    .filter((line) => counting.test(line) && !/_(bucket|sum)\{|name="(shown|custom-)/.test(line));
  return new Map(
    lines.map((line) => {
      const [, name = "", labels = "", value = ""] = /^(\w+)\{(.*)\} (\S+)$/.exec(line) ?? [];
      return [
        `${name} ${labels
          .split(/,(?=\w+=)/)
          .sort()
          .join(" ")}`,
        Number(value),
      ];
    }),
  );
}
