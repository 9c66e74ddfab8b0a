/** Plays scenarios to upstream's control plane and keeps what its controllers do, for the record.ts of a suite. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Client } from "#shared/client/client.ts";
import { HttpClient } from "#shared/client/http-client.ts";
import { saveAnswers } from "../wire/recording.ts";
import { openStage, quiet } from "./play.ts";
import { allSnapshots, answersFile, keyOf } from "./recording.ts";
import { type Snapshot, snapshotOf } from "./snapshot.ts";
import type { Scenario } from "./world.ts";

/** Longer than any controller waits before it looks at what has changed. */
const quiet_ms = 6_000;
const atOnce = 24;

/** A client of the servers that upstream.sh has started in a folder. */
export function upstreamClient(folder: string): Client {
  const read = (name: string): string => readFileSync(join(folder, name), "utf8").trim();
  const credentials = { ca: read("ca.crt"), token: read("token") };
  return new HttpClient({ servers: [read("url")], credentials: () => credentials, userAgent: "scenario" });
}

/** Records all scenarios, or only some by their names, and forgets what is not played any more. Gives those that failed.
 *  @param folder of the suite */
export async function recordScenarios(
  client: Client,
  scenarios: readonly Scenario[],
  folder: string,
  only: readonly string[],
): Promise<readonly string[]> {
  const file = join(folder, answersFile);
  const answers = new Map<string, Snapshot>(existsSync(file) ? allSnapshots(folder) : []);
  const stage = await openStage(client);
  const left = scenarios.filter(({ name }) => only.length === 0 || only.includes(name));
  const failed: string[] = [];
  const record = async (scenario: Scenario): Promise<void> => {
    const prefix = keyOf(scenario, "");
    for (const key of answers.keys()) if (key.startsWith(prefix)) answers.delete(key);
    await stage.play(scenario, async (room, label) => {
      await quiet(room, quiet_ms);
      answers.set(keyOf(scenario, label), snapshotOf(room, scenario.leavesOut));
    });
    console.log("recorded", scenario.name);
  };
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (let scenario = left.shift(); scenario; scenario = left.shift())
        await record(scenario).catch((error: unknown) => {
          failed.push(`${scenario?.name}: ${error instanceof Error ? error.message : error}`);
          console.log("failed", failed.at(-1));
        });
    }),
  );
  stage.stop();
  const played = new Set(scenarios.map(({ name }) => name));
  saveAnswers(new Map([...answers].filter(([key]) => played.has(key.split(": ")[0] ?? ""))), file);
  return failed;
}
