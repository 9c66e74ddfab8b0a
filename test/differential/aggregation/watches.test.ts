/** Watches of aggregated servers come through as upstream's server has them (recorded by record.ts). */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { type ExtendedServer, startExtendedServer } from "../../extensions/extended-server.ts";
import { Backings } from "./backing.ts";
import type { Answers } from "./conversation.ts";
import answers from "./watch-answers.json";
import { watchAnswersOf } from "./watch-conversation.ts";

setDefaultTimeout(300_000);

/** A busy machine must not make a server late that answers. */
const PATIENCE_MS = 15_000;

let server: ExtendedServer;
let backings: Backings;
let ours: Answers;
beforeAll(async () => {
  server = await startExtendedServer([], { discoveryWithin_ms: PATIENCE_MS });
  backings = await Backings.open("127.0.0.1", "10.205.0.1");
  ours = await watchAnswersOf((path, init) => server.fetch(path, { redirect: "manual", ...init }), backings);
});
afterAll(async () => {
  backings?.stop();
  await server?.stop();
});

for (const [name, expected] of Object.entries(answers as Answers)) {
  test(name, () => expect(ours[name]).toEqual(expected));
}
