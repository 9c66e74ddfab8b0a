import { expect, test } from "bun:test";
import type { MessageSocket } from "./message-socket.ts";
import { webSocketClient } from "./remote-websocket.ts";

const resize = (Width: number, Height: number): Buffer =>
  Buffer.concat([Buffer.from([4]), Buffer.from(JSON.stringify({ Width, Height }))]);

test("a size that comes before the process has begun is told to it, the newest only", () => {
  let hear: (message: Buffer) => void = () => undefined;
  const socket: MessageSocket = {
    protocol: "v5.channel.k8s.io",
    closed: new Promise(() => undefined),
    send: () => undefined,
    onMessage(handler) {
      hear = handler;
    },
    close: () => undefined,
  };
  const client = webSocketClient(socket, { stdin: true, stdout: true, stderr: false, tty: true });
  hear(resize(88, 32));
  hear(resize(87, 31));
  const told: [number, number][] = [];
  client.onResize((columns, rows) => told.push([columns, rows]));
  expect(told).toEqual([[87, 31]]);
  hear(resize(100, 40));
  expect(told).toEqual([
    [87, 31],
    [100, 40],
  ]);
});
