/** Writes to objects that nobody could create now are answered as by upstream's API server v1.35.4 (recorded by record.ts). */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { differing } from "../wire/comparison.ts";
import { loadAnswers } from "../wire/recording.ts";
import { sendGroup } from "../wire/request.ts";
import { startWireServer, type WireServer } from "../wire/server.ts";
import { world } from "../wire/world.ts";
import { answersFile } from "./answers-file.ts";
import { differences } from "./differences.ts";
import { ownStore } from "./own-store.ts";
import { casesOf, kinds } from "./requests.ts";
import { seed } from "./seeding.ts";

const recorded = loadAnswers(answersFile);
let server: WireServer;
beforeAll(async () => {
  server = await startWireServer();
  await sendGroup(server.target, world, async () => undefined);
});
afterAll(() => server.stop());

describe("writes to objects that could not be created", () => {
  for (const kind of kinds) {
    const cases = casesOf(kind).filter(({ writes }) => writes.some(({ name }) => recorded(name)));
    const writes = cases.flatMap((each) => each.writes);
    test(`${kind.sample} (${writes.length})`, async () => {
      await seed(server.target, ownStore(server.store), kind, cases);
      const all = await differing(server.target, { name: kind.sample, requests: writes }, recorded);
      const found = all.filter(({ name }) => !differences.some(({ names }) => names.test(name)));
      const by = (side: "upstream" | "ours"): object =>
        Object.fromEntries(found.map((each) => [each.name, each[side]]));
      expect(by("ours")).toEqual(by("upstream"));
    });
  }
});
