/** Fields that samples lack are kept, dropped and refused as in upstream's API server v1.35.4 (recorded by record.ts). */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { differing } from "../wire/comparison.ts";
import { loadAnswers } from "../wire/recording.ts";
import { startWireServer, type WireServer } from "../wire/server.ts";
import { answersFile } from "./answers-file.ts";
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

describe("fields that samples lack", () => {
  for (const group of groups) {
    test(`${group.name} (${group.requests.length})`, async () => {
      const found = await differing(server.target, group, recorded);
      const by = (side: "upstream" | "ours"): object =>
        Object.fromEntries(found.map((each) => [each.name, each[side]]));
      expect(by("ours")).toEqual(by("upstream"));
    });
  }
});
