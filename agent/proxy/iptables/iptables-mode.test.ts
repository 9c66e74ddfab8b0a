import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Log } from "#shared/client/log.ts";
import { silentLog } from "#shared/client/log.ts";
import { canMakeNamespaces, makeNamespace, type TestNamespace } from "../../../test/support/namespace.ts";
import type { ServicePort } from "../service-ports.ts";
import { IptablesMode } from "./iptables-mode.ts";

const network = {
  family: "IPv4" as const,
  clusterCidr: "10.42.0.0/16",
  serviceCidrs: ["10.43.0.0/16"],
  ownClusterIps: new Set<string>(),
};

const port = (protocol: "TCP" | "SCTP"): ServicePort => ({
  id: `shop/${protocol.toLowerCase()}`,
  protocol,
  port: 80,
  clusterIp: protocol === "TCP" ? "10.43.0.7" : "10.43.0.8",
  externalIps: [],
  loadBalancerIps: [],
  loadBalancerSourceRanges: [],
  nodePort: undefined,
  affinity_s: undefined,
  internalLocal: false,
  externalLocal: false,
  clusterEndpoints: [{ ip: "10.42.1.5", port: 8080, local: true }],
  localEndpoints: [],
  hasAnyEndpoint: true,
});

describe.skipIf(!canMakeNamespaces())("rules on a kernel", () => {
  let board: TestNamespace;
  let folder: string;
  beforeEach(() => {
    board = makeNamespace();
    folder = mkdtempSync(join(tmpdir(), "bramble-rules-"));
  });
  afterEach(() => {
    board.remove();
    rmSync(folder, { recursive: true });
  });

  /** Runs programs on the board, and refuses rules for SCTP as a kernel without its match does. */
  function withoutSctp(): string[] {
    const script = `#!/bin/bash
      case "$1" in
        *-restore)
          text=$(cat)
          if [[ $text == *sctp* ]]; then echo "Extension sctp revision 0 not supported, missing kernel module?" >&2; exit 2; fi
          printf '%s\\n' "$text" | exec ${board.prefix.join(" ")} "$@" ;;
        *) exec ${board.prefix.join(" ")} "$@" ;;
      esac`;
    const file = join(folder, "inside");
    writeFileSync(file, script);
    chmodSync(file, 0o755);
    return [file];
  }

  test("what route_localnet was is noted once, for the uninstallation", async () => {
    const foundSettings = join(folder, "run", "kernel-settings");
    // A new network has it as the machine has it.
    board.run("sysctl", "-qw", "net.ipv4.conf.all.route_localnet=0");
    for (const _ of ["one start", "another"])
      await new IptablesMode({ network, log: silentLog, foundSettings, commandPrefix: board.prefix }).apply([]);
    const path = "/proc/sys/net/ipv4/conf/all/route_localnet";
    expect(board.run("cat", path)).toBe("1\n");
    expect(readFileSync(foundSettings, "utf8")).toBe(`${path} 0\n`);
  });

  test("SCTP is translated where the kernel can match it", async () => {
    const mode = new IptablesMode({ network, log: silentLog, commandPrefix: board.prefix });
    await mode.apply([port("TCP"), port("SCTP")]);
    const saved = board.run("iptables-save", "-t", "nat");
    expect(saved).toMatch(/-d 10\.43\.0\.8\/32 -p sctp .*--dport 80 -j KUBE-SVC-/);
    expect(saved).not.toContain("SCTP-PROBE");
  });

  test("what goes to no Service of a range is refused, from when the range comes until it goes", async () => {
    const mode = new IptablesMode({ network, log: silentLog, commandPrefix: board.prefix });
    const refused = (): string[] =>
      [...board.run("iptables-save", "-t", "filter").matchAll(/-d (\S+) .*"no such service" -j REJECT/g)].map(
        ([, cidr = ""]) => cidr,
      );
    const ports = [port("TCP")];
    await mode.apply(ports);
    expect(refused()).toEqual(["10.43.0.0/16"]);
    await mode.apply(ports, ["10.43.0.0/16", "10.60.0.0/24"]);
    expect(refused()).toEqual(["10.43.0.0/16", "10.60.0.0/24"]);
    await mode.apply(ports, ["10.43.0.0/16"]);
    expect(refused()).toEqual(["10.43.0.0/16"]);
  }, 300_000);

  test("where it cannot, a Service of SCTP keeps no other from working, and that is said once", async () => {
    const said: string[] = [];
    const log: Log = { ...silentLog, warn: (message) => void said.push(message) };
    const mode = new IptablesMode({ network, log, commandPrefix: withoutSctp() });
    await mode.apply([port("TCP"), port("SCTP")]);
    await mode.apply([port("SCTP"), port("TCP")]);
    const saved = board.run("iptables-save", "-t", "nat");
    expect(saved).toMatch(/-d 10\.43\.0\.7\/32 -p tcp .*-j KUBE-SVC-/);
    expect(saved).not.toContain("sctp");
    expect(said.filter((message) => message.includes("SCTP"))).toHaveLength(1);
  });
});
