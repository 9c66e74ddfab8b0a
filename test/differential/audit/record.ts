/**
 * Records upstream's audit events:
 *   UPSTREAM_FLAGS="--audit-policy-file=policy.yaml --audit-log-path=DIR/audit.log" ../upstream.sh DIR
 *   bun record.ts DIR
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync } from "node:zlib";
import { eventsFile } from "./events-file.ts";
import { asks, comparable } from "./requests.ts";

const [folder = ""] = process.argv.slice(2);
const read = (name: string): string => readFileSync(join(folder, name), "utf8").trim();
const log = (): string[] =>
  read("audit.log")
    .split("\n")
    .filter((line) => line.includes('"userAgent":"audit"'));

for (const { method, path, headers, body, type = "application/json" } of asks) {
  const response = await fetch(read("url") + path, {
    method,
    headers: { authorization: `Bearer ${read("token")}`, "content-type": type, "user-agent": "audit", ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    tls: { ca: read("ca.crt") },
  } as RequestInit);
  await response.text();
  // Its authoriser hears of roles a moment later.
  await Bun.sleep(100);
}
await Bun.sleep(1000);
writeFileSync(eventsFile, brotliCompressSync(JSON.stringify(log().map(comparable))));
