/** Odd requests are answered as upstream's API server v1.35.4 answers them (recorded by record.ts), but for differences.ts. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { loadAnswers } from "../wire/recording.ts";
import { startWireServer, type WireServer } from "../wire/server.ts";
import { answersTo, prepare } from "./comparison.ts";
import { differences } from "./differences.ts";
import type { ComparedAnswer } from "./raw-answer.ts";
import { groups } from "./requests.ts";

setDefaultTimeout(300_000);

const recorded = loadAnswers<ComparedAnswer>(join(import.meta.dir, "answers.json.br"));
let server: WireServer;
beforeAll(async () => {
  server = await startWireServer();
  await prepare(server.target);
});
afterAll(() => server.stop());

for (const group of groups) {
  test(`${group.name} (${group.requests.length})`, async () => {
    const failures: unknown[] = [];
    const answers = await answersTo(server.target, group, (failure) => failures.push(failure));
    expect(failures).toEqual([]);
    // No two requests of one name.
    expect(answers.size).toBe(group.requests.length);
    const differing = group.requests.flatMap((request) => {
      const upstream = recorded(request.name);
      const ours = answers.get(request.name);
      if (!upstream || !ours) return [{ name: request.name, upstream, ours }];
      if (Bun.deepEquals(upstream, ours)) return [];
      if (differences.some(({ explains }) => explains(request, upstream, ours))) return [];
      return [{ name: request.name, upstream, ours }];
    });
    const by = (side: "upstream" | "ours"): object =>
      Object.fromEntries(differing.map((each) => [each.name, each[side]]));
    expect(by("ours")).toEqual(by("upstream"));
  });
}
