/** What admission policies may cost as they run is what it is upstream, and what is said of more (recorded by record.ts). */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { type ExtendedServer, startExtendedServer } from "../../extensions/extended-server.ts";
import { type Told, toldBy } from "../definitions/told.ts";
import { sendInOrder } from "../in-order.ts";
import answers from "./answers.json";
import { requests } from "./requests.ts";

setDefaultTimeout(300_000);

let server: ExtendedServer;
let ours: Readonly<Record<string, Told>> = {};
beforeAll(async () => {
  server = await startExtendedServer([]);
  ours = await sendInOrder(requests, server.fetch, toldBy);
});
afterAll(() => server.stop());

for (const [name, expected] of Object.entries(answers as Record<string, unknown>)) {
  test(name, () => expect(ours[name] as unknown).toEqual(expected));
}
