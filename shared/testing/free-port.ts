import { randomInt } from "node:crypto";
import { createServer } from "node:net";

/** Below what the kernel gives to connections that go out (ip_local_port_range), and to node ports: a port that was free
 *  at one moment stays so until its owner listens. */
const first = 15_000;
const last = 29_999;
/** Processes begin at places of their own, and give no port twice. */
let next = randomInt(first, last + 1);

/** A TCP port that nobody listens on, at any address, and that this process has not given before. */
export async function freePort(): Promise<number> {
  for (let tries = first; tries <= last; tries++) {
    const port = next;
    next = port === last ? first : port + 1;
    if (await isFree(port)) return port;
  }
  throw new Error(`no port from ${first} to ${last} is free`);
}

function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(port, "0.0.0.0", () => server.close(() => resolve(true)));
  });
}
