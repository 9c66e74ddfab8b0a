/** What is said with one server: each case's objects are made, its condition awaited, then a client asks. */
import { until } from "#shared/testing/until.ts";
import type { Backings } from "./backing.ts";
import { type Case, cases, type Json } from "./cases.ts";

export type Fetch = (path: string, init?: RequestInit) => Promise<Response>;

export type Answers = Record<string, unknown>;

const registration = "/apis/apiregistration.k8s.io/v1/apiservices";
const discoveryForm = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
const told = ["content-type", "location", "retry-after", "x-own", "cache-control"];
const AT_ONCE = 8;

export async function answersOf(fetch: Fetch, backings: Backings): Promise<Answers> {
  const answers: Answers = {};
  await createNamespace(fetch);
  const ports: number[] = [];
  for (const each of cases) ports.push(await register(fetch, backings, each));
  const normal = (text: string): string => normalized(text, backings, ports);
  for (const { name } of cases) await condition(fetch, `v1.${name}.example.com`);
  await listed(
    fetch,
    cases.map(({ name }) => `${name}.example.com`),
  );
  const waiting = [...cases];
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift()) Object.assign(answers, await heard(fetch, next));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  const groups = cases.map(({ name }) => `${name}.example.com`);
  for (const accept of [discoveryForm, discoveryForm.replace("v2", "v2beta1"), "application/json"]) {
    const whole = (await (await fetch("/apis", { headers: { accept } })).json()) as { items?: Json[]; groups?: Json[] };
    const ofGroup = (item: Json): boolean => groups.includes(nameOf(item));
    // Where they stand among the others.
    const around = (item: Json): boolean => ofGroup(item) || ["apps", "apiregistration.k8s.io"].includes(nameOf(item));
    const items = whole.items ?? whole.groups ?? [];
    answers[`discovery ${accept}`] = items.filter(ofGroup);
    answers[`order ${accept}`] = items.filter(around).map(nameOf);
  }
  await deleted(fetch, "good", answers);
  return JSON.parse(normal(JSON.stringify(answers)));
}

const nameOf = (item: Json): string =>
  (item["name"] ?? (item["metadata"] as Json | undefined)?.["name"] ?? "") as string;

export const createNamespace = (fetch: Fetch): Promise<void> =>
  send(fetch, "/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name: "aggregated" } });

/** Makes a case's objects. Gives the port of what stands behind them. */
export async function register(fetch: Fetch, backings: Backings, each: Case): Promise<number> {
  const { name, service, slice, spec, behaviour = { kind: "nobody" } } = each;
  const port = await backings.start(name, behaviour);
  const namespace = "/api/v1/namespaces/aggregated/services";
  if (service !== null) {
    const body = {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name },
      spec: { ports: [{ port: 443 }], ...service },
    };
    await send(fetch, namespace, body);
  }
  if (slice !== null) {
    const { portName = "", endpoints, conditions = { ready: true } } = slice ?? {};
    await send(fetch, "/apis/discovery.k8s.io/v1/namespaces/aggregated/endpointslices", {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { name, labels: { "kubernetes.io/service-name": name } },
      addressType: "IPv4",
      endpoints: endpoints ?? [{ addresses: [backings.address], conditions }],
      ports: [{ name: portName, port, protocol: "TCP" }],
    });
  }
  const { service: at, ...rest } = (spec?.(backings) ?? {}) as { service?: Json };
  await send(fetch, registration, {
    apiVersion: "apiregistration.k8s.io/v1",
    kind: "APIService",
    metadata: { name: `v1.${name}.example.com` },
    spec: {
      group: `${name}.example.com`,
      version: "v1",
      groupPriorityMinimum: 2000,
      versionPriority: 100,
      service: { namespace: "aggregated", name, ...at },
      ...rest,
    },
  });
  return port;
}

export async function send(fetch: Fetch, path: string, body: Json): Promise<void> {
  const headers = { "content-type": "application/json" };
  const response = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  if (response.status !== 201) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  await response.text();
}

