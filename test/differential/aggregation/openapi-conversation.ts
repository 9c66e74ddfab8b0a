/** What clients read of aggregated servers in the OpenAPI documents of the one that aggregates. */
import { until } from "#shared/testing/until.ts";
import type { Backings } from "./backing.ts";
import type { Json } from "./cases.ts";
import { type Answers, condition, createNamespace, type Fetch, register } from "./conversation.ts";
import { type ServerState, servers } from "./openapi-servers.ts";

type Members = Record<string, Json>;

interface Document {
  readonly info: Json;
  readonly paths: Members;
  readonly definitions: Members;
  readonly parameters: Members;
}

const groupOf = (name: string): string => `${name}.example.com`;
const published = servers.filter(({ publishes }) => publishes).map(({ name }) => name);
const told = ["content-type", "location", "x-own", "cache-control", "etag", "last-modified", "accept-ranges"];
const protobufOf = (version: string): string => `application/com.github.proto-openapi.spec.${version}.v1.0+protobuf`;

export async function openApiAnswersOf(fetch: Fetch, backings: Backings): Promise<Answers> {
  const answers: Answers = {};
  await createNamespace(fetch);
  const before = await documentOf(fetch);
  const states = new Map<string, ServerState>();
  const ports: number[] = [];
  for (const { name, answer, groupPriority = 2000 } of servers) {
    const state: ServerState = { asked: [], changed: false };
    states.set(name, state);
    const spec = (): Json => ({ insecureSkipTLSVerify: true, groupPriorityMinimum: groupPriority });
    const behaviour = { kind: "https", answer: answer(before.definitions, state) } as const;
    ports.push(await register(fetch, backings, { name, behaviour, spec }));
  }
  for (const { name } of servers) await condition(fetch, `v1.${groupOf(name)}`);
  await until("documents", async () => {
    const { paths } = await documentOf(fetch);
    const v2 = JSON.stringify(Object.keys(paths));
    const v3 = JSON.stringify(await indexOf(fetch));
    return published.every((name) => v2.includes(groupOf(name)) && v3.includes(groupOf(name)));
  });
  Object.assign(answers, additions("all", before, await documentOf(fetch)));
  await versionedAnswers(fetch, answers);
  await formAnswers(fetch, answers);
  for (const [name, { asked }] of states) answers[`asked of ${name}`] = distinct(asked.filter(isFirst));
  await changed(fetch, states.get("modern") as ServerState);
  Object.assign(answers, additions("changed", before, await documentOf(fetch), "modern"));
  await removed(fetch, "preferred");
  const { "removed: kinds": _, ...left } = additions("removed", before, await documentOf(fetch));
  // Upstream goes on telling of kinds that are gone.
  Object.assign(answers, left);
  const gone = groupOf("preferred");
  await until("removal", async () => !JSON.stringify(await indexOf(fetch)).includes(gone));
  answers["removed: index"] = await indexOf(fetch);
  answers["removed: document"] = await seen(await fetch(`/openapi/v3/apis/${gone}/v1`));
  let text = JSON.stringify(answers).replaceAll(backings.address, "ADDRESS");
  for (const port of ports) text = text.replaceAll(new RegExp(`\\b${port}\\b`, "g"), "PORT");
  text = text.replace(/\b[0-9A-F]{128}\b/g, "HASH").replace(/"(oracle|kubernetes-admin)"/g, '"CLIENT"');
  return JSON.parse(text) as Answers;
}

async function documentOf(fetch: Fetch): Promise<Document> {
  return (await (await fetch("/openapi/v2")).json()) as Document;
}

/** What the index has of others. */
async function indexOf(fetch: Fetch): Promise<Json> {
  const { paths } = (await (await fetch("/openapi/v3")).json()) as { paths: Json };
  return Object.fromEntries(Object.entries(paths).filter(([name]) => name.includes("example.com")));
}

