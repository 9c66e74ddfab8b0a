import { describe, expect, test } from "bun:test";
import { planMasters } from "./masters.ts";

const worker = { configured: ["https://10.0.0.1:6443"], brokers: ["mqtts://10.0.0.1:8883"], mqttPort: 8883 };

describe("masters of a board", () => {
  test("one is reached as the board was told, also by way of a port that only leads there", () => {
    const behindNat = { ...worker, configured: ["https://example.com:16443"] };
    expect(planMasters(["https://10.0.0.1:6443"], behindNat, []).tunnels).toEqual(["https://example.com:16443"]);
    expect(planMasters([], worker, []).servers).toEqual(worker.configured);
  });

  test("several are each reached at their own address, once", () => {
    const listed = ["https://10.0.0.1:6443", "https://10.0.0.2:6443"];
    expect(planMasters(listed, worker, [])).toEqual({
      servers: listed,
      tunnels: listed,
      brokers: ["mqtts://10.0.0.1:8883", "mqtts://10.0.0.2:8883"],
    });
  });

  test("a name that leads to any of them is asked last, and has no tunnel of its own", () => {
    const listed = ["https://10.0.0.1:6443", "https://10.0.0.2:6443"];
    const plan = planMasters(listed, { ...worker, configured: ["https://masters.lan:6443"] }, []);
    expect(plan.servers).toEqual([...listed, "https://masters.lan:6443"]);
    expect(plan.tunnels).toEqual(listed);
  });

  test("the one on this board is reached by loopback, first", () => {
    const master = { ...worker, configured: ["https://127.0.0.1:6443"], brokers: ["mqtts://localhost:8883"] };
    const plan = planMasters(["https://10.0.0.1:6443", "https://10.0.0.2:6443"], master, ["10.0.0.2"]);
    expect(plan.servers).toEqual(["https://127.0.0.1:6443", "https://10.0.0.1:6443"]);
    expect(plan.tunnels).toEqual(["https://10.0.0.1:6443", "https://127.0.0.1:6443"]);
    expect(plan.brokers[0]).toBe("mqtts://localhost:8883");
  });

  test("what was found on the LAN comes first, by one tunnel alone", () => {
    const found = ["https://10.0.0.9:6443", "https://10.1.0.9:6443"];
    expect(planMasters(["https://10.0.0.1:6443"], worker, [], found)).toEqual({
      servers: [...found, "https://10.0.0.1:6443"],
      tunnels: ["https://10.0.0.9:6443"],
      brokers: ["mqtts://10.0.0.9:8883", "mqtts://10.1.0.9:8883", "mqtts://10.0.0.1:8883"],
    });
  });

  test("of several whose addresses are known, those are asked before what was found", () => {
    const listed = ["https://10.0.0.1:6443", "https://10.0.0.2:6443"];
    const plan = planMasters(listed, worker, [], ["https://10.0.0.9:6443"]);
    expect(plan.servers).toEqual([...listed, "https://10.0.0.9:6443"]);
    expect(plan.tunnels).toEqual(listed);
  });
});
