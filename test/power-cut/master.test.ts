import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { configMaps } from "#shared/api/resources.ts";
import { Acknowledged, absent } from "./acknowledged.ts";
import { kinds, startMaster } from "./master-process.ts";
import { type Cut, cutAt, record } from "./recording.ts";

setDefaultTimeout(3_600_000);

/** A share in every run, for each is a start of a master; BRAMBLE_POWER_CUTS=500 for the whole. */
const cuts = Math.ceil(Number(process.env["BRAMBLE_POWER_CUTS"] ?? 50) / 5);
const seed = Number(process.env["BRAMBLE_SEED"] ?? 1);

test(`a master whose power goes starts again with its cluster and what it acknowledged, at ${cuts} points`, async () => {
  const recording = await record("master-run.ts");
  expect(recording.steps.filter(({ step }) => step === "sync").length).toBeGreaterThan(50);
  await cutAt(recording, cuts, seed, look);
});

async function look(folder: string, cut: Cut): Promise<void> {
  const run = mkdtempSync(join(tmpdir(), "bramble-power-cut-run-"));
  const master = await startMaster(folder, run);
  try {
    const log = await master.log();
    if (/damaged|cannot/.test(log)) throw new Error(`the start is not clean:\n${log}`);
    const told = (what: string): string | undefined =>
      cut.notes.findLast((note) => note.startsWith(`${what} `))?.slice(what.length + 1);
    const authority = String(Bun.hash(readFileSync(join(folder, "data/pki/ca.crt"))));
    expect(authority).toBe(told("cluster") ?? authority);
    const token = readFileSync(join(folder, "data/token"), "utf8").trim();
    expect(token).toBe(told("token") ?? token);

    const { states, highest } = new Acknowledged(cut.notes.filter((note) => /^(issue|ack) /.test(note)));
    const present = new Map<string, string>();
    for (const [kind, ref] of kinds) {
      const { items } = await master.client.list(ref, { namespace: "default" });
      for (const { metadata } of items) present.set(`${kind}/${metadata.name}`, metadata.annotations?.["tag"] ?? "");
    }
    for (const [key, allowed] of states)
      expect([...allowed].map((tag) => `${key} ${tag}`)).toContain(`${key} ${present.get(key) ?? absent}`);
    const metadata = { name: "after", namespace: "default" };
    const made = await master.client.create(configMaps, { apiVersion: "v1", kind: "ConfigMap", metadata }, metadata);
    expect(Number(made.metadata.resourceVersion)).toBeGreaterThan(highest);
  } finally {
    await master.stop("SIGKILL");
    rmSync(run, { recursive: true, force: true });
  }
}
