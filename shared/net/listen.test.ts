import { expect, test } from "bun:test";
import { type AddressInfo, createServer } from "node:net";
import { listenAt } from "./listen.ts";

test("a port that another has is told with what to do, and the server can be tried elsewhere", async () => {
  const [first, second] = [createServer(), createServer()];
  await listenAt(first, { host: "127.0.0.1", port: 0 });
  const { port } = first.address() as AddressInfo;
  const told = await listenAt(second, { host: "127.0.0.1", port }, "https-port").catch((error: Error) => error);
  expect(told).toMatchObject({
    name: "ConfigError",
    message: `cannot listen on 127.0.0.1:${port}: another program does (sudo ss -Hltnp "sport = :${port}" shows which): end it, or set another port (https-port)`,
  });
  await listenAt(second, { host: "127.0.0.1", port: 0 });
  const away = await listenAt(createServer(), { host: "192.0.2.1", port }).catch((error: Error) => error.message);
  expect(away).toBe(`cannot listen on 192.0.2.1:${port}: this board has no such address`);
  first.close();
  second.close();
});
