import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { canMakeNamespaces, connect, makeNamespace, type TestNamespace } from "../../test/support/namespace.ts";
import { commandRunner } from "./command.ts";
import { applyForwarding } from "./forwarding.ts";
import { planRoutes, type RoutedNode } from "./route-plan.ts";
import { applyRoutes, readInterfaces } from "./route-sync.ts";

// Each starts dozens of programs.
setDefaultTimeout(300_000);

const open: TestNamespace[] = [];
function namespace(): TestNamespace {
  const made = makeNamespace();
  open.push(made);
  return made;
}
afterEach(() => {
  for (const made of open.splice(0)) made.remove();
});

describe.skipIf(!canMakeNamespaces())("on the kernel", () => {
  test("forwarding: applied twice is the same, other rules stay", async () => {
    const board = namespace();
    const run = commandRunner(board.prefix);
    board.run("iptables", "-P", "FORWARD", "DROP");
    board.run("iptables", "-A", "FORWARD", "-s", "192.0.2.1", "-j", "DROP");
    await applyForwarding(["10.42.0.0/16"], run);
    const once = board.run("iptables-save");
    await applyForwarding(["10.42.0.0/16"], run);
    const rules = (text: string) => text.split("\n").filter((line) => line.startsWith("-A"));
    expect(rules(board.run("iptables-save"))).toEqual(rules(once));
    expect(rules(once)[0]).toContain("-j BRAMBLE-FORWARD");
    expect(once).toContain("-s 10.42.0.0/16 ! -d 224.0.0.0/4");
    expect(once).toContain("-s 192.0.2.1/32 -j DROP");
  });

  const tunnels = {
    IPv4: {
      boards: ["192.168.1.10", "192.168.2.11"],
      gateways: ["192.168.1.1", "192.168.2.1"],
      bits: 24,
      podCidrs: ["10.42.1.0/24", "10.42.2.0/24"],
      pods: ["10.42.1.5", "10.42.2.5"],
      base: "10.42.2.0",
      forwarding: "net.ipv4.ip_forward",
    },
    IPv6: {
      boards: ["fd71::10", "fd72::11"],
      gateways: ["fd71::1", "fd72::1"],
      bits: 64,
      podCidrs: ["fd42:0:0:1::/64", "fd42:0:0:2::/64"],
      pods: ["fd42:0:0:1::5", "fd42:0:0:2::5"],
      base: "fd42:0:0:2::",
      forwarding: "net.ipv6.conf.all.forwarding",
    },
  } as const;
  for (const family of ["IPv4", "IPv6"] as const) {
    test(`pods of boards in two subnets reach each other through the tunnel over ${family}, and stale routes go`, async () => {
      const at = tunnels[family];
      const flag = family === "IPv6" ? "-6" : "-4";
      const spaces = [namespace(), namespace(), namespace()] as const;
      const [a, router, b] = spaces;
      // IPv6 looks for duplicates of an address for a second before it may be used.
      for (const each of spaces)
        each.run("sysctl", "-qw", "net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.accept_dad=0");
      const whole = (address: string): string => `${address}/${at.bits}`;
      for (const [index, board] of [a, b].entries()) {
        const cable = { addressA: whole(at.boards[index] ?? ""), addressB: whole(at.gateways[index] ?? "") };
        connect(board, router, { device: `eth${index}`, ...cable });
        board.run("ip", flag, "route", "add", "default", "via", at.gateways[index] ?? "");
        // A pod's address, on the board itself.
        board.run("ip", "address", "add", `${at.pods[index]}/${family === "IPv6" ? 128 : 32}`, "dev", "lo");
      }
      router.run("sysctl", "-qw", `${at.forwarding}=1`);
      const nodes = [node("a", at.podCidrs[0], at.boards[0]), node("b", at.podCidrs[1], at.boards[1])];

      const sync = async (board: TestNamespace, nodeName: string, present: RoutedNode[]): Promise<void> => {
        const run = commandRunner(board.prefix);
        const plan = planRoutes(present, { nodeName, family, interfaces: await readInterfaces(run) });
        expect(plan.problems).toEqual([]);
        await applyRoutes(plan, run);
      };
      await sync(a, "a", nodes);
      await sync(b, "b", nodes);
      const ping = family === "IPv6" ? ["ping", "-6"] : ["ping"];
      a.run("busybox", ...ping, "-c", "1", "-W", "5", "-I", at.pods[0], at.pods[1]);

      const shown = (): string[] => [
        a.run("ip", flag, "route"),
        a.run("ip", "-d", "link", "show", "bramble.vxlan"),
        a.run("bridge", "fdb", "show", "dev", "bramble.vxlan"),
      ];
      const before = shown();
      await sync(a, "a", nodes);
      // The device too is the same one, by its number.
      expect(shown()).toEqual(before);
      expect(before[0]).toContain(`${at.podCidrs[1]} via ${at.base} dev bramble.vxlan`);

      await sync(a, "a", nodes.slice(0, 1));
      expect(a.run("ip", flag, "route")).not.toContain(at.base);
      expect(a.run("ip", "-br", "link")).not.toContain("bramble.vxlan");
    });
  }

  test("boards on one LAN get host routes, also after a board changed its address", async () => {
    const [a, b] = [namespace(), namespace()];
    connect(a, b, { device: "eth0", addressA: "192.168.1.10/24", addressB: "192.168.1.11/24" });
    const run = commandRunner(a.prefix);
    const sync = async (address: string): Promise<string> => {
      const nodes = [node("a", "10.42.1.0/24", "192.168.1.10"), node("b", "10.42.2.0/24", address)];
      await applyRoutes(planRoutes(nodes, { nodeName: "a", interfaces: await readInterfaces(run) }), run);
      return a.run("ip", "route");
    };
    a.run("ip", "route", "add", "10.99.0.0/24", "via", "192.168.1.11");
    expect(await sync("192.168.1.11")).toContain("10.42.2.0/24 via 192.168.1.11 dev eth0 proto 66");
    const after = await sync("192.168.1.12");
    expect(after).toContain("10.42.2.0/24 via 192.168.1.12 dev eth0 proto 66");
    expect(after).not.toContain("10.42.2.0/24 via 192.168.1.11");
    expect(after).toContain("10.99.0.0/24 via 192.168.1.11");
  });
});

function node(name: string, podCIDR: string, address: string): RoutedNode {
  return {
    metadata: { name },
    spec: { podCIDRs: [podCIDR] },
    status: { addresses: [{ type: "InternalIP", address }] },
  };
}
