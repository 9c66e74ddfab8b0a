/** Puts objects into a store behind its API server's back. */
import type { WireAnswer } from "../wire/answer.ts";
import { type Json, sendGroup, type Target, type WireRequest } from "../wire/request.ts";
import type { Held } from "../wire/world.ts";
import type { StoredCase } from "./requests.ts";

export interface RawStore {
  keys(): Promise<readonly string[]>;
  put(values: readonly (readonly [key: string, text: string])[]): Promise<void>;
}

/** Seeds the cases of a kind beside its object that is there, and returns when each can be read. */
export async function seed(
  target: Target,
  store: RawStore,
  { path }: Held,
  cases: readonly StoredCase[],
): Promise<void> {
  const live = await read(target, path);
  const { resourceVersion: _, managedFields: __, ...metadata } = live["metadata"] as Json & { name: string };
  const key = await keyOf(store, path, String(metadata.name));
  const beside = key.slice(0, key.lastIndexOf("/") + 1);
  await store.put(
    cases.map(({ objectName, alter }) => [
      beside + objectName,
      JSON.stringify(alter({ ...live, metadata: { ...metadata, name: objectName } })),
    ]),
  );
  const collection = path.slice(0, path.lastIndexOf("/") + 1);
  for (const { objectName } of cases) await read(target, collection + objectName);
}

/** What both stores put at the end of a key; a name of an object that is there is of no other. */
async function keyOf(store: RawStore, path: string, name: string): Promise<string> {
  const parts = path.split("/");
  const [, namespace] = /\/namespaces\/([^/]+)\/[^/]+\//.exec(path) ?? [];
  const plural = parts.at(-2) ?? "";
  const end = `/${namespace === undefined ? "" : `${namespace}/`}${name}`;
  const found = (await store.keys()).filter((key) => key.endsWith(end));
  const [key = ""] = found.length > 1 ? found.filter((each) => each.includes(`/${plural}/`)) : found;
  if (key === "") throw new Error(`${path} has no key in the store: ${found}`);
  return key;
}

const PATIENCE_MS = 10_000;

async function read(target: Target, path: string): Promise<Json> {
  const end = performance.now() + PATIENCE_MS;
  for (;;) {
    const answers: [number, Json][] = [];
    const request: WireRequest = { name: path, method: "GET", path };
    await sendGroup(target, { name: path, requests: [request] }, async (_, __, response) => {
      if (response) answers.push([response.status, (await response.json()) as Json]);
    });
    const [[code, body] = [0, {}]] = answers;
    if (code === 200) return body;
    if (performance.now() > end) throw new Error(`${path}: ${code} ${JSON.stringify(body)}`);
    await Bun.sleep(20);
  }
}

export type Answers = Map<string, WireAnswer>;
