/**
 * Unmodified kubectl says over Bramble's API server what it said over upstream's v1.35.4 (recorded by record.ts), to the
 * letter and with the same exit code, but for the commands in differences.ts.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { clientBinaries } from "../../support/kubectl.ts";
import { startWireServer, type WireServer } from "../wire/server.ts";
import recorded from "./answers.json";
import { differences } from "./differences.ts";
import { type KubectlAnswer, runAll } from "./run.ts";

let server: WireServer;
beforeAll(async () => {
  server = await startWireServer();
});
afterAll(() => server.stop());

test("kubectl's commands", async () => {
  const answers = await runAll(clientBinaries().kubectl, await connectionTo(server));
  const upstream = recorded as Readonly<Record<string, KubectlAnswer>>;
  const differing = Object.keys(answers).filter((name) => !Bun.deepEquals(answers[name], upstream[name]));
  const known = new Set(Object.keys(differences));
  expect([...known].filter((name) => !differing.includes(name))).toEqual([]);
  const found = differing.filter((name) => !known.has(name));
  const by = (side: Readonly<Record<string, KubectlAnswer>>): object =>
    Object.fromEntries(found.map((name) => [name, side[name]]));
  expect(by(answers)).toEqual(by(upstream));
});

async function connectionTo({ target }: WireServer): Promise<string[]> {
  const { ca, cert = "", key = "" } = target.tls;
  const file = async (name: string, text: string): Promise<string> => {
    const path = join(server.folder, name);
    await Bun.write(path, text);
    return path;
  };
  return [
    `--server=${target.url}`,
    `--certificate-authority=${await file("ca.pem", ca)}`,
    `--client-certificate=${await file("client.pem", cert)}`,
    `--client-key=${await file("client-key.pem", key)}`,
  ];
}
