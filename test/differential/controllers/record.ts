/**
 * Plays the scenarios to upstream's control plane and writes what its controllers do:
 *   UPSTREAM_ADMISSION=default UPSTREAM_CONTROLLERS=1 test/differential/upstream.sh DIR
 *   bun test/differential/controllers/record.ts DIR; test/differential/upstream.sh DIR stop
 * Names of scenarios after DIR record those alone.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { HttpClient } from "#shared/client/http-client.ts";
import { saveAnswers } from "../wire/recording.ts";
import { openStage, quiet } from "./play.ts";
import { allSnapshots, file, keyOf } from "./recording.ts";
import { scenarios } from "./scenarios.ts";
import { type Snapshot, snapshotOf } from "./snapshot.ts";

/** Longer than any controller waits before it looks at what has changed. */
const quiet_ms = 6_000;
const atOnce = 24;

const [folder = "", ...only] = process.argv.slice(2);
const read = (name: string): string => readFileSync(join(folder, name), "utf8").trim();
const credentials = { ca: read("ca.crt"), token: read("token") };
const client = new HttpClient({ servers: [read("url")], credentials: () => credentials, userAgent: "scenario" });
const answers = new Map<string, Snapshot>(existsSync(file) ? allSnapshots() : []);
const stage = await openStage(client);
const left = scenarios.filter(({ name }) => only.length === 0 || only.includes(name));
const failed: string[] = [];
await Promise.all(
  Array.from({ length: atOnce }, async () => {
    for (let scenario = left.shift(); scenario; scenario = left.shift()) {
      const current = scenario;
      const prefix = keyOf(current, "");
      for (const key of answers.keys()) if (key.startsWith(prefix)) answers.delete(key);
      try {
        await stage.play(current, async (room, label) => {
          await quiet(room, quiet_ms);
          answers.set(keyOf(current, label), snapshotOf(room));
        });
        console.log("recorded", current.name);
      } catch (error) {
        failed.push(`${current.name}: ${error instanceof Error ? error.message : error}`);
        console.log("failed", failed.at(-1));
      }
    }
  }),
);
stage.stop();
// What is not played any more is forgotten.
const played = new Set(scenarios.map(({ name }) => name));
saveAnswers(new Map([...answers].filter(([key]) => played.has(key.split(": ")[0] ?? ""))), file);
process.exit(failed.length > 0 ? 1 : 0);
