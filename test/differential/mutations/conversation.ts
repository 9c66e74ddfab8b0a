/** Makes the policies of all cases at an API server, upstream's or ours, and tells what becomes of what is sent. */
import { until } from "#shared/testing/until.ts";
import type { MutationCase } from "./case-parts.ts";
import { cases } from "./cases.ts";
import { definition, ordinary, params, paths } from "./kinds.ts";

export type Ask = (path: string, init?: RequestInit) => Promise<Response>;

const registration = "/apis/admissionregistration.k8s.io";
const apiVersion = "admissionregistration.k8s.io/v1beta1";
type Fields = Record<string, unknown>;

export interface Answers {
  readonly answers: Readonly<Record<string, unknown>>;
  /** Series about policies that count, with how much. */
  readonly metrics: readonly string[];
}

/** @param settle waits until what was configured is in force */
export async function answersOf(ask: Ask, settle: () => Promise<void>): Promise<Answers> {
  const before = await countsOf(ask);
  await made(ask, "/api/v1/namespaces", {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name: "mutated", labels: { team: "blue" } },
  });
  const account = { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default" } };
  await made(ask, "/api/v1/namespaces/mutated/serviceaccounts", account);
  await made(ask, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition);
  await until("the custom kind is served", async () => (await ask(paths.Thing)).status === 200);
  for (const each of params) await made(ask, paths.ConfigMap, { apiVersion: "v1", kind: "ConfigMap", ...each });
  for (const each of cases) if (each.method || each.subresource) await made(ask, paths[each.kind], objectOf(each));
  const answers: Record<string, unknown> = {};
  for (const each of cases) {
    const refused = await configure(ask, each);
    if (refused) answers[each.name] = { configured: refused };
  }
  await settle();
  for (const each of cases) if (!answers[each.name]) answers[each.name] = await sent(ask, each);
  const metrics = [...(await countsOf(ask))]
    .map(([series, count]) => [series, count - (before.get(series) ?? 0)] as const)
    .filter(([, count]) => count > 0)
    .map(([series, count]) => `${series} ${count}`)
    .sort();
  return { answers, metrics };
}

async function made(ask: Ask, path: string, body: object): Promise<void> {
  const response = await send(ask, "POST", path, body);
  const text = await response.text();
  if (response.status !== 201) throw new Error(`${path}: ${response.status} ${text}`);
}

const send = (ask: Ask, method: string, path: string, body: object, type = "application/json"): Promise<Response> =>
  ask(path, {
    method,
    headers: { accept: "application/json", "content-type": type },
    body: JSON.stringify(body),
  });

/** What is said of a policy that is refused. */
async function configure(ask: Ask, { name, policy: { spec, bindings = [{}] } }: MutationCase): Promise<unknown> {
  const policy = { apiVersion, kind: "MutatingAdmissionPolicy", metadata: { name }, spec };
  const response = await send(ask, "POST", `${registration}/v1beta1/mutatingadmissionpolicies`, policy);
  if (response.status !== 201) return shown(await response.json());
  await response.text();
  for (const [index, fields] of bindings.entries())
    await made(ask, `${registration}/v1beta1/mutatingadmissionpolicybindings`, {
      apiVersion,
      kind: "MutatingAdmissionPolicyBinding",
      metadata: { name: `${name}-${index}` },
      spec: { policyName: name, ...fields },
    });
  return undefined;
}

function objectOf({ kind, name, object }: MutationCase): Fields {
  return { ...ordinary[kind], ...object, metadata: { name, labels: { case: name } } };
}

async function sent(ask: Ask, each: MutationCase): Promise<unknown> {
  const { kind, name, method = "POST", subresource = "", query = "" } = each;
  const isNamed = method !== "POST" || subresource !== "";
  const path = paths[kind];
  const isPatch = method === "PATCH";
  const body = each.body ?? (isPatch ? { spec: { replicas: 4 } } : objectOf(each));
  const whole = isNamed ? `${path}/${name}${subresource}` : path;
  const type = each.type ?? (isPatch ? "application/merge-patch+json" : undefined);
  const response = await send(ask, method, whole + query, body, type);
  return { code: response.status, ...shown(await response.json()) };
}

const uid = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;

/** Without what differs from one run to the next. */
function shown(value: unknown): Fields {
  const { metadata = {}, ...rest } = value as { metadata?: Fields };
  const { name, labels, annotations, finalizers, ownerReferences } = metadata;
  // Those of one second are in another order than those of two.
  const managedFields = (metadata["managedFields"] as Fields[] | undefined)
    ?.map(({ time: _, ...entry }) => entry)
    .sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  const text = JSON.stringify({
    metadata: { name, labels, annotations, finalizers, ownerReferences, managedFields },
    ...rest,
  });
  // Where Go has null for a list that is not there, Bramble has nothing.
  return JSON.parse(
    text.replace(uid, "UID").replace(/kube-api-access-\w{5}/g, "kube-api-access"),
    (_, each: unknown) => each ?? undefined,
  ) as Fields;
}

/** Of histograms only how often something was observed. */
async function countsOf(ask: Ask): Promise<Map<string, number>> {
  const page = await (await ask("/metrics")).text();
  const counted = page.matchAll(
    /^(apiserver_(?:mutating_admission_policy|admission_match_condition)\w+(?<!_bucket|_sum))\{(.*)\} (\S+)$/gm,
  );
  return new Map(
    [...counted].map(([, name = "", labels = "", count]) => [
      `${name} ${labels.split(",").sort().join(" ")}`,
      Number(count),
    ]),
  );
}
