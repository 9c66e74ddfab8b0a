import { expect, test } from "bun:test";
import { overlaps, prefixesFrom, takeNetwork } from "./free-network.ts";

test("networks side by side, none beyond the last", () => {
  expect(prefixesFrom(0, 2, "IPv4")).toEqual(["10.128.0", "10.128.1"]);
  expect(prefixesFrom(0xffffffff, 3, "IPv4").every((prefix) => /^10\.(1[2-9]\d|20[0-7])\.\d{1,3}$/.test(prefix))).toBe(
    true,
  );
  expect(prefixesFrom(0xfe, 2, "IPv6")).toEqual(["fd02:0:0:ff", "fd02:0:0:100"]);
});

test("what the machine has a route to is not free", () => {
  const table = "default via 192.0.2.1 dev eth0\n10.130.0.0/16 dev a scope link\n10.140.7.9 dev b\n10.150.6.0/23 dev c";
  const isUsed = (prefix: string): boolean => overlaps([prefix], table);
  expect(["10.130.4", "10.140.7", "10.150.7", "10.140.8", "10.151.6"].map(isUsed)).toEqual([
    true,
    true,
    true,
    false,
    false,
  ]);
  const table6 = "fd02:0:0:7::/64 dev a\nfe80::/64 dev a\ndefault via fe80::1 dev a";
  expect([overlaps(["fd02:0:0:7"], table6), overlaps(["fd02:0:0:8"], table6)]).toEqual([true, false]);
});

test("what one has taken another process does not get, until it is let go", async () => {
  const mine = await takeNetwork(2);
  const program = `
    import { createServer } from "node:net";
    const server = createServer();
    server.once("error", ({ code }) => { console.log(code); process.exit(0); });
    server.listen("\\0bramble-test-network-${mine.prefix(1)}", () => { console.log("taken"); process.exit(0); });
  `;
  const asked = async (): Promise<string> => {
    const child = Bun.spawn([process.execPath, "-e", program], { stdout: "pipe" });
    return (await new Response(child.stdout).text()).trim();
  };
  expect(await asked()).toBe("EADDRINUSE");
  mine.release();
  expect(await asked()).toBe("taken");
  expect(() => mine.prefix(2)).toThrow("only 2 networks");
});
