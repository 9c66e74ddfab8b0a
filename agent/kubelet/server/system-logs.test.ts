import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { StatusError } from "#shared/api/errors.ts";
import { serveSystemLogs } from "./system-logs.ts";

let root: string;
let server: Server;
let base: string;
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "system-logs-"));
  mkdirSync(join(root, "log/pods"), { recursive: true });
  writeFileSync(join(root, "log/syslog"), "a line\n");
  writeFileSync(join(root, "log/empty"), "");
  writeFileSync(join(root, "secret"), "secret");
  symlinkSync("syslog", join(root, "log/<link>"));
  server = createServer((request, response) => {
    const path = decodeURIComponent((request.url ?? "").slice("/logs".length));
    serveSystemLogs(join(root, "log"), path, response).catch((error: unknown) =>
      response.writeHead(error instanceof StatusError ? error.code : 500).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/logs`;
});
afterAll(() => {
  server.close();
  rmSync(root, { recursive: true });
});

test("files, folders and links are served; nothing outside is", async () => {
  expect(await (await fetch(`${base}/syslog`)).text()).toBe("a line\n");
  expect(await (await fetch(`${base}/empty`)).text()).toBe("");
  expect(await (await fetch(`${base}/%3Clink%3E`)).text()).toBe("a line\n");
  const listing = await (await fetch(`${base}/`)).text();
  expect(listing).toContain('<a href="pods/">pods/</a>');
  expect(listing).toContain('<a href="%3Clink%3E">&lt;link&gt;</a>');
  expect((await fetch(`${base}/pods`, { redirect: "manual" })).headers.get("location")).toBe("pods/");
  expect((await fetch(`${base}/absent`)).status).toBe(404);
  expect((await fetch(`${base}/..%2Fsecret`)).status).toBe(400);
});
