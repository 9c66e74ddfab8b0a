/** Definitions with their rules and corners are judged as upstream judges them, in its words (recorded by record.ts). */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { type ExtendedServer, startExtendedServer } from "../../extensions/extended-server.ts";
import { sendInOrder } from "../in-order.ts";
import answers from "./answers.json";
import { cornerRequests } from "./corner-requests.ts";
import { costRequests } from "./cost-requests.ts";
import { discoveryRequests } from "./discovery-requests.ts";
import { failureRequests } from "./failure-requests.ts";
import { formRequests } from "./form-requests.ts";
import { selectableRequests } from "./selectable-requests.ts";
import { type Told, toldBy } from "./told.ts";

setDefaultTimeout(300_000);

let server: ExtendedServer;
let ours: Readonly<Record<string, Told>> = {};
beforeAll(async () => {
  server = await startExtendedServer([]);
  ours = await sendInOrder(
    [
      ...costRequests,
      ...cornerRequests,
      ...formRequests(),
      ...failureRequests(),
      ...discoveryRequests,
      ...selectableRequests,
    ],
    server.fetch,
    toldBy,
  );
});
afterAll(() => server.stop());

for (const [name, expected] of Object.entries(answers as Record<string, unknown>)) {
  test(name, () => expect(ours[name] as unknown).toEqual(expected));
}
