import { afterAll, beforeAll, expect, test } from "bun:test";
import { type AddressInfo, createServer } from "node:net";
import { tunnelThrough } from "./proxy-tunnel.ts";
import { type SocksAnswers, type SocksProxy, startSocksProxy } from "./testing/socks-proxy.ts";

const connected = [5, 0, 0, 1, 127, 0, 0, 1, 0, 80];
let answers: SocksAnswers;
let proxy: SocksProxy;
/** Speaks first, so that what it says may come with the proxy's answer. */
const server = createServer((socket) => socket.end("welcome"));

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  proxy = await startSocksProxy(
    () => answers,
    () => (server.address() as AddressInfo).port,
  );
});
afterAll(() => {
  proxy.stop();
  server.close();
});

const { signal } = new AbortController();
async function heard(login: string, target: string): Promise<string> {
  const stream = await tunnelThrough(new URL(`socks5://${login}127.0.0.1:${proxy.port}`), target, signal);
  let text = "";
  for await (const chunk of stream) text += String(chunk);
  return text;
}

test.each([
  ["a name, which the proxy resolves", "a.b:443", "03", `03${Buffer.from("a.b").toString("hex")}`],
  ["an IPv4 address", "192.0.2.1:443", "01", "c0000201"],
  ["an IPv6 address", "[2001:db8::1]:443", "04", "20010db8000000000000000000000001"],
])("a SOCKS5 proxy is asked for %s", async (_, target, type, address) => {
  answers = { method: [5, 0], reply: connected };
  proxy.told.length = 0;
  expect(await heard("", target)).toBe("welcome");
  expect(proxy.told).toEqual(["050100", `050100${type}${address}01bb`]);
});

test("a user signs in where the proxy wants that", async () => {
  answers = { method: [5, 2], login: [1, 0], reply: [5, 0, 0, 3, 2, 97, 98, 0, 80] };
  proxy.told.length = 0;
  expect(await heard("u:s%20@", "a.b:443")).toBe("welcome");
  expect(proxy.told.slice(0, 2)).toEqual(["05020002", "010175027320"]);
});

test.each<[SocksAnswers, string, string]>([
  [{ method: [5, 255], reply: [] }, "", "no acceptable authentication methods"],
  [{ method: [4, 0], reply: [] }, "", "unexpected protocol version 4"],
  [{ method: [5, 2], login: [1, 1], reply: [] }, "u:s@", "username/password authentication failed"],
  [{ method: [5, 0], reply: [5, 4, 0, 1] }, "", "unknown error host unreachable"],
  [{ method: [5, 0], reply: [5, 77, 0, 1] }, "", "unknown error unknown code: 77"],
  [{ method: [], reply: [] }, "", "EOF"],
])("what is against it is told in the words of Go's client: %#", async (given, login, why) => {
  answers = given;
  const place = `socks connect tcp 127.0.0.1:${proxy.port}->a.b:443: `;
  await expect(heard(login, "a.b:443")).rejects.toThrow(`${place}${why}`);
});

test("a proxy that is not there is told of as one", async () => {
  const gone = createServer();
  await new Promise<void>((resolve) => gone.listen(0, "127.0.0.1", resolve));
  const { port } = gone.address() as AddressInfo;
  await new Promise((resolve) => gone.close(resolve));
  const asked = tunnelThrough(new URL(`socks5h://127.0.0.1:${port}`), "a.b:443", signal);
  await expect(asked).rejects.toThrow("proxyconnect tcp: ");
});
