import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KubeconfigWebhook, webhookUrl } from "./kubeconfig-webhook.ts";

test.each([
  ["https://hooks.example/authorize/", false, "https://hooks.example/authorize?timeout=30s"],
  ["https://hooks.example//a/../b?x=1#y", false, "https://hooks.example/b?timeout=30s"],
  ["https://hooks.example", false, "https://hooks.example/?timeout=30s"],
  ["hooks.example:8443", true, "https://hooks.example:8443/?timeout=30s"],
  ["hooks.example:8080", false, "http://hooks.example:8080/?timeout=30s"],
])("the server %s of a kubeconfig", (given, isSecured, expected) => {
  expect(webhookUrl(given, isSecured, 30_000)).toBe(expected);
});

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "kubeconfig-webhook-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A server that answers every path with a redirect to where it says; undefined: for good. */
function serve(next: (path: string) => string | undefined) {
  const seen: string[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const { pathname } = new URL(request.url);
      seen.push(`${request.method} ${pathname} ${await request.text()} ${request.headers.get("authorization")}`);
      const location = next(pathname);
      return location ? new Response(null, { status: 307, headers: { location } }) : Response.json({ kind: "R" });
    },
  });
  return { seen, url: `http://127.0.0.1:${server.port}`, stop: () => server.stop(true) };
}

function webhookAt(server: string): KubeconfigWebhook {
  const file = join(folder, "webhook.kubeconfig");
  const named = (name: string, more: object): object[] => [{ name, ...more }];
  const config = {
    apiVersion: "v1",
    kind: "Config",
    "current-context": "c",
    contexts: named("c", { context: { cluster: "c", user: "u" } }),
    clusters: named("c", { cluster: { server } }),
    users: named("u", { user: { token: "secret" } }),
  };
  writeFileSync(file, JSON.stringify(config));
  return new KubeconfigWebhook("test", file, 10_000);
}

test("a webhook that is elsewhere is asked there, without what is for the first server", async () => {
  const other = serve(() => undefined);
  const first = serve((path) => (path === "/a" ? "/b" : `${other.url}/c`));
  expect(await webhookAt(`${first.url}/a/`).post("text")).toMatchObject({ status: 200, body: '{"kind":"R"}' });
  expect(first.seen).toEqual(["POST /a text Bearer secret", "POST /b text Bearer secret"]);
  expect(other.seen).toEqual(["POST /c text null"]);
  for (const each of [first, other]) each.stop();
});

test("round in circles it is not followed for ever", async () => {
  const server = serve(() => "/a");
  const { why } = await webhookAt(`${server.url}/a`).post("text");
  expect(why).toBe(`Post "${server.url}/a": stopped after 10 redirects`);
  expect(server.seen).toHaveLength(10);
  server.stop();
});
