import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ApiResponse, RequestContext } from "../apiserver/request.ts";
import { distPaths, distPrefix } from "./dist-paths.ts";

const folder = mkdtempSync(join(tmpdir(), "bramble-dist-"));
writeFileSync(join(folder, "install.sh"), "#!/bin/sh\n");
writeFileSync(join(folder, "bramble-linux-arm64"), "0123456789");
writeFileSync(join(folder, ".hidden"), "x");
mkdirSync(join(folder, "folder"));
afterAll(() => rmSync(folder, { recursive: true }));

async function ask(
  path: string,
  options: { range?: string; method?: string } = {},
): Promise<{ text: string; answer: ApiResponse }> {
  const { exact, prefixes } = distPaths(folder);
  const handler = exact[path] ?? prefixes[distPrefix];
  const headers = options.range === undefined ? {} : { range: options.range };
  const answer = await handler?.({
    method: options.method ?? "GET",
    headers,
    info: { path },
  } as unknown as RequestContext);
  if (answer?.kind !== "bytes" || typeof answer.body === "string" || answer.body instanceof Uint8Array)
    throw new Error("expected a stream");
  return { answer, text: Buffer.concat(await Array.fromAsync(answer.body)).toString() };
}

test("install.sh and the binaries are handed out", async () => {
  expect((await ask("/install.sh")).text).toBe("#!/bin/sh\n");
  expect(await ask(`${distPrefix}bramble-linux-arm64`)).toMatchObject({
    text: "0123456789",
    answer: { code: 200, headers: { "content-length": "10" } },
  });
});

test("a download is taken up where it was cut", async () => {
  const { text, answer } = await ask(`${distPrefix}bramble-linux-arm64`, { range: "bytes=7-" });
  expect(text).toBe("789");
  expect(answer).toMatchObject({ code: 206, headers: { "content-range": "bytes 7-9/10", "content-length": "3" } });
});

test("HEAD tells the size alone", async () => {
  expect(await ask(`${distPrefix}bramble-linux-arm64`, { method: "HEAD" })).toMatchObject({ text: "" });
});

test.each(["nothing", ".hidden", "folder", "../secret", "a/b", ""])("%p is not there", async (name) => {
  await expect(ask(distPrefix + name)).rejects.toMatchObject({ code: 404 });
});

test("nobody writes", async () => {
  await expect(ask("/install.sh", { method: "PUT" })).rejects.toMatchObject({ code: 405 });
});
