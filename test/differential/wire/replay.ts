import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { differing } from "./comparison.ts";
import { loadAnswers } from "./recording.ts";
import type { WireGroup } from "./request.ts";
import { startWireServer, type WireServer } from "./server.ts";

export interface Replay {
  readonly groups: readonly WireGroup[];
  readonly answersFile: string;
  /** Requests that are answered otherwise on purpose. */
  readonly differences?: readonly { readonly names: RegExp }[];
  /** Of the server, where they are not the usual ones. */
  readonly settings?: Parameters<typeof startWireServer>[0];
}

/** Declares the tests that Bramble answers each group's requests as recorded. */
export function testReplay(title: string, { groups, answersFile, differences = [], settings }: Replay): void {
  const recorded = loadAnswers(answersFile);
  let server: WireServer;
  beforeAll(async () => {
    server = await startWireServer(settings);
  });
  afterAll(() => server.stop());

  test("no two requests are recorded under one name", () => {
    const names = groups.flatMap(({ requests }) => requests.map(({ name }) => name));
    expect(new Set(names).size).toBe(names.length);
  });

  describe(title, () => {
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
}
