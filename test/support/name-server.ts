import { createSocket } from "node:dgram";
import { once } from "node:events";
import { decode, encode } from "dns-packet";

/** A name server outside of the cluster. */
export interface NameServer {
  stop(): Promise<void>;
}

/** Answers A queries over UDP at `address`, port 53; other names do not exist. */
export async function startNameServer(address: string, records: Readonly<Record<string, string>>): Promise<NameServer> {
  const socket = createSocket("udp4");
  socket.on("message", (message, from) => {
    const query = decode(message);
    const [question] = query.questions ?? [];
    const data = question && records[question.name.toLowerCase()];
    const found = data !== undefined && question?.type === "A";
    const nameError = 3;
    const answer = encode({
      id: query.id ?? 0,
      type: "response",
      flags: data === undefined ? nameError : 0,
      questions: query.questions ?? [],
      answers: found ? [{ type: "A", name: question.name, ttl: 1, data }] : [],
    });
    socket.send(answer, from.port, from.address);
  });
  socket.bind(53, address);
  await once(socket, "listening");
  return {
    async stop() {
      const closed = once(socket, "close");
      socket.close();
      await closed;
    },
  };
}
