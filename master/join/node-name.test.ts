import { describe, expect, test } from "bun:test";
import { chooseNodeName, claimWithoutNode_ms, type NameQuestion, nodeNameFrom } from "./node-name.ts";

const now_ms = 1_800_000_000_000;
const ask = (more: Partial<NameQuestion> = {}) =>
  chooseNodeName({
    hostName: "raspberrypi",
    boardSerial: "10000000abcd4f2a",
    claims: {},
    nodeExists: () => false,
    now_ms,
    ...more,
  });
const claimedBy = (boardSerial: string, claimed_ms = now_ms) => ({ raspberrypi: { boardSerial, claimed_ms } });

describe("chooseNodeName", () => {
  const cases: [string, Partial<NameQuestion>, string | undefined][] = [
    ["a free name is the host's", {}, "raspberrypi"],
    ["another board's name gets the end of the serial", { claims: claimedBy("other") }, "raspberrypi-4f2a"],
    ["one's own name stays", { claims: claimedBy("10000000abcd4f2a"), nodeExists: () => true }, "raspberrypi"],
    ["a Node without claim is somebody's", { nodeExists: (name) => name === "raspberrypi" }, "raspberrypi-4f2a"],
    [
      "one's own suffixed name stays when the plain one becomes free",
      { claims: { "raspberrypi-4f2a": { boardSerial: "10000000abcd4f2a", claimed_ms: now_ms } } },
      "raspberrypi-4f2a",
    ],
    [
      "a claim that never became a Node runs out",
      { claims: claimedBy("other", now_ms - claimWithoutNode_ms - 1) },
      "raspberrypi",
    ],
    [
      "a claim with its Node does not",
      { claims: claimedBy("other", 0), nodeExists: (name) => name === "raspberrypi" },
      "raspberrypi-4f2a",
    ],
    [
      "serials that end alike get more digits",
      {
        claims: { ...claimedBy("other"), "raspberrypi-4f2a": { boardSerial: "third", claimed_ms: now_ms } },
      },
      "raspberrypi-abcd4f2a",
    ],
    ["a master's name is none for a board", { masterNames: ["raspberrypi"] }, "raspberrypi-4f2a"],
    ["nor what all masters are called", { hostName: "kubernetes.lan" }, "kubernetes-4f2a"],
    ["nothing is left", { nodeExists: () => true }, undefined],
  ];
  test.each(cases)("%s", (_what, question, name) => {
    expect(ask(question)).toBe(name);
  });

  test("stays within a label", () => {
    const hostName = "x".repeat(80);
    const name = ask({ hostName, claims: { ["x".repeat(63)]: { boardSerial: "other", claimed_ms: now_ms } } });
    expect(name).toBe(`${"x".repeat(58)}-4f2a`);
  });
});

test.each([
  ["Pi_5.lan", "pi-5"],
  ["RASPBERRYPI", "raspberrypi"],
  ["---", "board"],
  ["", "board"],
])("the host name %p gives %p", (hostName, name) => {
  expect(nodeNameFrom(hostName)).toBe(name);
});
