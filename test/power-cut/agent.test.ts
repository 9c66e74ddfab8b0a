import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { renderDefaultCniConfig } from "#agent/network/default-cni-config.ts";
import type { KubeObject } from "#shared/api/object.ts";
import type { Log } from "#shared/client/log.ts";
import { silentLog } from "#shared/client/log.ts";
import { type SecuredServer, startSecuredServer } from "../support/secured-server.ts";
import { Acknowledged, absent } from "./acknowledged.ts";
import { cacheName, openAgentImage } from "./agent-image.ts";
import { type Cut, cutAt, record } from "./recording.ts";

setDefaultTimeout(3_600_000);

/** A share in every run; BRAMBLE_POWER_CUTS=500 for the whole. */
const cuts = Math.ceil(Number(process.env["BRAMBLE_POWER_CUTS"] ?? 100) / 5);
const seed = Number(process.env["BRAMBLE_SEED"] ?? 1);
let server: SecuredServer;
beforeAll(async () => {
  server = await startSecuredServer();
});
afterAll(() => server.stop());

test(`a board whose power goes keeps who it is and what it was told, at ${cuts} points of its writes`, async () => {
  const recording = await record("agent-run.ts", server.url, server.joinToken);
  expect(recording.steps.filter(({ step }) => step === "sync").length).toBeGreaterThan(100);
  await cutAt(recording, cuts, seed, look);
});

async function look(folder: string, cut: Cut): Promise<void> {
  const complaints: string[] = [];
  const log: Log = {
    ...silentLog,
    warn: (message) => complaints.push(message),
    error: (message) => complaints.push(message),
  };
  const joined = cut.notes.findLast((note) => note.startsWith("joined "))?.split(" ");
  // Once it has joined it needs neither master nor token; before, it joins as if nothing had been.
  const [servers, token] = joined ? [["https://127.0.0.1:1"], undefined] : [[server.url], server.joinToken];
  const { identity, serial, caches, checkpoint } = await openAgentImage(folder, servers, token, log);
  if (joined) expect([identity.nodeName, serial]).toEqual(joined.slice(1));
  expect(complaints).toEqual([]);

  const network = join(folder, "cni/99-bramble.conflist");
  const known = [0, 1, 2].map((start) => renderDefaultCniConfig({ podCIDRs: [`10.42.${start}.0/24`] }));
  // Absent, the agent writes it anew; half of one would be no network.
  if (existsSync(network)) expect(known).toContain(readFileSync(network, "utf8"));

  const { states } = new Acknowledged(cut.notes);
  const tagsOf = (kind: string, objects: readonly KubeObject[]): [string, string][] =>
    objects.map(({ metadata }) => [`${kind}/${metadata.name}`, metadata.annotations?.["tag"] ?? ""]);
  const services = (await caches.load(cacheName)) ?? [];
  const present = new Map([
    ...tagsOf("pods", await checkpoint.load("pods")),
    ...tagsOf("secrets", await checkpoint.load("secrets")),
    ...services.map(({ metadata }): [string, string] => ["caches/services", metadata.annotations?.["tag"] ?? ""]),
  ]);
  expect(complaints).toEqual([]);
  for (const [key, allowed] of states)
    expect([...allowed].map((tag) => `${key} ${tag}`)).toContain(`${key} ${present.get(key) ?? absent}`);
  await caches.stop();
}