async function heard(fetch: Fetch, { name }: Case): Promise<Answers> {
  const answers: Answers = {};
  const group = `/apis/${name}.example.com`;
  answers[`${name}: condition`] = await condition(fetch, `v1.${name}.example.com`);
  answers[`${name}: row`] = await row(fetch, `v1.${name}.example.com`);
  for (const path of [
    group,
    `${group}/v1`,
    `${group}/v1/namespaces/default/flunders?limit=5&fieldSelector=a%3Db`,
    `${group}/v2/flunders`,
  ]) {
    answers[`${name}: GET ${path}`] = await seen(
      await fetch(path, { headers: { "user-agent": "client", accept: "application/json" } }),
    );
  }
  const headers = {
    "content-type": "application/json",
    accept: "application/json",
    "user-agent": "client",
    "x-remote-user": "mallory",
    "x-own": "1",
  };
  const path = `${group}/v1/namespaces/default/flunders`;
  answers[`${name}: POST`] = await seen(await fetch(path, { method: "POST", headers, body: '{"a": 1}' }));
  return answers;
}

export const condition = (fetch: Fetch, name: string): Promise<Json> =>
  until(name, async () => {
    const { status } = (await (await fetch(`${registration}/${name}`)).json()) as { status?: { conditions?: Json[] } };
    const found = status?.conditions?.find(({ type }) => type === "Available");
    return found && { ...found, lastTransitionTime: "TIME" };
  });

async function row(fetch: Fetch, name: string): Promise<unknown> {
  const headers = { accept: "application/json;as=Table;v=v1;g=meta.k8s.io" };
  const { rows } = (await (await fetch(`${registration}/${name}`, { headers })).json()) as {
    rows: { cells: unknown[] }[];
  };
  return rows[0]?.cells.slice(0, 3);
}

/** Discovery follows a moment later. */
const listed = (fetch: Fetch, groups: readonly string[]): Promise<true> =>
  until(groups.join(), async () => {
    const text = await (await fetch("/apis", { headers: { accept: discoveryForm } })).text();
    return groups.every((group) => text.includes(`"name":"${group}"`));
  });

async function deleted(fetch: Fetch, name: string, answers: Answers): Promise<void> {
  await (await fetch(`${registration}/v1.${name}.example.com`, { method: "DELETE" })).text();
  await until(name, async () => {
    const response = await fetch(`/apis/${name}.example.com/v1`);
    await response.text();
    return response.status === 404;
  });
  for (const path of [
    `/apis/${name}.example.com`,
    `/apis/${name}.example.com/v1`,
    `/apis/${name}.example.com/v1/flunders`,
  ]) {
    answers[`deleted: GET ${path}`] = await seen(await fetch(path));
  }
}

async function seen(response: Response): Promise<Json> {
  const headers = told.flatMap((name) => (response.headers.has(name) ? [[name, response.headers.get(name)]] : []));
  const text = await response.text();
  let body: unknown = text;
  if (/json/.test(response.headers.get("content-type") ?? "")) {
    try {
      body = JSON.parse(text);
    } catch {
      // Garbage is passed on as it is.
    }
  }
  return { code: response.status, headers: Object.fromEntries(headers), body };
}

function normalized(text: string, { address }: Backings, ports: readonly number[]): string {
  let result = text.replaceAll(address, "ADDRESS");
  for (const port of ports) result = result.replaceAll(new RegExp(`\\b${port}\\b`, "g"), "PORT");
  // Which of two clocks of upstream's runs out first, and how the two clients sign in.
  return result
    .replaceAll(" (Client.Timeout exceeded while awaiting headers)", "")
    .replace(/"x-remote-(uid|extra-[^"]*)":"[^"]*",/g, "")
    .replace(/("x-remote-user":)"(oracle|kubernetes-admin)"/g, '$1"CLIENT"');
}
