/**
 * Many clients at real servers that are killed, frozen, cut off, split from etcd and compacted meanwhile, as etcd is killed; what
 * they were told is judged by what the store committed. BRAMBLE_HISTORIES_OPERATIONS says how many operations for each store (400),
 * BRAMBLE_HISTORIES_FAULTS how many faults, BRAMBLE_HISTORIES_SEED the first seed (1), BRAMBLE_HISTORIES_SEEDS how many runs
 * (1), BRAMBLE_HISTORIES_STORES which stores (sqlite,etcd), BRAMBLE_HISTORIES_KEEP a folder to keep the histories in. A seed
 * decides what is asked and what befalls the servers, not how that falls together in time; the promises hold however it does.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { check } from "./checker.ts";
import { faultKinds, prepare, run } from "./run.ts";
import { type StoreKind, startServers } from "./servers.ts";

setDefaultTimeout(3_600_000);

const number = (name: string, otherwise: number): number =>
  Number(process.env[`BRAMBLE_HISTORIES_${name}`] ?? otherwise);
const operations = number("OPERATIONS", 400);
const firstSeed = number("SEED", 1);
const seeds = Array.from({ length: number("SEEDS", 1) }, (_, n) => firstSeed + n);
const stores = (process.env["BRAMBLE_HISTORIES_STORES"] ?? "sqlite,etcd").split(",") as StoreKind[];
const faults = number("FAULTS", Math.max(faultKinds.length, Math.ceil(operations / 100)));
/** A folder to keep the histories in. */
const kept = process.env["BRAMBLE_HISTORIES_KEEP"];

for (const kind of stores)
  for (const seed of seeds)
    test(`seed ${seed} on ${kind}: every promise is kept`, async () => {
      const servers = await startServers(kind);
      try {
        await prepare(servers);
        const history = await run(servers, { seed, clients: 12, watchers: 6, operations, faults });
        const violations = check(history);
        if (kept) writeFileSync(`${kept}/${kind}-${seed}.json`, JSON.stringify(history));
        if (violations.length > 0) console.log(servers.log());
        console.log(
          `seed ${seed} on ${kind}: ${history.calls.length} calls, ${history.changes.length} changes, ${history.watches.length} watches`,
        );
        expect(violations.slice(0, 20)).toEqual([]);
      } finally {
        await servers.remove();
      }
    });
