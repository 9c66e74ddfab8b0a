import { afterAll, expect, test } from "bun:test";
import { createServer } from "node:net";
import { loadSettings } from "#shared/config/load.ts";
import { masterOptions } from "#shared/config/settings.ts";
import { parseListeners, probePorts } from "./ports.ts";
import { parseCgroupsV1, parseSwaps, probeMachine } from "./probe.ts";

const server = createServer();
afterAll(() => void server.close());

test("who listens on a port is found among this machine's sockets", async () => {
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const [mine, none] = await probePorts([
    { port: address.port, purpose: "a test" },
    { port: 1, purpose: "nobody" },
    { port: 0, purpose: "switched off" },
  ]);
  expect(mine?.holder).toContain(`(PID ${process.pid})`);
  expect(none?.holder).toBeUndefined();
});

test("only listening sockets count", () => {
  const head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";
  const rows = [
    "   0: 00000000:192B 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0",
    "   1: 0100007F:22B3 0100007F:1234 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0",
  ];
  expect([...parseListeners([head, ...rows].join("\n"))]).toEqual([[6443, "4711"]]);
});

test("zram is no swap that wears a card", () => {
  const head = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority";
  expect(parseSwaps(`${head}\n/dev/zram0   partition\t1024\t0\t100\n/var/swap  file\t1024\t0\t-2\n`)).toEqual([
    "/var/swap",
  ]);
  expect(parseSwaps(head)).toEqual([]);
});

test("switched-off controllers are left out", () => {
  const text = "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t3\t40\t1\nmemory\t0\t40\t0\n";
  expect(parseCgroupsV1(text)).toEqual(["cpu"]);
});

test("this machine can be looked at", async () => {
  const facts = await probeMachine(loadSettings(masterOptions, {}, undefined), "worker");
  expect(facts.ports.map(({ port }) => port)).toEqual([10250]);
  expect(facts.memory_bytes).toBeGreaterThan(0);
  expect(facts.disk.path).toStartWith("/");
  expect(facts.kernelFeatures.map(({ name }) => name)).toContain("iptables statistic");
});
