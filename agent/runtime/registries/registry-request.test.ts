import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RegistryRequests } from "./registry-request.ts";

const stops: (() => unknown)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  stops.push(() => server.closeAllConnections());
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  stops.push(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A registry whose tokens are to be had at a realm. Gives what it was shown. */
async function registry(realm: string) {
  const shown: (string | undefined)[] = [];
  const url = await serve((request, response) => {
    shown.push(request.headers.authorization);
    response.writeHead(401, { "www-authenticate": `Bearer realm="${realm}",service="here"` }).end();
  });
  const endpoint = { url, host: new URL(url).host, namespace: undefined, auth: undefined, tls: undefined };
  return { shown, ask: () => new RegistryRequests().ask(endpoint, "/v2/a/manifests/1", "GET", {}) };
}

test("a token comes from where the registry says", async () => {
  const realm = await serve((_, response) => void response.end('{"token":"mine"}'));
  const { shown, ask } = await registry(realm);
  expect((await ask()).response.status).toBe(401);
  expect(shown).toEqual([undefined, "Bearer mine"]);
});

test("but from no file of the board", async () => {
  const folder = mkdtempSync(join(tmpdir(), "bramble-realm-"));
  stops.push(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "secret.json"), '{"token":"of the board"}');
  const { shown, ask } = await registry(`file://${folder}/secret.json`);
  expect((await ask()).response.status).toBe(401);
  expect(shown).toEqual([undefined]);
});

test("and of one that has no end nothing is kept", async () => {
  const realm = await serve((_, response) => {
    const more = (): void => {
      while (!response.destroyed && response.write(Buffer.alloc(64 * 1024, " ")));
    };
    response.on("drain", more);
    more();
  });
  const { ask } = await registry(realm);
  await expect(ask()).rejects.toThrow("too long for a token");
});
