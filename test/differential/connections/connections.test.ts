/** What webhooks and policies make of connections to pods and boards is what comes to the board, as with upstream's API server, whose
 *  words are the same (recorded by record.ts). */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { createServer, type Server } from "node:net";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { BoardTunnel } from "#agent/tunnel/board-tunnel.ts";
import { silentLog } from "#shared/client/log.ts";
import { type HookServer, startHookServer } from "../admission/hook-server.ts";
import { settings } from "../mutating-policies/settings.ts";
import { startWireServer, type WireServer } from "../wire/server.ts";
import answers from "./answers.json";
import { Noted } from "./board.ts";
import { type Answers, answersOf } from "./conversation.ts";
import { differences } from "./differences.ts";

setDefaultTimeout(300_000);

const address = Object.values(networkInterfaces())
  .flatMap((each) => each ?? [])
  .find(({ family, internal }) => family === "IPv4" && !internal)?.address;

let server: WireServer;
const noted = new Noted();
let pod: Server;
let hooks: HookServer;
let kubelet: Server;
const tunnels: BoardTunnel[] = [];
let ours: Answers = {};
beforeAll(async () => {
  if (address === undefined) return;
  server = await startWireServer(settings);
  pod = createServer((socket) => noted.serve(socket));
  await new Promise<void>((done) => pod.listen(0, address, done));
  hooks = await startHookServer();
  const kubeletSocket = join(server.folder, "kubelet.sock");
  kubelet = createServer((socket) => noted.serve(socket));
  await new Promise<void>((done) => kubelet.listen(kubeletSocket, done));
  const { url, tls } = server.target;
  const names = ["board", ...Object.keys(answers).filter((name) => name.startsWith("node-proxy"))];
  for (const name of names) {
    const { certificatePem: cert, keyPem: key } = await server.issue(`system:node:${name}`, ["system:nodes"]);
    const tunnel = new BoardTunnel({
      server: url,
      credentials: () => ({ ca: tls.ca, cert, key }),
      kubeletSocket,
      log: silentLog,
    });
    tunnel.start();
    tunnels.push(tunnel);
  }
  const { hostname: host, port } = new URL(url);
  ours = await answersOf({
    target: { host, port: Number(port), tls, headers: [] },
    hooks,
    noted,
    address,
    podPort: (pod.address() as { port: number }).port,
    kubeletPort: 10_250,
    settle: () => Promise.resolve(),
  });
});
afterAll(async () => {
  await Promise.all(tunnels.map((tunnel) => tunnel.stop()));
  kubelet?.close();
  hooks?.stop();
  pod?.close();
  await server?.stop();
});

for (const [name, expected] of Object.entries(answers as Answers))
  test.skipIf(address === undefined)(name, () => {
    if (differences[name]) expect(ours[name]).not.toEqual(expected);
    else expect(ours[name]).toEqual(expected);
  });
