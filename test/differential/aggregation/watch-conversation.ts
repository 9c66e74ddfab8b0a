/** What becomes of watches on their way to aggregated servers and back: what is read before a stream goes on, and its end. */
import { until } from "#shared/testing/until.ts";
import type { Backings } from "./backing.ts";
import type { Json } from "./cases.ts";
import { type Answers, condition, createNamespace, type Fetch, register } from "./conversation.ts";
import { streamers, type WatchedState, watched } from "./watch-servers.ts";

const name = "watched";
const group = `${name}.example.com`;
/** Trailers stay behind, and so does what announces them. */
const told = ["content-type", "location", "retry-after", "www-authenticate", "cache-control", "connection"];
const queries = ["watch=true", "watch=1&timeoutSeconds=1&allowWatchBookmarks=true&resourceVersion=0"];

export async function watchAnswersOf(fetch: Fetch, backings: Backings): Promise<Answers> {
  const answers: Answers = {};
  const state: WatchedState = { waiting: new Map(), left: new Set() };
  await createNamespace(fetch);
  const behaviour = { kind: "https", answer: watched(group, state) } as const;
  const spec = (): Json => ({ insecureSkipTLSVerify: true });
  const port = await register(fetch, backings, { name, behaviour, spec });
  await condition(fetch, `v1.${group}`);
  for (const stream of Object.keys(streamers))
    for (const query of queries) answers[`${stream} ${query}`] = await watchedOf(fetch, state, stream, query);
  answers["a client that goes"] = await abandoned(fetch, state);
  const text = JSON.stringify(answers).replaceAll(backings.address, "ADDRESS");
  return JSON.parse(text.replaceAll(new RegExp(`\\b${port}\\b`, "g"), "PORT")) as Answers;
}

async function watchedOf(fetch: Fetch, { waiting }: WatchedState, stream: string, query: string): Promise<Json> {
  waiting.delete(stream);
  const asked = fetch(`/apis/${group}/v1/${stream}?${query}`, { headers: { accept: "application/json;stream=watch" } });
  const goOn = await until(stream, () => waiting.get(stream));
  // This one says nothing before it may go on.
  if (stream === "slow") goOn();
  let response: Response;
  try {
    response = await asked;
  } catch {
    return { broken: "before the headers" };
  }
  const headers = told.flatMap((each) => (response.headers.has(each) ? [[each, response.headers.get(each)]] : []));
  const answer = { code: response.status, headers: Object.fromEntries(headers) };
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  const isWaiting = response.status === 200 && !/^(slow|empty|headersfirst)$/.test(stream);
  const first = isWaiting ? await read(reader, false) : { text: "" };
  goOn();
  const rest = await read(reader, true);
  return { ...answer, before: first.text, after: rest.text, end: rest.end };
}

type Reader = ReadableStreamDefaultReader<Uint8Array>;

/** All that there is, or what has come first. */
async function read(reader: Reader, isAll: boolean): Promise<{ text: string; end?: string }> {
  const parts: Uint8Array[] = [];
  const textOf = (): string => Buffer.concat(parts).toString("latin1");
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (value) parts.push(value);
      if (done) return { text: textOf(), end: "whole" };
      if (!isAll) return { text: textOf() };
    }
  } catch {
    return { text: textOf(), end: "broken" };
  }
}

/** Whether a server learns that nobody watches any more. */
async function abandoned(fetch: Fetch, { waiting, left }: WatchedState): Promise<Json> {
  waiting.delete("plain");
  left.delete("plain");
  const client = new AbortController();
  const response = await fetch(`/apis/${group}/v1/plain?watch=true`, { signal: client.signal });
  await (response.body as ReadableStream<Uint8Array>).getReader().read();
  client.abort();
  return { learns: await until("the end of a watch", () => left.has("plain") || undefined) };
}
