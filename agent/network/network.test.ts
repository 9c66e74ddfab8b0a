import { afterEach, describe, expect, test } from "bun:test";
import { canMakeNamespaces, connect, makeNamespace, type TestNamespace } from "../../test/support/namespace.ts";
import { commandRunner } from "./command.ts";
import { applyForwarding, removeForwarding } from "./forwarding.ts";
import { planRoutes, type RoutedNode } from "./route-plan.ts";
import { applyRoutes, readInterfaces } from "./route-sync.ts";

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
  test("forwarding: applied twice is the same, other rules stay, removal leaves nothing", async () => {
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
    await removeForwarding(run);
    expect(board.run("iptables-save")).not.toContain("BRAMBLE");
  });

  test("pods of boards in two subnets reach each other through the tunnel, and stale routes go", async () => {
    const [a, router, b] = [namespace(), namespace(), namespace()];
    connect(a, router, { device: "eth0", addressA: "192.168.1.10/24", addressB: "192.168.1.1/24" });
    connect(b, router, { device: "eth1", addressA: "192.168.2.11/24", addressB: "192.168.2.1/24" });
    router.run("sysctl", "-qw", "net.ipv4.ip_forward=1");
    a.run("ip", "route", "add", "default", "via", "192.168.1.1");
    b.run("ip", "route", "add", "default", "via", "192.168.2.1");
    const nodes = [node("a", "10.42.1.0/24", "192.168.1.10"), node("b", "10.42.2.0/24", "192.168.2.11")];
    // A pod's address, on the board itself.
    a.run("ip", "address", "add", "10.42.1.5/32", "dev", "lo");
    b.run("ip", "address", "add", "10.42.2.5/32", "dev", "lo");

    const sync = async (board: TestNamespace, nodeName: string, present: RoutedNode[]): Promise<void> => {
      const run = commandRunner(board.prefix);
      const plan = planRoutes(present, { nodeName, interfaces: await readInterfaces(run) });
      expect(plan.problems).toEqual([]);
      await applyRoutes(plan, run);
    };
    await sync(a, "a", nodes);
    await sync(b, "b", nodes);
    a.run("busybox", "ping", "-c", "1", "-W", "5", "-I", "10.42.1.5", "10.42.2.5");

    const before = [a.run("ip", "route"), a.run("bridge", "fdb", "show", "dev", "bramble.vxlan")];
    await sync(a, "a", nodes);
    expect([a.run("ip", "route"), a.run("bridge", "fdb", "show", "dev", "bramble.vxlan")]).toEqual(before);
    expect(before[0]).toContain("10.42.2.0/24 via 10.42.2.0 dev bramble.vxlan");

    await sync(a, "a", nodes.slice(0, 1));
    expect(a.run("ip", "route")).not.toContain("10.42.2.0");
    expect(a.run("ip", "-br", "link")).not.toContain("bramble.vxlan");
  });

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
