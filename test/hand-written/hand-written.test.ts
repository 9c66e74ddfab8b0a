/** What a hand wrote into the store, in place of objects of every kind: the API server starts over it, serves all else, says what it
 *  cannot read, and lets it be deleted. */
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { StatusError } from "#shared/api/errors.ts";
import type { HttpClient } from "#shared/client/http-client.ts";
import { until } from "#shared/testing/until.ts";
import { openSqliteStore } from "../../master/store/sqlite-store.ts";
import { ServerProcess } from "../fuzz/server-process.ts";
import { type OddValue, oddValues } from "./odd-values.ts";

setDefaultTimeout(600_000);

const server = new ServerProcess();
afterAll(() => server.remove());
const namespace = "odd";
let client: HttpClient | undefined;

async function codeOf(
  method: "GET" | "POST" | "DELETE",
  path: string,
  body?: object,
): Promise<{ code: number; message: string }> {
  client ??= server.client();
  try {
    await client.raw({ method, path, body });
    return { code: 200, message: "" };
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    return { code: error.code, message: error.message };
  }
}

async function put(values: readonly Pick<OddValue, "key" | "text">[]): Promise<void> {
  const store = await openSqliteStore({ path: server.database });
  for (const { key, text } of values) await store.create(key, text);
  await store.close();
}

test("an API server starts over objects that nobody could create, and each of them can be deleted", async () => {
  await server.start();
  await server.client().raw({
    method: "POST",
    path: "/api/v1/namespaces",
    body: { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } },
  });
  await server.stop();
  const values: OddValue[] = [];
  for await (const value of oddValues(namespace)) values.push(value);
  await put([
    ...values,
    { key: "/registry/configmaps/torn/half", text: '{"apiVersion":"v1","kind":"ConfigMap","metad' },
  ]);
  await server.start();
  const map = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "ordinary" } };
  expect(await codeOf("POST", "/api/v1/namespaces/default/configmaps", map)).toEqual({ code: 200, message: "" });

  const faults: string[] = [];
  let unreadable = 0;
  const check = async ({ path, key, kind, how }: OddValue): Promise<void> => {
    const read = await codeOf("GET", path);
    const isUnreadable = read.code === 500 && read.message.includes(`corrupt object, Code: 7, Key: ${key},`);
    if (!isUnreadable && read.code !== 200) faults.push(`${kind} ${how}: GET ${read.code} ${read.message}`);
    if (isUnreadable) {
      unreadable += 1;
      const asked = how === "half" ? await codeOf("DELETE", path) : read;
      if (asked.code !== 500) faults.push(`${kind} ${how}: DELETE ${asked.code} ${asked.message}`);
    }
    const query = isUnreadable ? "ignoreStoreReadErrorWithClusterBreakingPotential=true" : "gracePeriodSeconds=0";
    const removed = await codeOf("DELETE", `${path}?${query}`);
    if (removed.code !== 200) faults.push(`${kind} ${how}: DELETE ${removed.code} ${removed.message}`);
    if (isUnreadable && !said.includes(`${key} in the store is no object that can be read, and is left out: `))
      faults.push(`${kind} ${how}: nothing is said of it`);
  };
  const said = server.log;
  // One after the other: the largest keep a server busy for most of a second, and on a busy machine for many; of several at once the last
  // would wait longer than a request may.
  for (const value of values) await check(value);
  expect(faults.join("\n")).toBe("");
  expect(unreadable).toBeGreaterThan(values.length / 4);
  // What the server itself writes at its start was refused while such objects stood in the way, and is tried again.
  await until("all that the start comes to", async () => (await codeOf("GET", "/readyz")).code === 200);
});

test("others of a collection are listed and deleted, and a delete of all says what is left", async () => {
  const maps = "/api/v1/namespaces/torn/configmaps";
  await server.client().raw({
    method: "POST",
    path: "/api/v1/namespaces",
    body: { apiVersion: "v1", kind: "Namespace", metadata: { name: "torn" } },
  });
  const whole = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "whole" } };
  expect((await codeOf("POST", maps, whole)).code).toBe(200);
  const names = async (): Promise<string[]> => {
    const { items } = (await server.client().raw({ method: "GET", path: maps })) as {
      items: { metadata: { name: string } }[];
    };
    return items.map(({ metadata }) => metadata.name);
  };
  expect(await names()).toEqual(["whole"]);
  const corrupt = "corrupt object, Code: 7, Key: /registry/configmaps/torn/half,";
  const refused = await codeOf("DELETE", maps);
  expect(refused).toMatchObject({ code: 500, message: expect.stringContaining(corrupt) });
  expect(await names()).toEqual([]);
  const ignoring = "ignoreStoreReadErrorWithClusterBreakingPotential=true";
  expect((await codeOf("DELETE", `${maps}/half?${ignoring}`)).code).toBe(200);
  expect(await codeOf("DELETE", maps)).toEqual({ code: 200, message: "" });
});
