/**
 * Unmodified kubectl says over Bramble's API server what it said over upstream's v1.35.4 (recorded by record.ts), to the
 * letter and with the same exit code, but for the commands in differences.ts.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { clientBinaries } from "../../support/kubectl.ts";
import { startWireServer, type WireServer } from "../wire/server.ts";
import { areas } from "./areas.ts";
import { differences } from "./differences.ts";
import { type Connection, type KubectlAnswer, runArea } from "./run.ts";

type Answers = Readonly<Record<string, KubectlAnswer>>;

let server: WireServer;
let connection: Connection;
beforeAll(async () => {
  server = await startWireServer();
  connection = await connectionTo(server);
});
afterAll(() => server.stop());

for (const area of Object.keys(areas))
  test(`kubectl's commands: ${area}`, async () => {
    const answers = await runArea(clientBinaries().kubectl, connection, area);
    const recorded = await readFile(join(import.meta.dir, "answers", `${area}.json`), "utf8");
    const upstream = JSON.parse(recorded) as Answers;
    const differing = Object.keys(answers).filter((name) => !Bun.deepEquals(answers[name], upstream[name]));
    const known = new Set(Object.keys(differences[area] ?? {}));
    expect([...known].filter((name) => !differing.includes(name))).toEqual([]);
    const found = differing.filter((name) => !known.has(name));
    const by = (side: Answers): object => Object.fromEntries(found.map((name) => [name, side[name]]));
    expect(by(answers)).toEqual(by(upstream));
  });

async function connectionTo({ target, folder }: WireServer): Promise<Connection> {
  const { ca, cert = "", key = "" } = target.tls;
  const file = async (name: string, text: string): Promise<string> => {
    const path = join(folder, name);
    await writeFile(path, text);
    return path;
  };
  return {
    server: target.url,
    ca: await file("ca.pem", ca),
    user: {
      "client-certificate": await file("client.pem", cert),
      "client-key": await file("client-key.pem", key),
    },
  };
}
