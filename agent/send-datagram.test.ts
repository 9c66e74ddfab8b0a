import { expect, test } from "bun:test";
import { createSocket, type Socket } from "node:dgram";
import { sendDatagram } from "./send-datagram.ts";

async function bound(): Promise<Socket> {
  const socket = createSocket("udp4");
  await new Promise<void>((done) => socket.bind(0, "127.0.0.1", done));
  return socket;
}

test("a datagram reaches its client, though another has gone before", async () => {
  const shared = await bound();
  shared.on("error", () => undefined);
  const failures: Error[] = [];
  const client = await bound();
  for (let times = 0; times < 5; times++) {
    const gone = await bound();
    const { port } = gone.address();
    await new Promise<void>((done) => gone.close(done));
    const arrived = new Promise<string>((resolve) => client.once("message", (bytes) => resolve(bytes.toString())));
    const send = (bytes: string, to: number): void =>
      sendDatagram(shared, Buffer.from(bytes), { address: "127.0.0.1", port: to }, (error) => failures.push(error));
    send("for nobody", port);
    send(`answer ${times}`, client.address().port);
    expect(await arrived).toBe(`answer ${times}`);
  }
  expect(failures).toEqual([]);
  shared.close();
  client.close();
});
