/** What is found in the expressions of policies is what upstream's controller finds, in its words (recorded by record.ts). */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { type ExtendedServer, startExtendedServer } from "../../extensions/extended-server.ts";
import answers from "./answers.json";
import { checked, createDefinition, policies } from "./cases.ts";

setDefaultTimeout(300_000);

let server: ExtendedServer;
beforeAll(async () => {
  server = await startExtendedServer([]);
  await createDefinition((path, init) => server.fetch(path, init));
});
afterAll(() => server.stop());

for (const policy of policies) {
  test(policy.name, async () => {
    const found = await checked((path, init) => server.fetch(path, init), policy);
    expect(found as unknown).toEqual((answers as Record<string, unknown>)[policy.name]);
  });
}
