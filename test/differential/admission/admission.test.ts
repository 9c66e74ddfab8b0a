/** Webhooks and policies are asked and obeyed as upstream's API server does it, and its words are the same. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { brotliDecompressSync } from "node:zlib";
import { startWireServer, type WireServer } from "../wire/server.ts";
import { answersFile } from "./answers-file.ts";
import { type Answers, answersOf } from "./conversation.ts";
import { differences } from "./differences.ts";

setDefaultTimeout(300_000);

const recorded = JSON.parse(brotliDecompressSync(readFileSync(answersFile)).toString()) as Answers;

let server: WireServer;
let own: Answers;
const folder = mkdtempSync(join(tmpdir(), "bramble-admission-"));

beforeAll(async () => {
  const auditLogPath = join(folder, "audit.log");
  const auditPolicyFile = join(import.meta.dir, "audit-policy.yaml");
  server = await startWireServer({ auditPolicyFile, auditLogPath, auditLogBatchMaxWait: 0 });
  const audited = async (): Promise<string> => {
    await server.restart();
    return readFileSync(auditLogPath, "utf8");
  };
  own = JSON.parse(JSON.stringify(await answersOf(server.target, { settle: () => Promise.resolve(), audited })));
});
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true });
});

for (const group of ["webhooks", "policies", "reviews", "refused"] as const) {
  test(`${group} are upstream's`, () => {
    expect(Object.keys(own[group])).toEqual(Object.keys(recorded[group]));
    const others = Object.entries(recorded[group]).filter(
      ([name, answer]) => differences[`${group}: ${name}`] === undefined && !Bun.deepEquals(own[group][name], answer),
    );
    expect(Object.fromEntries(others.map(([name]) => [name, own[group][name]]))).toEqual(Object.fromEntries(others));
  });
}

test("what is counted is upstream's", () => {
  expect(own.metrics).toEqual([...recorded.metrics]);
});

test("no difference is said to be where there is none", () => {
  const idle = Object.keys(differences).filter((key) => {
    const [group = "", name = ""] = key.split(": ");
    return Bun.deepEquals(own[group as "webhooks"][name], recorded[group as "webhooks"][name]);
  });
  expect(idle).toEqual([]);
});