/** Members that a document did not have before, and the kinds that a model of it is of besides. */
function additions(when: string, before: Document, after: Document, only = ""): Answers {
  const news = (one: Members, other: Members): Members =>
    Object.fromEntries(Object.entries(other).filter(([name]) => !(name in one) && name.includes(only)));
  const kinds = after.definitions["io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"]?.[
    "x-kubernetes-group-version-kind"
  ] as { group: string }[];
  return {
    [`${when}: info`]: after.info,
    [`${when}: paths`]: news(before.paths, after.paths),
    [`${when}: definitions`]: news(before.definitions, after.definitions),
    [`${when}: parameters`]: news(before.parameters, after.parameters),
    [`${when}: kinds`]: kinds.filter(({ group }) => group.includes("example.com")),
  };
}

async function versionedAnswers(fetch: Fetch, answers: Answers): Promise<void> {
  const index = await indexOf(fetch);
  answers["index"] = index;
  const names = [
    ...Object.keys(index),
    ...["silent-about-it", "unreadable", "nobody"].map((name) => `apis/${groupOf(name)}/v1`),
  ];
  for (const name of names) {
    // Each of several servers may be the one that is asked for this one.
    if (name.includes("elsewhere")) continue;
    for (const query of ["", "?hash=OTHER"]) {
      answers[`GET ${name}${query}`] = await seen(await fetch(`/openapi/v3/${name}${query}`));
    }
  }
  const legacy = `/openapi/v3/apis/${groupOf("legacy")}/v1`;
  const tag = (await fetch(legacy)).headers.get("etag") ?? "";
  const asked: [string, Record<string, string>][] = [
    ["protobuf", { accept: protobufOf("v3") }],
    ["nothing there is", { accept: "text/html" }],
    ["what is known", { "if-none-match": tag }],
    ["a part", { range: "bytes=0-9" }],
  ];
  for (const [what, headers] of asked) {
    const { body: _, ...rest } = await seen(await fetch(legacy, { headers }));
    answers[`legacy: ${what}`] = rest;
  }
}

async function formAnswers(fetch: Fetch, answers: Answers): Promise<void> {
  const protobuf = await (await fetch("/openapi/v2", { headers: { accept: protobufOf("v2") } })).text();
  answers["in protobuf"] = published.map((name) => protobuf.includes(`/apis/${groupOf(name)}/v1/`));
  const tag = (await fetch("/openapi/v2")).headers.get("etag") ?? "";
  answers["known"] = (await fetch("/openapi/v2", { headers: { "if-none-match": tag } })).status;
}

/** A server is asked again at once when its APIService changes. */
async function changed(fetch: Fetch, state: ServerState): Promise<void> {
  state.changed = true;
  await change(fetch, "PATCH", "modern", { metadata: { annotations: { changed: "yes" } } });
  await until("change", async () => "Later" in (await documentOf(fetch)).definitions);
}

async function removed(fetch: Fetch, name: string): Promise<void> {
  await change(fetch, "DELETE", name);
  const isGone = (path: string): boolean => !path.includes(groupOf(name));
  await until("removal", async () => Object.keys((await documentOf(fetch)).paths).every(isGone));
}

async function change(fetch: Fetch, method: string, name: string, body?: Json): Promise<void> {
  const response = await fetch(`/apis/apiregistration.k8s.io/v1/apiservices/v1.${groupOf(name)}`, {
    method,
    headers: { "content-type": "application/merge-patch+json" },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  if (!response.ok) throw new Error(await response.text());
  await response.text();
}

async function seen(response: Response): Promise<Json> {
  const headers = told.flatMap((name) => (response.headers.has(name) ? [[name, shown(name, response)]] : []));
  const text = await response.text();
  return { code: response.status, headers: Object.fromEntries(headers), body: bodyOf(text) };
}

function bodyOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text.replaceAll(/[^\x20-\x7e\n]+/g, "…");
  }
}

const shown = (name: string, { headers }: Response): string => {
  const value = headers.get(name) ?? "";
  return name === "last-modified" ? value.replace(/.* /, "") : value;
};

/** Servers are asked again after a while. */
const isFirst = (asked: Json): boolean => !("if-none-match" in asked);

/** Each thing that was asked once: how often depends on who is how busy. */
const distinct = (asked: readonly Json[]): Json[] =>
  [...new Set(asked.map((each) => JSON.stringify(each)))].sort().map((each) => JSON.parse(each) as Json);
