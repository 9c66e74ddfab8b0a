import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { type ExtendedServer, startExtendedServer } from "../../extensions/extended-server.ts";
import { Backings } from "./backing.ts";
import type { Answers, Fetch } from "./conversation.ts";

/** A busy machine must not make a server late that answers. */
const PATIENCE_MS = 15_000;

/** A test for each answer that upstream's server gave in a conversation, which is held with ours. */
export function replay(recorded: Answers, converse: (fetch: Fetch, backings: Backings) => Promise<Answers>): void {
  setDefaultTimeout(300_000);
  let server: ExtendedServer;
  let backings: Backings;
  let ours: Answers;
  beforeAll(async () => {
    server = await startExtendedServer([], { discoveryWithin_ms: PATIENCE_MS });
    backings = await Backings.open("127.0.0.1", "10.205.0.1");
    ours = await converse((path, init) => server.fetch(path, { redirect: "manual", ...init }), backings);
  });
  afterAll(async () => {
    backings?.stop();
    await server?.stop();
  });

  for (const [name, expected] of Object.entries(recorded)) test(name, () => expect(ours[name]).toEqual(expected));
}
