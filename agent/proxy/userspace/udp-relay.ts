import { createSocket, type Socket } from "node:dgram";
import { udpTypeOf } from "#shared/net/ip-family.ts";
import { sendDatagram } from "../../send-datagram.ts";
import type { Endpoint } from "../service-ports.ts";
import type { RelayTargets } from "./tcp-relay.ts";

const mostFlows = 512;
/** As the kernel keeps a UDP flow with traffic both ways. */
const idle_ms = 120_000;

interface Flow {
  readonly endpoint: Endpoint;
  readonly socket: Socket;
  readonly timer: NodeJS.Timeout;
}

/** Takes datagrams and passes them on; each client has a socket of its own, so that answers find back. */
export class UdpRelay {
  private readonly flows = new Map<string, Flow>();

  private constructor(
    private readonly socket: Socket,
    private readonly targets: RelayTargets,
  ) {
    socket.on("message", (message, from) => this.pass(message, from.address, from.port));
  }

  /** Rejects when the port is taken. */
  static async listen(address: string, port: number, targets: RelayTargets): Promise<UdpRelay> {
    const socket = createSocket(udpTypeOf(address));
    await new Promise<void>((resolve, reject) => {
      socket.once("error", reject);
      socket.bind(port, address, () => {
        socket.removeListener("error", reject);
        // An answer that could not be sent: its client is gone.
        socket.on("error", () => undefined);
        resolve();
      });
    });
    return new UdpRelay(socket, targets);
  }

  close(): void {
    for (const key of [...this.flows.keys()]) this.end(key);
    this.socket.close();
  }

  /** Ends flows to endpoints that serve no longer; the client's next datagram goes to another. */
  keepOnly(endpoints: readonly Endpoint[]): void {
    for (const [key, { endpoint }] of [...this.flows]) {
      if (!endpoints.some(({ ip, port }) => ip === endpoint.ip && port === endpoint.port)) this.end(key);
    }
  }

  private pass(message: Buffer, address: string, port: number): void {
    const key = `${address}|${port}`;
    const flow = this.flows.get(key) ?? this.begin(key, address, port);
    if (!flow) return;
    flow.timer.refresh();
    flow.socket.send(message, flow.endpoint.port, flow.endpoint.ip);
  }

  private begin(key: string, address: string, port: number): Flow | undefined {
    const [endpoint] = this.targets.endpoints(address);
    if (!endpoint) return undefined;
    const [oldest] = this.flows.keys();
    if (this.flows.size >= mostFlows && oldest !== undefined) this.end(oldest);
    const socket = createSocket(udpTypeOf(endpoint.ip));
    socket.on("error", () => this.end(key));
    socket.on("message", (answer, from) => {
      if (from.address !== endpoint.ip || from.port !== endpoint.port) return;
      timer.refresh();
      // Any other failure is the client's, which asks again.
      sendDatagram(this.socket, answer, { address, port }, () => undefined);
    });
    const timer = setTimeout(() => this.end(key), idle_ms);
    const flow: Flow = { endpoint, socket, timer };
    this.flows.set(key, flow);
    this.targets.served(address, endpoint);
    return flow;
  }

  private end(key: string): void {
    const flow = this.flows.get(key);
    if (!flow) return;
    this.flows.delete(key);
    clearTimeout(flow.timer);
    flow.socket.close();
  }
}
