/** What goes through proxies, and what is said of connections to pods, is as by upstream's API server (recorded by record.ts). */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { connect } from "node:net";
import { connectHandlers } from "../../../master/apiserver/connect/handlers.ts";
import { startTestServer, type TestServer } from "../../support/apiserver.ts";
import answers from "./answers.json";
import { type Backing, startBacking } from "./backing.ts";
import { type Answers, answersOf } from "./conversation.ts";
import { differences } from "./differences.ts";

setDefaultTimeout(300_000);

const address = "10.205.0.1";
let server: TestServer;
let backing: Backing;
let ours: Answers;
beforeAll(async () => {
  server = await startTestServer({
    guards: ({ reader }) => ({
      subresources: {
        "": connectHandlers({
          reader,
          // Every address leads to this machine.
          dialer: {
            boards: ["node-a"],
            dial: async (_, target) =>
              connect({ host: "127.0.0.1", port: (target as unknown as { readonly port: number }).port }),
          },
        }),
      },
    }),
  });
  backing = await startBacking("127.0.0.1", address);
  const { hostname: host, port } = new URL(server.url);
  const { certificatePem: cert, keyPem: key } = await server.issue("kubernetes-admin", ["system:masters"]);
  const target = { host, port: Number(port), tls: { ca: server.authority.certificatePem, cert, key }, headers: [] };
  ours = await answersOf(target, address, backing.port);
});
afterAll(async () => {
  backing?.stop();
  await server?.stop();
});

for (const [name, expected] of Object.entries(answers as Answers)) {
  const difference = differences.find(({ asked }) => asked.test(name));
  test(name, () => {
    if (difference) expect(difference.of(ours[name])).toEqual(difference.of(expected));
    else expect(ours[name]).toEqual(expected);
  });
}
