/** Lists that several managers write come out as in upstream's API server v1.35.4 (recorded by record.ts), but for differences.ts. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { differing } from "../wire/comparison.ts";
import { loadAnswers } from "../wire/recording.ts";
import { startWireServer, type WireServer } from "../wire/server.ts";
import { answersFile } from "./answers-file.ts";
import { differences } from "./differences.ts";
import { groups } from "./requests.ts";

const recorded = loadAnswers(answersFile);
let server: WireServer;
beforeAll(async () => {
  server = await startWireServer();
});
afterAll(() => server.stop());

test("no two requests are recorded under one name", () => {
  const names = groups.flatMap(({ requests }) => requests.map(({ name }) => name));
  expect(new Set(names).size).toBe(names.length);
});

describe("lists that several managers write", () => {
  for (const group of groups) {
    test(`${group.name} (${group.requests.length})`, async () => {
      const all = await differing(server.target, group, recorded);
      const found = all.filter(({ name }) => !differences.some(({ names }) => names.test(name)));
      const by = (side: "upstream" | "ours"): object =>
        Object.fromEntries(found.map((each) => [each.name, each[side]]));
      expect(by("ours")).toEqual(by("upstream"));
    });
  }
});
