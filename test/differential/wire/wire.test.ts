/**
 * What goes over the wire is what upstream's API server v1.35.4 answered (recorded by record.ts), but for differences.ts
 * and for the requests in gaps.json.br.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { differing } from "./comparison.ts";
import { loadGaps } from "./gaps.ts";
import { groups } from "./requests.ts";
import { startWireServer, type WireServer } from "./server.ts";

const gaps = loadGaps();
let server: WireServer;
beforeAll(async () => {
  server = await startWireServer();
});
afterAll(() => server.stop());

test("no two requests are recorded under one name", () => {
  const seen = new Set<string>();
  const names = groups.flatMap(({ requests }) => requests.map(({ name }) => name));
  expect(names.filter((name) => seen.size === seen.add(name).size)).toEqual([]);
});

describe("answers over the wire", () => {
  for (const group of groups) {
    test(`${group.name} (${group.requests.length})`, async () => {
      const all = await differing(server.target, group);
      const differs = new Set(all.map(({ name }) => name));
      const mended = group.requests.map(({ name }) => name).filter((name) => gaps.has(name) && !differs.has(name));
      // Write the list anew: it only shrinks.
      expect(mended).toEqual([]);
      const found = all.filter(({ name }) => !gaps.has(name));
      const by = (side: "upstream" | "ours"): object =>
        Object.fromEntries(found.map((each) => [each.name, each[side]]));
      expect(by("ours")).toEqual(by("upstream"));
    });
  }
});
