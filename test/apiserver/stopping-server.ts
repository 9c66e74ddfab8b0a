/**
 * Starts an API server, lets clients break connections under way, and stops it. The process ends when nothing is left to
 * wait for: the test beside it looks how long that takes.
 */
import { connect } from "node:tls";
import { startTestServer } from "../support/apiserver.ts";

const server = await startTestServer();
const { certificatePem: cert, keyPem: key } = await server.issue("kubernetes-admin", ["system:masters"]);
const ca = server.authority.certificatePem;

/** Opens a watch, and breaks the connection once it has begun. */
async function breakWatch(): Promise<void> {
  const socket = connect({ host: "127.0.0.1", port: Number(new URL(server.url).port), ca, cert, key });
  socket.write("GET /api/v1/namespaces?watch=true HTTP/1.1\r\nHost: localhost\r\n\r\n");
  await new Promise((begun) => socket.once("data", begun));
  const closed = new Promise((done) => socket.once("close", done));
  socket.destroy();
  await closed;
}

await Promise.all([breakWatch(), breakWatch(), breakWatch()]);
// The server hears of it a moment later.
await Bun.sleep(200);
await server.stop();
console.log("stopped");
