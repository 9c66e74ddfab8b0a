import type { Duplex } from "node:stream";

/** What stands for a board's kubelet and for a pod: it notes the first line of what comes by a connection, and answers in two words. */
export class Noted {
  #lines: string[] = [];

  /** Gives what has come since it was last taken. */
  taken(): string[] {
    const taken = this.#lines;
    this.#lines = [];
    return taken;
  }

  serve(socket: Duplex): void {
    let received = "";
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk: Buffer) => {
      received += chunk.toString("latin1");
      if (!received.includes("\r\n\r\n")) return;
      const [line = ""] = received.split("\r\n", 1);
      received = "";
      this.#lines.push(line);
      socket.end(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 7\r\nConnection: close\r\n\r\nit came",
      );
    });
  }
}
