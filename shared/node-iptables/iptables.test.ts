import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Iptables, type Ruleset, renderBatches, renderChanges } from "./index.ts";

const namespace = `nipt-${process.pid}`;
const iptables = new Iptables({ prefix: ["nsenter", `--net=/run/netns/${namespace}`] });
const ip = (...args: string[]): void => {
  const result = Bun.spawnSync({ cmd: ["ip", ...args] });
  if (result.exitCode !== 0) throw new Error(result.stderr.toString());
};

const one: Ruleset = {
  nat: new Map([
    ["T-A", [["-p", "tcp", "-m", "comment", "--comment", 'a "quoted" comment', "-j", "T-B"]]],
    ["T-B", [["-j", "RETURN"]]],
  ]),
};
const two: Ruleset = { nat: new Map([["T-A", [["-p", "udp", "-j", "RETURN"]]]]) };

describe("rendering", () => {
  test("only what changed is written", () => {
    expect(renderChanges(one, one)).toBe("");
    expect(renderChanges(one, two)).toBe("*nat\n:T-A - [0:0]\n:T-B - [0:0]\n-A T-A -p udp -j RETURN\n-X T-B\nCOMMIT\n");
  });
  test("many chains come in batches: in the order given, what is gone at the end", () => {
    const chains = (...names: string[]): Ruleset => ({
      nat: new Map(names.map((name, index) => [name, [["-j", names[index - 1] ?? "RETURN"]]])),
    });
    const batches = [...renderBatches(chains("T-OLD", "T-OLDER"), chains("T-C", "T-B", "T-A"), 2)];
    expect(batches.map((text) => text.split("\n").slice(1, -2))).toEqual([
      [":T-C - [0:0]", ":T-B - [0:0]", "-A T-C -j RETURN", "-A T-B -j T-C"],
      [":T-A - [0:0]", "-A T-A -j T-B"],
      [":T-OLD - [0:0]", ":T-OLDER - [0:0]"],
      ["-X T-OLD", "-X T-OLDER"],
    ]);
    expect([...renderBatches(one, two)]).toEqual([renderChanges(one, two)]);
    expect([...renderBatches(one, one)]).toEqual([]);
  });
});

describe("the kernel", () => {
  beforeAll(() => ip("netns", "add", namespace));
  afterAll(() => ip("netns", "del", namespace));

  test("takes a ruleset, a change of it, and its end", async () => {
    await iptables.restore(renderChanges({}, one));
    expect(await iptables.save("nat")).toContain('-A T-A -p tcp -m comment --comment "a \\"quoted\\" comment" -j T-B');
    await iptables.restore(renderChanges(one, two));
    expect(await iptables.chains("nat")).not.toContain("T-B");
    await iptables.restore(renderChanges(two, {}));
    expect(await iptables.chains("nat")).not.toContain("T-A");
  });

  test("takes batches in turn, there and back", async () => {
    const chain = (name: string, target: string): [string, string[][]] => [name, [["-j", target]]];
    const many: Ruleset = {
      nat: new Map(
        Array.from({ length: 12 }, (_, index) => chain(`T-${index}`, index > 0 ? `T-${index - 1}` : "RETURN")),
      ),
    };
    const few: Ruleset = { nat: new Map([chain("T-3", "RETURN")]) };
    const present = async (): Promise<string[]> =>
      (await iptables.chains("nat")).filter((name) => name.startsWith("T-"));
    for (const text of renderBatches({}, many, 5)) await iptables.restore(text);
    expect(await present()).toHaveLength(12);
    for (const text of renderBatches(many, few, 5)) await iptables.restore(text);
    expect(await present()).toEqual(["T-3"]);
    await iptables.restore(renderChanges(few, {}));
  });

  test("a rule in a built-in chain is added once and removed", async () => {
    const rule = ["-s", "192.0.2.1/32", "-j", "ACCEPT"];
    await iptables.ensureRule("filter", "FORWARD", rule, "first");
    await iptables.ensureRule("filter", "FORWARD", rule, "first");
    expect((await iptables.save("filter")).match(/192\.0\.2\.1/g)).toHaveLength(1);
    await iptables.removeRule("filter", "FORWARD", rule);
    expect(await iptables.hasRule("filter", "FORWARD", rule)).toBe(false);
  });

  test("a wrong rule is refused with what iptables said, and nothing of its table is applied", async () => {
    const text = "*nat\n:T-C - [0:0]\n-A T-C -j NO-SUCH\nCOMMIT\n";
    await expect(iptables.restore(text)).rejects.toThrow("iptables-restore");
    expect(await iptables.chains("nat")).not.toContain("T-C");
  });
});
