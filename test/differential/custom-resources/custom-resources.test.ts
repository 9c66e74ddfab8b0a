/** Custom resources and their definitions are judged as upstream judges them, in its words (recorded by record.ts). */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { type ExtendedServer, eventually, startExtendedServer } from "../../extensions/extended-server.ts";
import answers from "./answers.json";
import { answerOf, definition, faultyDefinitions, type Request, requests, sent, served } from "./requests.ts";

setDefaultTimeout(300_000);

let server: ExtendedServer;
beforeAll(async () => {
  server = await startExtendedServer(["work"]);
});
afterAll(() => server.stop());

async function judge(request: Request): Promise<void> {
  const answer = await answerOf(await server.fetch(request.path, sent(request)));
  expect(answer as unknown).toEqual((answers as Record<string, unknown>)[request.name]);
}

for (const request of faultyDefinitions) test(request.name, () => judge(request));

test(definition.name, async () => {
  await judge(definition);
  await eventually(async () => ((await server.fetch(served)).status === 200 ? true : undefined));
});

for (const request of requests) test(request.name, () => judge(request));
