/** A TCP link to a server that loses what goes one way or the other, and then breaks: what a network does at its worst. */
import { connect, createServer, type Server, type Socket } from "node:net";

/** `request`: the next request is lost. `answer`: it arrives, and its answer is lost. */
export type Loss = "request" | "answer";

/** What a call may send beside its request: the connection's own frames are shorter than any write of an object. */
const leastRequest_bytes = 150;

export class CuttableLink {
  private loss: Loss | undefined;
  private readonly sockets = new Set<Socket>();

  private constructor(
    private readonly server: Server,
    readonly port: number,
  ) {}

  static start(to: number): Promise<CuttableLink> {
    return new Promise((resolve) => {
      const server = createServer();
      server.listen(0, "127.0.0.1", () => {
        const link = new CuttableLink(server, (server.address() as { port: number }).port);
        server.on("connection", (socket) => link.carry(socket, to));
        resolve(link);
      });
    });
  }

  loseNext(loss: Loss): void {
    this.loss = loss;
  }

  private carry(near: Socket, to: number): void {
    const far = connect(to, "127.0.0.1");
    let isLosingAnswer = false;
    const cut = (): void => {
      near.destroy();
      far.destroy();
    };
    for (const socket of [near, far]) {
      this.sockets.add(socket);
      socket.on("error", cut);
      socket.on("close", () => {
        this.sockets.delete(socket);
        cut();
      });
    }
    near.on("data", (chunk: Buffer) => {
      if (this.loss !== undefined && chunk.length >= leastRequest_bytes) {
        const { loss } = this;
        this.loss = undefined;
        if (loss === "request") return cut();
        isLosingAnswer = true;
      }
      far.write(chunk);
    });
    far.on("data", (chunk: Buffer) => {
      if (!isLosingAnswer) near.write(chunk);
      // Acknowledgements of the connection itself come first and are short.
      else if (chunk.length >= 50) cut();
    });
  }

  stop(): void {
    for (const socket of this.sockets) socket.destroy();
    this.server.close();
  }
}
