/**
 * A pod or a client of the service contract, in a network namespace of its own: `bun peer.ts NAME ADDRESS…`. It serves TCP
 * and UDP at port 8080 of its addresses (`NAME CLIENT`, then an echo), and does what lines of JSON on its input ask for.
 */

import { createSocket } from "node:dgram";
import { connect, createServer, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { udpTypeOf } from "#shared/net/ip-family.ts";

/** What a peer is asked to do; each is answered by one line of the same `id`. */
export type PeerRequest = { readonly id: number } & (
  | {
      readonly do: "ask";
      readonly protocol: "TCP" | "UDP";
      readonly ip: string;
      readonly port: number;
      readonly from?: number;
      /** How long an answer may take. */
      readonly wait_ms: number;
    }
  | { readonly do: "open"; readonly ip: string; readonly port: number }
  | { readonly do: "say"; readonly text: string }
  | { readonly do: "end" }
);
/** `text`: what came back. `error`: the code of what went wrong, or `timeout`. */
export interface PeerAnswer {
  readonly id: number;
  readonly text?: string;
  readonly error?: string;
}

const servedPort = 8080;
/** For what must come on a connection that is open. */
const patience_ms = 60_000;

function serve(name: string, address: string): void {
  const plain = (client = ""): string => client.replace("::ffff:", "");
  createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => undefined);
    socket.write(`${name} ${plain(socket.remoteAddress)}\n`);
    socket.on("data", (data: Buffer) => void socket.write(data));
    socket.on("end", () => socket.end("bye\n"));
  }).listen(servedPort, address);
  const udp = createSocket(udpTypeOf(address));
  udp.on("message", (_message, from) => udp.send(`${name} ${from.address}\n`, from.port, from.address));
  udp.bind(servedPort, address);
}

type Outcome = Omit<PeerAnswer, "id">;
const failed = (error: unknown): Outcome => ({
  error: error instanceof Error && "code" in error ? String(error.code) : String(error),
});

function askTcp(ip: string, port: number, wait_ms: number): Promise<Outcome> {
  return new Promise((resolve) => {
    const socket = connect({ host: ip, port });
    socket.setTimeout(wait_ms, () => {
      resolve({ error: "timeout" });
      socket.destroy();
    });
    socket.on("error", (error) => resolve(failed(error)));
    socket.on("close", () => resolve({ error: "closed" }));
    socket.on("data", (data: Buffer) => {
      resolve({ text: data.toString().trim() });
      socket.destroy();
    });
  });
}

function askUdp(ip: string, port: number, wait_ms: number, from = 0): Promise<Outcome> {
  return new Promise((resolve) => {
    const socket = createSocket(udpTypeOf(ip));
    const give = (outcome: Outcome): void => {
      clearTimeout(timer);
      resolve(outcome);
      socket.close();
    };
    const timer = setTimeout(() => give({ error: "timeout" }), wait_ms);
    socket.once("error", (error) => give(failed(error)));
    socket.once("message", (data, { address, port: answered }) =>
      give(address === ip && answered === port ? { text: data.toString().trim() } : { error: `answer of ${address}` }),
    );
    socket.bind(from, () => socket.connect(port, ip, () => socket.send("hello")));
  });
}

/** The one connection that stays open over requests. */
class Held {
  private received = "";
  private ended = false;
  private constructor(private readonly socket: Socket) {
    socket.on("data", (data: Buffer) => {
      this.received += data.toString();
    });
    socket.on("error", () => undefined);
    socket.on("close", () => {
      this.ended = true;
    });
    socket.on("end", () => {
      this.ended = true;
    });
  }

  static open(ip: string, port: number): Held {
    return new Held(connect({ host: ip, port, allowHalfOpen: true }));
  }

  async say(text: string): Promise<Outcome> {
    this.socket.write(`${text}\n`);
    return this.until(() => this.received.includes(`${text}\n`));
  }

  async end(): Promise<Outcome> {
    this.socket.end();
    return this.until(() => this.ended);
  }

  async until(isDone: () => boolean): Promise<Outcome> {
    const began = performance.now();
    while (!isDone()) {
      if (this.ended) return { error: "closed" };
      if (performance.now() - began > patience_ms) return { error: "timeout" };
      await Bun.sleep(2);
    }
    const text = this.received.trim();
    this.received = "";
    return { text };
  }

  greeting(): Promise<Outcome> {
    return this.until(() => this.received.includes("\n"));
  }
}

async function main(name: string, addresses: readonly string[]): Promise<void> {
  for (const address of addresses) serve(name, address);
  let held: Held | undefined;
  const perform = async (request: PeerRequest): Promise<Outcome> => {
    switch (request.do) {
      case "ask":
        return request.protocol === "TCP"
          ? askTcp(request.ip, request.port, request.wait_ms)
          : askUdp(request.ip, request.port, request.wait_ms, request.from);
      case "open":
        held = Held.open(request.ip, request.port);
        return held.greeting();
      case "say":
        return held?.say(request.text) ?? { error: "nothing is open" };
      case "end":
        return held?.end() ?? { error: "nothing is open" };
    }
  };
  process.stdout.write(`${JSON.stringify({ id: 0 })}\n`);
  for await (const line of createInterface({ input: process.stdin })) {
    const request = JSON.parse(line) as PeerRequest;
    process.stdout.write(`${JSON.stringify({ id: request.id, ...(await perform(request)) })}\n`);
  }
  process.exit();
}

const [name = "peer", ...addresses] = process.argv.slice(2);
await main(name, addresses);
