import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { canMakeNamespaces, connect, makeNamespace, type TestNamespace } from "../../test/support/namespace.ts";
import type { Candidate } from "./records.ts";

setDefaultTimeout(120_000);

const masters: ChildProcess[] = [];
const spaces: TestNamespace[] = [];
afterEach(() => {
  for (const master of masters.splice(0)) master.kill("SIGKILL");
  for (const space of spaces.splice(0)) space.remove();
});

describe.skipIf(!canMakeNamespaces())("on a LAN", () => {
  const kinds = [
    { family: "IPv4", master: "10.79.0.11", board: "10.79.0.101", bits: 24, url: "https://10.79.0.11:6443" },
    { family: "IPv6", master: "fd79::11", board: "fd79::101", bits: 64, url: "https://[fd79::11]:6443" },
  ];
  for (const { family, master, board, bits, url } of kinds) {
    test(`without any other family a master is found by ${family}`, async () => {
      const [a, b] = [makeNamespace(), makeNamespace()];
      spaces.push(a, b);
      // IPv6 looks for duplicates of an address for a second before it may be used.
      for (const each of spaces)
        each.run("sysctl", "-qw", "net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.accept_dad=0");
      connect(a, b, { device: "eth0", addressA: `${master}/${bits}`, addressB: `${board}/${bits}` });
      const announce = `
        import { silentLog } from "#shared/client/log.ts";
        import { startAnnouncer } from ${JSON.stringify(join(import.meta.dir, "announcer.ts"))};
        const own = { host: "pi", httpsPort: 6443, caHashes: ["${"a".repeat(64)}"], version: "1" };
        startAnnouncer(() => own, () => "${master}", silentLog);
        setInterval(() => undefined, 1000);`;
      const cwd = join(import.meta.dir, "../..");
      masters.push(spawn("nsenter", [`--net=${a.path}`, process.execPath, "-e", announce], { cwd, stdio: "inherit" }));
      const find = `
        import { findMasters } from ${JSON.stringify(join(import.meta.dir, "find-masters.ts"))};
        console.log(JSON.stringify(await findMasters()));`;
      // Until the master listens.
      let found: Candidate[] = [];
      while (found.length === 0) found = JSON.parse(b.run(process.execPath, "-e", find)) as Candidate[];
      expect(found.map((each) => each.url)).toEqual([url]);
    });
  }
});
